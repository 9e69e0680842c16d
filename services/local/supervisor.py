"""One process that starts the servers and services of an instance, starts again what crashes, and takes everything with it when it goes.

`python -m services.local.supervisor --directory …`; `regista up` runs it in the background.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from services.local.instance import Instance
from services.local.places import LocalError, Place
from services.local.processes import Child, Identity, end_all
from services.local.state import Phase, Running, State, read_state
from services.local.topics import SERVICES

LOOK = 0.2  # seconds between two looks at the children
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
STEADY = 30.0  # seconds after which an earlier crash no longer makes the next pause longer


class _Asked(BaseException):
    """SIGTERM or SIGINT came."""


@dataclass(slots=True)
class Kept:
    """A process that shall run: how to start it, and how it has fared."""

    name: str
    launch: Callable[[], Child | None]
    child: Child
    since: float
    exits: int = 0
    last: str = ""
    pause: float = FIRST_PAUSE
    again_at: float | None = None  # monotonic; set while it is down

    def look(self, now: float) -> bool:
        """Notices an exit, starts again when its pause is over. True when something changed."""
        if self.again_at is None:
            if self.child.running():
                self.pause = FIRST_PAUSE if now - self.since > STEADY else self.pause
                return False
            code = self.child.popen.returncode
            self.exits, self.last = (
                self.exits + 1,
                f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}",
            )
            self.again_at, self.pause = now + self.pause, min(LONGEST_PAUSE, self.pause * 2)
            return True
        if now < self.again_at:
            return False
        child = self.launch()
        if child:
            self.child, self.since, self.again_at = child, now, None
        return True


@dataclass(slots=True)
class Supervisor:
    """`run` lasts until a signal; it must run in the main thread, whose end takes the children along."""

    instance: Instance
    began: float = field(default_factory=time.monotonic)
    state: State = field(default_factory=lambda: State(Identity.of("supervisor", os.getpid())))
    kept: list[Kept] = field(default_factory=list)

    def run(self) -> int:
        """The exit code: 0 when asked to stop, 1 when the start failed (the state says why)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _ask)
        try:
            self._start()
            while True:
                time.sleep(LOOK)
                changed = [
                    one.look(time.monotonic()) for one in self.kept
                ]  # each is looked at, whatever another found
                if any(changed):
                    self._tell("running")
        except _Asked:
            return 0
        except LocalError as problem:
            self.state.problem = str(problem)
            print(problem, file=sys.stderr)
            return 1
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            self._stop()

    def _start(self) -> None:
        left = read_state(self.instance.place)
        if left:
            end_all(left.identities())
        self.instance.choose_ports()
        self.instance.write_profile()
        self._tell("starting")
        self.instance.stack.start(on_ready=self._server_ready)
        for name, server in self.instance.stack.servers().items():
            child = next((one for one in self.instance.stack.children if one.identity.name == name), None)
            if child:
                self.kept.append(Kept(name, server.launch, child, time.monotonic()))
        self._tell("running")

    def _server_ready(self, name: str) -> None:
        """The services start as soon as the database is theirs; they wait for the other servers by themselves."""
        self._step(name)
        if name == "postgres":
            if self.instance.migrate():
                self._step("database set up")
            for service in SERVICES:
                self._keep(service)
            self._step("services started")

    def _keep(self, service: str) -> None:
        def launch() -> Child:
            return self.instance.launch(service)

        self.kept.append(Kept(service, launch, launch(), time.monotonic()))
        self._tell("starting")

    def _step(self, name: str) -> None:
        self.state.steps.append((name, round(time.monotonic() - self.began, 2)))
        self._tell("starting")

    def _tell(self, phase: Phase) -> None:
        self.state.phase = phase
        offset = time.time() - time.monotonic()
        found = {
            one.name: Running(one.child.identity, round(one.since + offset, 1), one.exits, one.last)
            for one in self.kept
        }
        servers = {c.identity.name: Running(c.identity, time.time()) for c in self.instance.stack.children}
        self.state.processes = servers | found
        self.state.save(self.instance.place)

    def _stop(self) -> None:
        """Services first, all at once; then the servers they talk to."""
        failed = bool(self.state.problem)
        self._tell("failed" if failed else "stopping")
        services = [one.child for one in self.kept if one.name in SERVICES]
        if services:
            with ThreadPoolExecutor(len(services)) as threads:
                list(threads.map(Child.stop, services))
        self.instance.stack.adopt({one.name: one.child for one in self.kept})
        self.instance.stack.stop()
        self.kept.clear()
        self._tell("failed" if failed else "stopping")


def _ask(_number: int, _frame: FrameType | None) -> None:
    raise _Asked


def supervise(place: Place) -> int:
    """Runs the supervisor of that folder. Raises LocalError when one runs already."""
    with (place.folder() / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(
                f"{place.directory} is running already: `regista status`, or `regista down` first"
            ) from None
        return Supervisor(Instance.at(place)).run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.supervisor", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="the instance's folder")
    try:
        code = supervise(Place(parser.parse_args().directory.resolve()))
    except LocalError as problem:
        sys.exit(str(problem))
    sys.stderr.flush()
    os._exit(code)  # a thread may still wait for a server that is gone: nobody need wait for it


if __name__ == "__main__":
    main()
