"""Start child processes that end with their owner, and end processes by number and start time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from services.local.end_reason import end_reason
from services.local.folders import LocalError
from services.local.log_writer import await_written, rotate_if_full

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process number with its start time: numbers are reused, the pair is not."""

    name: str
    pid: int
    started: str

    @classmethod
    def of(cls, name: str, pid: int) -> ProcessIdentity:
        """Return the process that has this number now."""
        return cls(name, pid, _start_time(pid))

    def alive(self) -> bool:
        """Return whether that process still runs; a zombie has ended."""
        return bool(self.started) and _start_time(self.pid) == self.started

    def resident(self) -> int:
        """Return its resident memory in bytes, or 0 where the system does not report it."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def send(self, number: int) -> None:
        """Send a signal to that process; do nothing when it has ended."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def _start_time(pid: int) -> str:
    """Return clock ticks since boot (Linux) or the start date of `ps`.

    Empty when there is no such process or only its zombie.
    """
    if sys.platform != "linux":
        answer = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.strip()
        return "" if answer.startswith("Z") else answer.partition(" ")[2]
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


@dataclass(slots=True, eq=False)
class Child:
    """A process that this one started.

    It leads its own session, so a terminal's Ctrl-C reaches only its owner.
    """

    identity: ProcessIdentity
    popen: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 20.0
    began: int = 0
    """Size of the log when it started."""

    def running(self) -> bool:
        return self.popen.poll() is None

    def check(self) -> None:
        """Raise LocalError with the reason when the process has ended."""
        if not self.running():
            raise LocalError(f"{self.identity.name} ended with {self.end()}; its log: {self.log}")

    def end(self) -> str:
        """Return in one line how the process ended: its signal, or its exit code and the reason."""
        code = self.popen.returncode
        if code < 0:
            return f"{signal.Signals(-code).name}"
        if (pipe := _outputs.get(self.log)) is not None:
            await_written(pipe)
        reason = end_reason(self.log, self.began)
        return f"exit code {code}" + (f": {reason}" if reason else "")

    def stop(self) -> None:
        """Send the stop signal, wait, then kill the process group."""
        if self.running():
            self.identity.send(self.stop_signal)
            try:
                self.popen.wait(self.patience)
            except subprocess.TimeoutExpired:
                self.kill()
        self.popen.wait()

    def kill(self) -> None:
        """Kill the process group; do nothing when it has ended."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)


_commands: set[Child] = set()
_outputs: dict[Path, int] = {}
"""The descriptor that `spawn` gives a process instead of its log file, by log file."""


def send_output(outputs: Mapping[Path, int]) -> None:
    """From now on let processes with these log files write to these descriptors."""
    _outputs.clear()
    _outputs.update(outputs)


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    orphan_signal: signal.Signals | None = None,
    umask: int = -1,
    to_its_end: bool = False,
) -> Child:
    """Start a process. `umask` limits who may use the files and sockets that it makes.

    When the calling *thread* ends, the kernel sends it `orphan_signal` (else `stop_signal`).

    With `to_its_end` the log has all output at its end; else another process may write it a moment later.

    Call this from a thread that does not end. On systems without that signal (macOS), only `end_all` with the
    recorded identities finds what a killed owner left.
    """
    owner = os.getpid()

    def die_with_owner() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal or stop_signal))
        if os.getppid() != owner:  # the owner ended before the line above
            os._exit(1)

    began = log.stat().st_size if log.exists() else 0
    with ExitStack() as files:
        pipe = None if to_its_end else _outputs.get(log)
        out = files.enter_context(log.open("ab")).fileno() if pipe is None else pipe
        popen = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            start_new_session=True,
            umask=umask,
            preexec_fn=die_with_owner,  # noqa: PLW1509 - only prctl
        )
    return Child(ProcessIdentity.of(name, popen.pid), popen, log, stop_signal, began=began)


def end_all(found: Iterable[ProcessIdentity], patience: float = 15.0) -> list[str]:
    """End processes that are not our children: terminate, wait, kill.

    Returns the names of those that still ran.
    """
    running = [one for one in found if one.alive()]
    for one in running:
        one.send(signal.SIGTERM)
    _wait(running, patience)
    for one in running:
        one.send(signal.SIGKILL)
    _wait(running, 5.0)
    return [one.name for one in running]


def _wait(running: Sequence[ProcessIdentity], patience: float) -> None:
    deadline = time.monotonic() + patience
    while any(one.alive() for one in running) and time.monotonic() < deadline:
        time.sleep(0.05)


def run_to_end(
    argv: Sequence[str],
    *,
    log: Path,
    timeout: float,
    user: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end.

    Raises LocalError with the reason when it fails, takes too long or is interrupted.
    """
    rotate_if_full(log)
    child = spawn(Path(argv[0]).name, argv, log=log, user=user, cwd=cwd, env=env, to_its_end=True)
    _commands.add(child)
    try:
        code = child.popen.wait(timeout)
    except subprocess.TimeoutExpired:
        raise LocalError(f"{argv[0]} took longer than {timeout:.0f} s; see {log}") from None
    finally:
        child.kill()
        child.popen.wait()
        _commands.discard(child)
    if code:
        command = " ".join([Path(argv[0]).name, *argv[1:3]])
        raise LocalError(f"`{command} …` failed with {child.end()}; its output: {log}")


def interrupt_commands() -> None:
    """Kill the commands that `run_to_end` runs in other threads, so that a stop is not delayed."""
    for child in list(_commands):
        child.kill()
