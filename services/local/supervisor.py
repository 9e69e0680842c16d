"""Start the servers and services of an instance, restart what crashes, and stop everything at the end.

`regista up` runs `python -m services.local.supervisor --directory …` in the background.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from services.local import npm
from services.local.folders import InstanceFolder, LocalError
from services.local.fronts import PROCESSES
from services.local.full_disk import DiskWatch
from services.local.instance import CONSOLE_PACKAGES, Instance
from services.local.log_writer import LogWriter
from services.local.processes import Child, ProcessIdentity, end_all, send_output
from services.local.supervisor_state import Phase, ProcessState, SupervisorState, read_state
from shared.foundation.telemetry import error_summary

CHECK_EVERY = 0.2  # seconds between two checks of the children
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
FETCH_PAGES = 30.0  # seconds for the front-end packages, once
HEALTHY_AFTER = 30.0  # seconds of running after which the next pause is short again


class _StopRequested(BaseException):
    """SIGTERM or SIGINT was received."""


@dataclass(slots=True)
class SupervisedProcess:
    """A supervised process: how to start it, and how often it has ended."""

    name: str
    launch: Callable[[], Child | None]
    child: Child
    since: float
    exits: int = 0
    in_a_row: int = 0
    last: str = ""
    pause: float = FIRST_PAUSE
    restart_at: float | None = None  # monotonic; set while the process is down

    def check(self, now: float) -> bool:
        """Detect an exit, and restart the process when its pause is over.

        Return whether something changed.
        """
        if self.restart_at is None:
            if self.child.running():
                self.pause = FIRST_PAUSE if now - self.since > HEALTHY_AFTER else self.pause
                return False
            signalled = self.child.popen.returncode < 0
            self.in_a_row = 1 if now - self.since > HEALTHY_AFTER else self.in_a_row + 1
            self.exits, self.last = self.exits + 1, f"{'killed by ' if signalled else ''}{self.child.end()}"
            self.restart_at, self.pause = now + self.pause, min(LONGEST_PAUSE, self.pause * 2)
            return True
        if now < self.restart_at:
            return False
        child = self.launch()
        if child:
            self.child, self.since, self.restart_at = child, now, None
        return True


@dataclass(slots=True)
class Supervisor:
    """Supervises one instance until a signal.

    Run it in the main thread: the children end with that thread.
    """

    instance: Instance
    began: float = field(default_factory=time.monotonic)
    state: SupervisorState = field(
        default_factory=lambda: SupervisorState(ProcessIdentity.of("supervisor", os.getpid()))
    )
    supervised: list[SupervisedProcess] = field(default_factory=list)
    without: frozenset[str] = frozenset()
    logs: LogWriter = field(default_factory=LogWriter)

    def run(self) -> int:
        """Return the exit code: 0 after a stop, 1 when the start failed; the state contains the reason."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _request_stop)
        try:
            self._open_logs()
            self._start()
            disk = DiskWatch(self.instance.folder.directory)
            while True:
                time.sleep(CHECK_EVERY)
                self.logs.check()
                if disk.has_room_again():
                    self._start_again(self.instance.stack.store)
                changed = [one.check(time.monotonic()) for one in self.supervised]  # a list: all are checked
                if any(changed):
                    self._report("running")
        except _StopRequested:
            return 0
        except LocalError as problem:
            self.state.problem = str(problem)
            print(problem, file=sys.stderr)
            return 1
        except Exception as error:  # noqa: BLE001 - `regista up` shows it, and the log has its traceback
            self.state.problem = f"{error_summary(error)} (details: {self.instance.folder.log('supervisor')})"
            traceback.print_exc()
            return 1
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            self._stop()

    def _open_logs(self) -> None:
        """Let the processes write through the log writer, which bounds their files."""
        folder = self.instance.folder
        self.logs.start(
            [folder.log(name) for name in (*self.instance.stack.servers(), *PROCESSES)],
            folder.log("supervisor"),
        )
        send_output(self.logs.outputs())

    def _start_again(self, name: str) -> None:
        """Kill a process: the next check finds that it ended, and starts it."""
        for one in self.supervised:
            if one.name == name:
                one.child.kill()

    def _start(self) -> None:
        left = read_state(self.instance.folder)
        if left:
            end_all(left.identities())
        self.instance.choose_ports()
        self.instance.write_profile()
        self._report("starting")
        self.instance.stack.start(on_ready=self._server_ready)
        for name, server in self.instance.stack.servers().items():
            child = next((one for one in self.instance.stack.children if one.identity.name == name), None)
            if child:
                self.supervised.append(SupervisedProcess(name, server.launch, child, time.monotonic()))
        self._report("running")

    def _server_ready(self, name: str) -> None:
        """Start the services as soon as the database is migrated.

        They wait for the other servers themselves.
        """
        self._step(name)
        if name == "postgres":
            self._fetch_pages()
            if self.instance.migrate(bootstrap=self.without != frozenset(PROCESSES)):
                self._step("database set up")
            for service in PROCESSES:
                if service not in self.without:
                    self._keep(service)
            self._step("services started")

    def _fetch_pages(self) -> None:
        """Fetch the front-end packages of the console, once. Without them its pages work, too."""
        if "console" in self.without:
            return
        try:
            npm.installed(CONSOLE_PACKAGES, "the console's front-end packages", timeout=FETCH_PAGES)
        except LocalError as missing:
            print(missing, file=sys.stderr)

    def _keep(self, service: str) -> None:
        def launch() -> Child:
            return self.instance.launch(service)

        self.supervised.append(SupervisedProcess(service, launch, launch(), time.monotonic()))
        self._report("starting")

    def _step(self, name: str) -> None:
        self.state.steps.append((name, round(time.monotonic() - self.began, 2)))
        self._report("starting")

    def _report(self, phase: Phase) -> None:
        self.state.phase = phase
        self.state.without = sorted(self.without)
        offset = time.time() - time.monotonic()
        found = {
            one.name: ProcessState(
                one.child.identity, round(one.since + offset, 1), one.exits, one.last, one.in_a_row
            )
            for one in self.supervised
        }
        servers = {
            c.identity.name: ProcessState(c.identity, time.time()) for c in self.instance.stack.children
        }
        self.state.processes = servers | found
        self.state.save(self.instance.folder)

    def _stop(self) -> None:
        """Stop the services in parallel, then the servers."""
        failed = bool(self.state.problem)
        self._report("failed" if failed else "stopping")
        services = [one.child for one in self.supervised if one.name in PROCESSES]
        if services:
            with ThreadPoolExecutor(len(services)) as threads:
                list(threads.map(Child.stop, services))
        self.instance.stack.adopt({one.name: one.child for one in self.supervised})
        self.instance.stack.stop()
        self.supervised.clear()
        send_output({})
        self.logs.close()
        self._report("failed" if failed else "stopping")


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    raise _StopRequested


def supervise(folder: InstanceFolder, without: frozenset[str] = frozenset()) -> int:
    """Run the supervisor of a folder, without these services. Raises LocalError when one runs already."""
    with (folder.subfolder() / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(
                f"{folder.directory} is running already: `regista status`, or `regista down` first"
            ) from None
        return Supervisor(Instance.at(folder), without=without).run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.supervisor", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="the instance's folder")
    parser.add_argument("--without", choices=PROCESSES, action="append", default=[], help="not started")
    chosen = parser.parse_args()
    try:
        code = supervise(InstanceFolder(chosen.directory.resolve()), frozenset(chosen.without))
    except LocalError as problem:
        sys.exit(str(problem))
    sys.stderr.flush()
    os._exit(code)  # a thread may still wait for a server that has ended


if __name__ == "__main__":
    main()
