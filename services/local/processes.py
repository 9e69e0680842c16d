"""Child processes that never outlive their owner, and ending processes by identity (number and start time), never by name."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.local.places import LocalError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for ever: numbers are used again, a number with its start time is not."""

    name: str
    pid: int
    started: str

    @classmethod
    def of(cls, name: str, pid: int) -> Identity:
        """The process that has this number now."""
        return cls(name, pid, _start_time(pid))

    def alive(self) -> bool:
        """True while that very process runs; a zombie counts as ended."""
        return bool(self.started) and _start_time(self.pid) == self.started

    def resident(self) -> int:
        """Bytes of memory it holds; 0 where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def send(self, number: int) -> None:
        """A signal to that very process; nothing when it is gone."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def _start_time(pid: int) -> str:
    """Clock ticks since boot (Linux) or `ps`'s start date; empty when there is no such process or only its zombie."""
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
    """A process this one started.

    It leads a session of its own, so a terminal's Ctrl-C reaches its owner only.
    """

    identity: Identity
    popen: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 20.0

    def running(self) -> bool:
        return self.popen.poll() is None

    def check(self) -> None:
        """Raises LocalError with the end of the log when the process has ended."""
        if not self.running():
            raise LocalError(
                f"{self.identity.name} ended with code {self.popen.returncode}; the end of {self.log}:\n{tail(self.log)}"
            )

    def stop(self) -> None:
        """Asks it to end, waits, then kills its whole group."""
        if self.running():
            self.identity.send(self.stop_signal)
            try:
                self.popen.wait(self.patience)
            except subprocess.TimeoutExpired:
                self.kill()
        self.popen.wait()

    def kill(self) -> None:
        """Kills its whole group; nothing when it ended meanwhile."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)


_commands: set[Child] = set()


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
) -> Child:
    """Starts a process that the kernel sends `orphan_signal` (else `stop_signal`) when the calling *thread* ends: call it from one that stays.

    On systems without that (macOS), only `end_all` with the recorded identities finds what a killed owner
    left.
    """
    owner = os.getpid()

    def die_with_owner() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal or stop_signal))
        if os.getppid() != owner:  # it died before the line above
            os._exit(1)

    with log.open("ab") as out:
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
            preexec_fn=die_with_owner,  # noqa: PLW1509 - only prctl
        )
    return Child(Identity.of(name, popen.pid), popen, log, stop_signal)


def end_all(found: Iterable[Identity], patience: float = 15.0) -> list[str]:
    """Ends processes that are not our children: terminate, wait, kill.

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


def _wait(running: Sequence[Identity], patience: float) -> None:
    deadline = time.monotonic() + patience
    while any(one.alive() for one in running) and time.monotonic() < deadline:
        time.sleep(0.05)


def tail(log: Path, lines: int = 15, since: int = 0) -> str:
    """The last lines of a log file, none from before the byte `since`."""
    try:
        return "\n".join(log.read_bytes()[since:].decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


def run_to_end(
    argv: Sequence[str],
    *,
    log: Path,
    timeout: float,
    user: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs a command that ends by itself; raises LocalError with its output when it fails, takes too long or is interrupted."""
    began = log.stat().st_size if log.exists() else 0
    child = spawn(Path(argv[0]).name, argv, log=log, user=user, cwd=cwd, env=env)
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
        raise LocalError(f"{' '.join(argv)}\nfailed with code {code} and said:\n{tail(log, since=began)}")


def interrupt_commands() -> None:
    """Kills what `run_to_end` runs in other threads, so that an owner who is asked to stop need not wait for it."""
    for child in list(_commands):
        child.kill()
