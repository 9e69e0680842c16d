"""`regista up`, `down`, `status`: everything starts, what crashes comes back, nothing stays behind."""

from __future__ import annotations

import json
import os
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

from services.local import running
from services.local.instance import Instance
from services.local.places import LocalError, Place
from services.local.processes import Identity
from services.local.state import State, read_state
from services.local.status import Status, gather
from services.local.supervisor import supervise
from services.local.topics import SERVICES

pytestmark = [pytest.mark.servers, pytest.mark.slow]
REGISTA = str(Path(sys.executable).with_name("regista"))
SERVERS = ("postgres", "kafka", "s3")


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        threading.Event().wait(0.05)


def started(place: Place) -> State:
    running.start(place, 120.0, running.Progress(say=lambda _: None))
    state = read_state(place)
    assert state
    return state


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Not in pytest's own folder: only root may enter that, and PostgreSQL runs as a user of its own."""
    found = Place.named(f"test-{os.getpid()}-up")
    yield found
    running.stop(found)
    shutil.rmtree(found.directory)


@pytest.fixture
def up(place: Place) -> State:
    return started(place)


def everybody(state: State) -> list[Identity]:
    return [state.supervisor, *state.identities()]


def status(place: Place) -> Status:
    return gather(Instance.at(place), lags=False)


def ready_again(place: Place, before: Identity) -> bool:
    found = status(place)
    part = next((one for one in found.parts if one.name == before.name), None)
    return found.ready and part is not None and part.pid != before.pid


def test_all_servers_and_services_run_and_say_that_they_are_ready(up: State, place: Place) -> None:
    found = gather(Instance.at(place))
    assert {part.name for part in found.parts} == {*SERVERS, *SERVICES}
    assert found.ready
    assert set(found.relays) == {"registry", "approval", "artifact", "cleanup"}
    assert any(group.startswith("registry") for group in found.consumers)


def test_a_started_instance_is_not_started_twice(up: State, place: Place) -> None:
    assert started(place).supervisor == up.supervisor
    with pytest.raises(LocalError, match="running already"):
        supervise(place)


def test_nobody_gets_in_without_a_key_and_the_administrator_does(up: State, place: Place) -> None:
    instance = Instance.at(place)
    url = f"{instance.urls['registry']}/v1/models"
    assert httpx.get(url).status_code == 401
    key = instance.identities.admin_key_file.read_text().strip()
    assert httpx.get(url, headers={"authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize("name", ["registry", "postgres", "kafka"])
def test_what_is_killed_comes_back_and_everything_is_ready_again(up: State, place: Place, name: str) -> None:
    killed = up.processes[name].identity
    killed.send(signal.SIGKILL)
    until(lambda: ready_again(place, killed))
    state = read_state(place)
    assert state
    assert state.processes[name].exits >= 1
    assert state.processes[name].last == "killed by SIGKILL"


def test_status_tells_programs_what_runs_and_ends_with_1_when_nothing_does(
    up: State, place: Place, tmp_path: Path
) -> None:
    regista = [REGISTA, "status", "--json", "--instance"]

    def told() -> bool:
        answer = subprocess.run([*regista, str(place.directory)], capture_output=True, text=True, check=False)
        assert json.loads(answer.stdout)["ready"] is (answer.returncode == 0)
        return answer.returncode == 0

    until(told)  # a broker that came back a moment ago does not know its groups yet
    nothing = subprocess.run(
        [*regista, str(tmp_path / "nothing")], capture_output=True, text=True, check=False
    )
    assert nothing.returncode == 1


def test_down_leaves_no_process_behind(place: Place) -> None:
    processes = everybody(started(place))
    ended = running.stop(place)
    assert set(ended) == {"supervisor", *SERVERS, *SERVICES}
    assert not [one.name for one in processes if one.alive()]
    assert running.stop(place) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere `down` ends what is left")
def test_nothing_outlives_a_supervisor_that_is_killed(place: Place) -> None:
    state = started(place)
    state.supervisor.send(signal.SIGKILL)
    until(lambda: not any(one.alive() for one in everybody(state)))
    assert status(place).phase == "stopped"


def test_what_a_killed_supervisor_left_is_found_by_down(place: Place) -> None:
    state = started(place)
    os.kill(
        state.processes["s3"].identity.pid, signal.SIGSTOP
    )  # deaf to the kernel's signal, as on a system without it
    state.supervisor.send(signal.SIGKILL)
    until(lambda: not state.supervisor.alive())
    running.stop(place)
    assert not [one.name for one in everybody(state) if one.alive()]


def test_ctrl_c_while_it_starts_leaves_no_process_behind(place: Place) -> None:
    command = [REGISTA, "up", "--instance", str(place.directory)]
    up = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert up.stdout
    assert "postgres" in up.stdout.readline()
    state = read_state(place)
    assert state
    assert state.supervisor.alive()
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)
    last = read_state(place) or state
    assert not [one.name for one in (*everybody(state), *everybody(last)) if one.alive()]


def test_a_start_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    broken = Place.named(f"test-{os.getpid()}-broken")
    with pytest.raises(LocalError, match="point it at an unpacked release"):
        started(broken)
    state = read_state(broken)
    assert state
    assert state.phase == "failed"
    assert not [one.name for one in everybody(state) if one.alive()]
    shutil.rmtree(broken.directory)
