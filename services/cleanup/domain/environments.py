"""The environments that the registry declared, as noted (`environments-all`).

A report of use names one of them. What was declared once stays known: a retired environment may still be
reported about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.deciding.decider import Decider
from shared.deciding.events import Noted, Source

ENVIRONMENT_CREATED = "regista.registry.EnvironmentCreated.v1"
STREAM = "environments-all"


class EnvironmentDeclared(msgspec.Struct, frozen=True):
    """The fields read of `EnvironmentCreated`. Models of the namespace use it; empty: all models."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class NoteEnvironment:
    """Note that the registry declared an environment."""

    source: Source
    leaf: str
    data: dict[str, Any]


def decide(command: NoteEnvironment, noted: int) -> Sequence[Noted]:
    """Return the note. `noted`: the registry's revision up to which its environments were noted."""
    if command.source.revision <= noted:
        return []
    return [Noted(command.source, command.leaf, command.data)]


def evolve(_noted: int, event: Noted) -> int:
    return event.source.revision


ENVIRONMENTS: Decider[NoteEnvironment, Noted, int] = Decider("environments", 0, evolve, decide=decide)
