"""Child processes: they never outlive their owner, and nothing is ended that is not meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.local.folders import LocalError
from services.local.processes import ProcessIdentity, end_all, run_to_end, spawn
from services.local.supervisor import FIRST_PAUSE, SupervisedProcess

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        threading.Event().wait(0.05)


def test_a_process_is_known_by_its_number_and_its_start(tmp_path: Path) -> None:
    child = spawn("sleeper", SLEEPER, log=tmp_path / "log")
    stranger = ProcessIdentity("sleeper", child.identity.pid, "1")
    assert child.identity.alive()
    assert not stranger.alive()
    stranger.send(signal.SIGKILL)
    assert child.running()
    child.stop()
    assert not child.identity.alive()


def test_a_process_that_ended_but_was_not_waited_for_is_not_alive(tmp_path: Path) -> None:
    child = spawn("short", [sys.executable, "-c", ""], log=tmp_path / "log")
    until(lambda: not child.identity.alive())
    assert child.popen.wait() == 0


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="other systems have no parent-death signal; there `regista down` ends what is left",
)
def test_children_end_when_their_owner_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, signal; from pathlib import Path; from services.local.processes import spawn\n"
        f"child = spawn('sleeper', {SLEEPER!r}, log=Path({str(tmp_path / 'log')!r}))\n"
        "print(child.identity.pid, child.identity.started, flush=True); signal.pause()"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    pid, started = owner.stdout.readline().split()
    child = ProcessIdentity("sleeper", int(pid), started)
    assert child.alive()
    owner.kill()
    owner.communicate()
    until(lambda: not child.alive())


def test_a_process_that_ignores_the_request_is_killed_with_its_whole_group(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"import subprocess, sys; subprocess.Popen({STUBBORN!r}); {STUBBORN[2]}"
    child = spawn("stubborn", [sys.executable, "-c", script], log=log)
    until(lambda: log.read_text().count("deaf") == 2)
    members = [
        int(one)
        for one in subprocess.run(
            ["ps", "-o", "pid=", "-g", str(child.popen.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
    ]
    identities = [ProcessIdentity.of("member", pid) for pid in members]
    assert len(identities) == 2
    child.patience = 0.1
    child.stop()
    until(lambda: not any(one.alive() for one in identities))


def test_ending_by_identity_ends_even_the_deaf_and_names_only_what_ran(tmp_path: Path) -> None:
    log = tmp_path / "log"
    deaf, gone = spawn("deaf", STUBBORN, log=log), ProcessIdentity("gone", 1, "0")
    until(lambda: "deaf" in log.read_text())
    assert end_all([deaf.identity, gone], patience=0.2) == ["deaf"]
    assert not deaf.identity.alive()
    deaf.popen.wait()


def test_the_error_of_a_failed_command_contains_only_its_own_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an older run\n")
    with pytest.raises(LocalError, match="no such table") as failure:
        run_to_end([sys.executable, "-c", "import sys; sys.exit('no such table')"], log=log, timeout=20)
    assert "older run" not in str(failure.value)


def test_a_command_that_hangs_is_killed(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="took longer than"):
        run_to_end(SLEEPER, log=tmp_path / "log", timeout=0.2)


def test_a_command_does_not_outlive_an_interruption(tmp_path: Path) -> None:
    program = (
        "import os, signal, threading; from pathlib import Path; from services.local import processes\n"
        "def interrupt():\n"
        "    while not processes._commands: pass\n"
        "    print(next(iter(processes._commands)).identity.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt).start()\n"
        f"try: processes.run_to_end({STUBBORN!r}, log=Path({str(tmp_path / 'log')!r}), timeout=20)\n"
        "except KeyboardInterrupt: print(len(processes._commands), flush=True); input()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout
    pid, left = int(owner.stdout.readline()), int(owner.stdout.readline())
    assert not ProcessIdentity.of("command", pid).alive()
    assert left == 0
    owner.communicate("\n")


def test_killing_what_has_ended_and_was_waited_for_is_no_error(tmp_path: Path) -> None:
    child = spawn("short", [sys.executable, "-c", ""], log=tmp_path / "log")
    os.waitpid(child.popen.pid, 0)  # behind Popen's back, as when it ends between a look and the signal
    child.kill()
    assert not child.running()


@pytest.mark.slow
def test_what_crashed_is_started_again_after_a_pause_that_grows(tmp_path: Path) -> None:
    launched: list[float] = []

    def launch():
        launched.append(1.0)
        child = spawn("crashing", [sys.executable, "-c", "raise SystemExit(3)"], log=tmp_path / "log")
        child.popen.wait()
        return child

    kept = SupervisedProcess("crashing", launch, launch(), since=0.0)
    assert kept.check(now=1.0)
    assert (kept.exits, kept.last) == (1, "exit code 3")
    assert not kept.check(now=1.0 + FIRST_PAUSE / 2)
    assert len(launched) == 1
    assert kept.check(now=1.0 + FIRST_PAUSE)
    assert len(launched) == 2
    assert kept.check(now=2.0)
    assert not kept.check(now=2.0 + FIRST_PAUSE)
    assert kept.check(now=2.0 + 2 * FIRST_PAUSE)
    assert len(launched) == 3


def test_what_runs_is_left_alone(tmp_path: Path) -> None:
    child = spawn("sleeper", SLEEPER, log=tmp_path / "log")
    kept = SupervisedProcess("sleeper", lambda: None, child, since=0.0)
    assert not kept.check(now=1.0)
    assert kept.child is child
    child.stop()


def test_a_kill_is_recorded_with_its_signal(tmp_path: Path) -> None:
    child = spawn("sleeper", SLEEPER, log=tmp_path / "log")
    kept = SupervisedProcess("sleeper", lambda: None, child, since=0.0)
    child.popen.kill()
    child.popen.wait()
    assert kept.check(now=1.0)
    assert kept.last == "killed by SIGKILL"
