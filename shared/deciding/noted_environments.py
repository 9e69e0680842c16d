"""The environments that the registry declared, as another service notes them (`environments-all`).

What was declared once stays known: a retired environment may still be named.
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


@dataclass(frozen=True, slots=True)
class Environments:
    """`noted` is the revision up to which the registry's environments were noted. Look-ups read the rows."""

    noted: int = 0


def decide(command: NoteEnvironment, state: Environments) -> Sequence[Noted]:
    """Return the note; nothing when it was noted."""
    if command.source.revision <= state.noted:
        return []
    return [Noted(command.source, command.leaf, command.data)]


def evolve(_state: Environments, event: Noted) -> Environments:
    return Environments(event.source.revision)


ENVIRONMENTS: Decider[NoteEnvironment, Noted, Environments] = Decider(
    "environments", Environments(), evolve, decide=decide
)
