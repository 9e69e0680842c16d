"""Starting and stopping an instance from outside its supervisor."""

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

import click

from services.local.instance import Instance, passed_on, python_command
from services.local.logs import COLOURS, follow
from services.local.places import REPOSITORY, LocalError, Place
from services.local.processes import end_all, tail
from services.local.stack import STATE as STACK
from services.local.state import State, read_state
from services.local.status import Status, gather
from services.local.topics import SERVICES, WRITERS

SERVERS = ("postgres", "kafka", "s3")
WRITE_LOGS = ("supervisor", *SERVERS, *SERVICES)

_detached: list[
    subprocess.Popen[bytes]
] = []  # supervisors outlive us; without a reference Python warns of each that it forgot one


@dataclass(slots=True)
class Progress:
    """Says each step of a start once."""

    say: Callable[[str], None] = click.echo
    began: float = field(default_factory=time.monotonic)
    _told: set[str] = field(default_factory=set)

    def steps(self, state: State) -> None:
        """What the supervisor has done since the last call."""
        for name, seconds in state.steps:
            self._once(name, seconds)

    def ready(self, status: Status) -> None:
        """What has become ready since the last call."""
        for part in status.parts:
            if part.ready and part.name in SERVICES:
                self._once(part.name, time.monotonic() - self.began, f" at {part.where}")

    def _once(self, name: str, seconds: float, where: str = "") -> None:
        if name not in self._told:
            self._told.add(name)
            self.say(f"{seconds:6.1f} s  {name}{where}")


def start(place: Place, patience: float, progress: Progress) -> Instance:
    """Starts the supervisor in the background and waits until everything is ready. Raises LocalError with the reason.

    An instance that runs already is waited for.
    """
    if not is_up(place):
        place.log("supervisor").write_text("")
        with place.log("supervisor").open("ab") as out:
            process = subprocess.Popen(
                python_command("services.local.supervisor", "--directory", str(place.directory)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=REPOSITORY,
                env=passed_on(),
            )
        _detached.append(process)
        _await_supervisor(place, process, progress)
    return _await_ready(place, patience, progress)


def _await_supervisor(place: Place, process: subprocess.Popen[bytes], progress: Progress) -> None:
    while True:
        state = read_state(place)
        if state and state.supervisor.pid == process.pid:
            progress.steps(state)
            if state.phase == "running":
                return
        if process.poll() is not None:
            reason = (
                state.problem
                if state and state.supervisor.pid == process.pid
                else tail(place.log("supervisor"))
            )
            raise LocalError(reason or f"the supervisor ended with code {process.returncode}")
        time.sleep(0.05)


def _await_ready(place: Place, patience: float, progress: Progress) -> Instance:
    deadline = time.monotonic() + patience
    instance = Instance.at(place)
    while True:
        found = gather(instance, lags=False)
        progress.ready(found)
        if found.ready:
            return instance
        if found.phase in {"stopped", "failed"}:
            raise LocalError(found.problem or "it was stopped")
        if time.monotonic() > deadline:
            waiting = "\n".join(
                f"  {part.name}: {part.why or 'starting'}" for part in found.parts if not part.ready
            )
            raise LocalError(
                f"not ready after {patience:.0f} s (still running; `regista logs`, `regista status`, `regista down`):\n{waiting}"
            )
        time.sleep(0.1)


def is_up(place: Place) -> bool:
    """True while a supervisor keeps the instance."""
    state = read_state(place)
    return state is not None and state.supervisor.alive()


def stop(place: Place) -> list[str]:
    """Ends the supervisor, which ends the rest in order; then whatever is left of this instance.

    Returns the names of what ran.
    """
    state = read_state(place)
    if state is None:
        return []
    ran = [one.name for one in (state.supervisor, *state.identities()) if one.alive()]
    end_all([state.supervisor], patience=45.0)
    last = read_state(place) or state
    end_all([*last.identities(), *state.identities()])
    return ran


def rebuilt(place: Place, services: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rebuilds read models, each by its service's own role. Raises LocalError."""
    if not is_up(place):
        raise LocalError("nothing runs: `regista up` first")
    instance = Instance.at(place)
    instance.stack.postgres.given = place.read(STACK).get("postgres_given", "")
    writers = [name for name in SERVICES if name in WRITERS.values()]
    urls = {name: instance.stack.database_url(name) for name in writers}
    done = subprocess.run(
        python_command("services.local.rebuild", *(services or writers)),
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env=passed_on() | {"REGISTA_DATABASE_URLS": json.dumps(urls)},
    )
    if done.returncode:
        raise LocalError(f"the rebuild failed:\n{done.stderr.strip()}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@contextlib.contextmanager
def stopping_when_interrupted(place: Place) -> Iterator[None]:
    """Ctrl-C or SIGTERM in here takes the whole instance down before it goes on."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        click.echo("\nstopping …")
        stop(place)
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def show_logs(place: Place, on: Callable[[], bool], names: Sequence[str] = (), lines: int = 0) -> None:
    """Prints log lines, each with its process's name in a colour of its own."""
    chosen = names or WRITE_LOGS
    width = max(map(len, chosen))

    def show(name: str, text: str) -> None:
        label = click.style(f"{name:<{width}} │", fg=COLOURS[chosen.index(name) % len(COLOURS)])
        click.echo(f"{label} {text}")

    follow(place, chosen, show, lines=lines, on=on)
