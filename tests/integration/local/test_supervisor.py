"""`regista up`, `down`, `status`: everything starts, what crashes comes back, nothing stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from services.local import lifecycle
from services.local.folders import InstanceFolder, LocalError
from services.local.fronts import OPTIONAL, PROCESSES
from services.local.instance import Instance
from services.local.processes import ProcessIdentity
from services.local.status import Status, gather
from services.local.supervisor import supervise
from services.local.supervisor_state import SupervisorState, read_state

pytestmark = [pytest.mark.servers, pytest.mark.slow]
REGISTA = str(Path(sys.executable).with_name("regista"))
SERVERS = ("postgres", "kafka", "s3")
ALWAYS = [name for name in PROCESSES if name not in OPTIONAL]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.05)


def started(folder: InstanceFolder) -> SupervisorState:
    lifecycle.start(folder, 120.0, lifecycle.Progress(output=lambda _: None))
    state = read_state(folder)
    assert state
    return state


@pytest.fixture(scope="module")
def folder() -> Iterator[InstanceFolder]:
    """Not in pytest's own folder: only root may enter that, and PostgreSQL runs as a user of its own."""
    found = InstanceFolder.named(f"test-{os.getpid()}-up")
    yield found
    lifecycle.stop(found)
    shutil.rmtree(found.directory)


@pytest.fixture
def up(folder: InstanceFolder) -> SupervisorState:
    return started(folder)


def every_process(state: SupervisorState) -> list[ProcessIdentity]:
    return [state.supervisor, *state.identities()]


def status(folder: InstanceFolder) -> Status:
    return gather(Instance.at(folder), lags=False)


def ready_again(folder: InstanceFolder, before: ProcessIdentity) -> bool:
    found = status(folder)
    part = next((one for one in found.parts if one.name == before.name), None)
    return found.ready and part is not None and part.pid != before.pid


def test_all_servers_and_services_run_and_are_ready(up: SupervisorState, folder: InstanceFolder) -> None:
    found = gather(Instance.at(folder))
    assert {part.name for part in found.parts} == {*SERVERS, *ALWAYS}
    assert found.ready
    assert set(found.relays) == {"registry", "approval", "artifact", "cleanup", "mirror"}
    assert any(group.startswith("registry") for group in found.consumers)


def test_a_started_instance_is_not_started_twice(up: SupervisorState, folder: InstanceFolder) -> None:
    assert started(folder).supervisor == up.supervisor
    with pytest.raises(LocalError, match="running already"):
        supervise(folder)


