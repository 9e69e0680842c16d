"""The supervisor's state in one file.

Its own process, the supervised processes, and the steps of its start.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from services.local.folders import InstanceFolder
from services.local.processes import ProcessIdentity

FILE = "supervisor.json"
Phase = Literal["starting", "running", "stopping", "failed"]


@dataclass(slots=True)
class ProcessState:
    """One supervised process.

    `exits` counts its unexpected ends, `in_a_row` those since it last ran for a while; `last` describes the
    last one in one line.
    """

    identity: ProcessIdentity
    since: float
    exits: int = 0
    last: str = ""
    in_a_row: int = 0


@dataclass(slots=True)
class SupervisorState:
    """The content of the file.

    `steps` are (name, seconds), `problem` is why a start failed, `without` are the services not to start.
    """

    supervisor: ProcessIdentity
    phase: Phase = "starting"
    problem: str = ""
    steps: list[tuple[str, float]] = field(default_factory=list)
    processes: dict[str, ProcessState] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)

    def save(self, folder: InstanceFolder) -> None:
        """Replace the file in one step."""
        folder.write(FILE, {**asdict(self), "saved": time.time()})

    def identities(self) -> list[ProcessIdentity]:
        """Return the supervised processes, without the supervisor."""
        return [one.identity for one in self.processes.values()]


def read_state(folder: InstanceFolder) -> SupervisorState | None:
    """Return the last state that a supervisor wrote, or None."""
    found = folder.read(FILE)
    return _state(found) if found else None


def _state(found: dict[str, Any]) -> SupervisorState:
    processes = {
        name: ProcessState(ProcessIdentity(**one.pop("identity")), **one)
        for name, one in found["processes"].items()
    }
    steps = [(name, seconds) for name, seconds in found["steps"]]
    return SupervisorState(
        ProcessIdentity(**found["supervisor"]),
        found["phase"],
        found["problem"],
        steps,
        processes,
        found.get("without", []),
    )
