"""Start and stop an instance from outside its supervisor."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from regista.cli.terminal.output import say
from services.kafka.topics import SERVICES, WRITERS
from services.local.end_reason import end_reason
from services.local.folders import REPOSITORY, InstanceFolder, LocalError
from services.local.fronts import OPTIONAL, PROCESSES
from services.local.instance import Instance, passed_on, python_command
from services.local.logs import COLOURS, LEVELS, follow
from services.local.processes import end_all
from services.local.stack import SERVERS, Stack
from services.local.stack import STATE as STACK
from services.local.status import Status, gather
from services.local.supervisor_state import SupervisorState, read_state

WRITE_LOGS = ("supervisor", *SERVERS, *PROCESSES)

WITH = "optional.json"
"""The file of an instance's folder that names the optional services it runs."""
PATIENT = 10.0
"""Seconds of a start after which it is shown what services wait for."""
GIVE_UP = 3
"""Ends of a process in a row after which it counts as one that cannot start."""

_detached: list[subprocess.Popen[bytes]] = []
"""Supervisors outlive this process; without a reference Python warns about each of them."""


@dataclass(slots=True)
class Progress:
    """Prints each step of a start once."""

    output: Callable[[str], None] = say
    began: float = field(default_factory=time.monotonic)
    _printed: set[str] = field(default_factory=set)

    def steps(self, state: SupervisorState) -> None:
        """Print the steps of the supervisor since the last call."""
        for name, seconds in state.steps:
            self._once(name, seconds)

    def ready(self, status: Status) -> None:
        """Print the services that became ready since the last call."""
        for part in status.parts:
            if part.ready and part.name in PROCESSES:
                self._once(part.name, time.monotonic() - self.began, f" at {part.where}")

    def waiting(self, status: Status) -> None:
        """Print why services do not become ready: how each ended, and what each has waited for a while."""
        seconds = time.monotonic() - self.began
        for part in status.parts:
            if part.ready or part.name not in PROCESSES or (part.running and seconds < PATIENT):
                continue
            why = f"{part.name} waits: {part.why}" if part.running else f"{part.name} ended: {part.why}"
            if (part.running and part.why) or part.exits:
                self._once(why, seconds)

    def _once(self, name: str, seconds: float, where: str = "") -> None:
        if name not in self._printed:
            self._printed.add(name)
            self.output(f"{seconds:6.1f} s  {name}{where}")