def test_only_a_caller_with_a_key_gets_in(up: SupervisorState, folder: InstanceFolder) -> None:
    instance = Instance.at(folder)
    url = f"{instance.urls['registry']}/v1/models"
    assert httpx.get(url).status_code == 401
    key = instance.identities.admin_key_file.read_text().strip()
    assert httpx.get(url, headers={"authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize("name", ["registry", "postgres", "kafka"])
def test_killed_processes_are_restarted_and_become_ready_again(
    up: SupervisorState, folder: InstanceFolder, name: str
) -> None:
    killed = up.processes[name].identity
    killed.send(signal.SIGKILL)
    until(lambda: ready_again(folder, killed))
    state = read_state(folder)
    assert state
    assert state.processes[name].exits >= 1
    assert state.processes[name].last == "killed by SIGKILL"


def test_status_reports_what_runs_as_json_and_exits_with_1_when_nothing_does(
    up: SupervisorState, folder: InstanceFolder, tmp_path: Path
) -> None:
    regista = [REGISTA, "status", "--json", "--instance"]

    def agreed() -> bool:
        answer = subprocess.run(
            [*regista, str(folder.directory)], capture_output=True, text=True, check=False
        )
        assert json.loads(answer.stdout)["ready"] is (answer.returncode == 0)
        return answer.returncode == 0

    until(agreed)  # a restarted broker has not loaded its groups yet
    nothing = subprocess.run(
        [*regista, str(tmp_path / "nothing")], capture_output=True, text=True, check=False
    )
    assert nothing.returncode == 1


def test_a_service_left_out_can_be_started_by_hand_with_the_settings_of_its_file(
    folder: InstanceFolder,
) -> None:
    lifecycle.stop(folder)
    instance = lifecycle.start(folder, 120.0, lifecycle.Progress(output=lambda _: None), ["registry"])
    state = read_state(folder)
    assert state
    assert set(state.processes) == {*SERVERS, *ALWAYS} - {"registry"}
    command = f"set -a; . {instance.environment_file('registry')}; exec {sys.executable} -m services.registry"
    registry = subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(f"{instance.urls['registry']}/readyz"))
    finally:
        registry.terminate()
        registry.wait(20)
        lifecycle.stop(folder)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def test_an_instance_that_runs_with_all_services_is_not_started_without_one(
    up: SupervisorState, folder: InstanceFolder
) -> None:
    with pytest.raises(LocalError, match="run `regista down` first"):
        lifecycle.start(folder, 120.0, lifecycle.Progress(output=lambda _: None), ["registry"])


def test_down_leaves_no_process_behind(folder: InstanceFolder) -> None:
    processes = every_process(started(folder))
    ended = lifecycle.stop(folder)
    assert set(ended) == {"supervisor", *SERVERS, *ALWAYS}
    assert not [one.name for one in processes if one.alive()]
    assert lifecycle.stop(folder) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere `down` ends what is left")
def test_nothing_outlives_a_supervisor_that_is_killed(folder: InstanceFolder) -> None:
    state = started(folder)
    state.supervisor.send(signal.SIGKILL)
    until(lambda: not any(one.alive() for one in every_process(state)))
    assert status(folder).phase == "stopped"


def test_down_finds_the_processes_of_a_killed_supervisor(folder: InstanceFolder) -> None:
    state = started(folder)
    # as on a system without the kernel's signal
    os.kill(state.processes["s3"].identity.pid, signal.SIGSTOP)
    state.supervisor.send(signal.SIGKILL)
    until(lambda: not state.supervisor.alive())
    lifecycle.stop(folder)
    assert not [one.name for one in every_process(state) if one.alive()]


def test_ctrl_c_while_it_starts_leaves_no_process_behind(folder: InstanceFolder) -> None:
    command = [REGISTA, "up", "--instance", str(folder.directory)]
    # A shell without job control starts its background jobs with SIGINT ignored, and children inherit that.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    up = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    signal.signal(signal.SIGINT, inherited)
    assert up.stdout
    assert "postgres" in up.stdout.readline()
    state = read_state(folder)
    assert state
    assert state.supervisor.alive()
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)
    last = read_state(folder) or state
    assert not [one.name for one in (*every_process(state), *every_process(last)) if one.alive()]


@pytest.fixture
def loud(folder: InstanceFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every service gets a log level that does not exist."""
    lifecycle.stop(folder)
    monkeypatch.setenv("REGISTA_LOG_LEVEL", "LOUD")
    yield
    lifecycle.stop(folder)


def test_up_and_status_state_in_one_line_why_a_service_cannot_start(
    folder: InstanceFolder, loud: None
) -> None:
    reason = "exit code 78: cannot start: a setting is wrong: REGISTA_LOG_LEVEL: Input should be 'DEBUG', "
    printed: list[str] = []
    with pytest.raises(LocalError) as failure:
        lifecycle.start(folder, 60.0, lifecycle.Progress(output=printed.append))
    lines = str(failure.value).splitlines()
    assert any(re.match(rf"\w+ cannot start: {re.escape(reason)}", line) for line in lines), lines
    assert any(f" ended: {reason}" in line for line in printed), printed
    until(lambda: any(reason in f"{part.why} {part.last}" for part in status(folder).parts))


def _log_writer_of(folder: InstanceFolder) -> int:
    """Return the process number of the instance's log writer, or 0."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")
            if "services.local.log_writer" in words and str(folder.log("registry")) in " ".join(words):
                return int(process.name)
    return 0


@pytest.mark.skipif(sys.platform != "linux", reason="the writer is found by /proc")
def test_the_logs_go_on_when_their_writer_was_killed_and_end_with_the_instance(
    up: SupervisorState, folder: InstanceFolder
) -> None:
    first = _log_writer_of(folder)
    os.kill(first, signal.SIGKILL)
    until(lambda: _log_writer_of(folder) not in {0, first})
    lifecycle.stop(folder)
    assert _log_writer_of(folder) == 0
    last = json.loads(folder.log("registry").read_text().splitlines()[-1])
    assert (last["message"], last["service"]) == ("stopped", "registry")


def test_a_failed_start_records_the_reason_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    broken = InstanceFolder.named(f"test-{os.getpid()}-broken")
    with pytest.raises(LocalError, match="set it to an unpacked release"):
        started(broken)
    state = read_state(broken)
    assert state
    assert state.phase == "failed"
    assert not [one.name for one in every_process(state) if one.alive()]
    shutil.rmtree(broken.directory)
