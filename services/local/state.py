"""What the supervisor tells others, in one file: its own process, the processes it keeps running, and the steps of its start."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from services.local.places import Place
from services.local.processes import Identity

FILE = "supervisor.json"
Phase = Literal["starting", "running", "stopping", "failed"]


@dataclass(slots=True)
class Running:
    """One process under the supervisor.

    `exits` counts how often it ended unasked; `last` says how it ended the last time.
    """

    identity: Identity
    since: float
    exits: int = 0
    last: str = ""


@dataclass(slots=True)
class State:
    """The whole file. `steps` are (name, seconds); `problem` is why a start failed."""

    supervisor: Identity
    phase: Phase = "starting"
    problem: str = ""
    steps: list[tuple[str, float]] = field(default_factory=list)
    processes: dict[str, Running] = field(default_factory=dict)

    def save(self, place: Place) -> None:
        """Replaces the file in one step."""
        place.write(FILE, {**asdict(self), "saved": time.time()})

    def identities(self) -> list[Identity]:
        """All processes it ever named that may still run, the supervisor not among them."""
        return [one.identity for one in self.processes.values()]


def read_state(place: Place) -> State | None:
    """What the last supervisor told, None where there never was one."""
    found = place.read(FILE)
    return _state(found) if found else None


def _state(found: dict[str, Any]) -> State:
    processes = {
        name: Running(Identity(**one.pop("identity")), **one) for name, one in found["processes"].items()
    }
    steps = [(name, seconds) for name, seconds in found["steps"]]
    return State(Identity(**found["supervisor"]), found["phase"], found["problem"], steps, processes)