def start(
    folder: InstanceFolder, patience: float, progress: Progress, without: Sequence[str] = ()
) -> Instance:
    """Start the supervisor in the background and wait until everything is ready.

    If the instance runs already, wait for it. Raises LocalError with the reason.
    The services of `without` are not started; their settings are written to `<service>.env`.
    """
    if not is_up(folder):
        folder.log("supervisor").write_text("")
        left_out = (*without, *(name for name in OPTIONAL if name not in (*optional(folder), *without)))
        arguments = ["--directory", str(folder.directory), *(f"--without={name}" for name in left_out)]
        with folder.log("supervisor").open("ab") as out:
            process = subprocess.Popen(
                python_command("services.local.supervisor", *arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=REPOSITORY,
                env=passed_on(),
            )
        _detached.append(process)
        _await_supervisor(folder, process, progress)
    _check_without(folder, without)
    instance = _await_ready(folder, patience, progress)
    for name in without:
        instance.write_environment(name)
    return instance


def choose_sso(folder: InstanceFolder, *, runs: bool) -> None:
    """Let the instance have an issuer, or none any more. Raises LocalError when it runs otherwise."""
    stack = Stack(folder)
    if stack.sso != runs and is_up(folder):
        found = "with an issuer" if stack.sso else "without an issuer"
        raise LocalError(f"the instance runs already, {found}: run `regista down` first")
    stack.choose_sso(runs=runs)


def optional(folder: InstanceFolder) -> list[str]:
    """Return the services of OPTIONAL that the instance runs."""
    found: list[str] = folder.read(WITH).get("with", [])
    return found


def add_optional(folder: InstanceFolder, names: Sequence[str]) -> None:
    """Let the instance run optional services from its next start on.

    Raises LocalError when it runs without one of them.
    """
    if set(names) <= set(optional(folder)):
        return
    if is_up(folder):
        raise LocalError(f"the instance runs already, without {', '.join(names)}: run `regista down` first")
    folder.write(WITH, {"with": sorted({*optional(folder), *names})})


def _check_without(folder: InstanceFolder, without: Sequence[str]) -> None:
    state = read_state(folder)
    if state and set(without) - set(state.without):
        raise LocalError("the instance runs already, with all services: run `regista down` first")


def _await_supervisor(folder: InstanceFolder, process: subprocess.Popen[bytes], progress: Progress) -> None:
    while True:
        state = read_state(folder)
        if state and state.supervisor.pid == process.pid:
            progress.steps(state)
            if state.phase == "running":
                return
        if process.poll() is not None:
            reason = (
                state.problem
                if state and state.supervisor.pid == process.pid
                else end_reason(folder.log("supervisor"))
            )
            raise LocalError(reason or f"the supervisor ended with code {process.returncode}")
        time.sleep(0.05)


def _await_ready(folder: InstanceFolder, patience: float, progress: Progress) -> Instance:
    deadline = time.monotonic() + patience
    instance = Instance.at(folder)
    while True:
        found = gather(instance, lags=False)
        progress.ready(found)
        progress.waiting(found)
        if found.ready:
            return instance
        if found.phase in {"stopped", "failed"}:
            raise LocalError(found.problem or "it was stopped")
        if any(not part.ready and part.in_a_row >= GIVE_UP for part in found.parts):
            raise LocalError(_cannot_start(found))
        if time.monotonic() > deadline:
            waiting = "\n".join(
                f"  {part.name}: {part.why or 'starting'}" for part in found.parts if not part.ready
            )
            raise LocalError(
                f"not ready after {patience:.0f} s; still running: `regista logs`, `regista status`, "
                "`regista down`"
                f"\n{waiting}"
            )
        time.sleep(0.1)


def _cannot_start(status: Status) -> str:
    """Return in one line for each process that ends again and again why it does."""
    ending = [part for part in status.parts if not part.ready and part.in_a_row]
    lines = [f"{part.name} cannot start: {part.last or part.why}" for part in ending]
    return "\n".join(
        [*lines, "It is tried again; what started runs: `regista status`, `regista logs`, `regista down`"]
    )


def is_up(folder: InstanceFolder) -> bool:
    """Return whether a supervisor of the instance runs."""
    state = read_state(folder)
    return state is not None and state.supervisor.alive()


def stop(folder: InstanceFolder) -> list[str]:
    """Stop the supervisor, which stops the others in order; then end whatever is left of this instance.

    Returns the names of the processes that ran.
    """
    state = read_state(folder)
    if state is None:
        return []
    ran = [one.name for one in (state.supervisor, *state.identities()) if one.alive()]
    end_all([state.supervisor], patience=45.0)
    last = read_state(folder) or state
    end_all([*last.identities(), *state.identities()])
    for supervisor in _detached:
        supervisor.poll()  # the system keeps what has ended until its starter waits for it
    return ran


def rebuilt(folder: InstanceFolder, services: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rebuild read models, each by the role of its own service. Raises LocalError."""
    if not is_up(folder):
        raise LocalError("nothing runs: run `regista up` first")
    instance = Instance.at(folder)
    instance.stack.postgres.given = folder.read(STACK).get("postgres_given", "")
    left_out = set(OPTIONAL) - set(optional(folder))
    writers = [name for name in SERVICES if name in WRITERS.values() and name not in left_out]
    urls = {name: instance.stack.database_url(name) for name in writers}
    done = subprocess.run(
        python_command("services.local.rebuild", *(services or writers)),
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env=passed_on(),
        input=json.dumps(urls),
    )
    if done.returncode:
        raise LocalError(f"the rebuild failed:\n{done.stderr.strip()}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@contextlib.contextmanager
def stopping_when_interrupted(folder: InstanceFolder) -> Iterator[None]:
    """Stop the whole instance on Ctrl-C or SIGTERM, before the exception continues."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        say("\nstopping …")
        stop(folder)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def show_logs(
    folder: InstanceFolder,
    on: Callable[[], bool],
    names: Sequence[str] = (),
    lines: int = 0,
    level: str = LEVELS[0],
) -> None:
    """Print log lines, each with its process's name in its own colour."""
    chosen = names or WRITE_LOGS
    width = max(map(len, chosen))

    def show(name: str, text: str) -> None:
        say(f"{name:<{width}} │ ", fg=COLOURS[chosen.index(name) % len(COLOURS)], nl=False)
        say(text)

    follow(folder, chosen, show, lines=lines, on=on, level=level)
