"""What makes one service differ from another, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from shared.deciding.changes import Change
from shared.deciding.decider import Decider, Fold, Joint
from shared.deciding.events import EventTypes, Recorded


@dataclass(frozen=True, slots=True)
class PublicEvent:
    """What others may know of a stored event.

    `type` is the full public type (`regista.<service>.<Name>.v<n>`), `data` a dataclass of `publish.py`.
    """

    type: str
    data: Any


@dataclass(frozen=True, slots=True)
class Service:
    """A service to the kernel. `name` is its partition of the log, its database role and its topic at once.

    `folds` lists every kind of stream once; `deciders` says who decides each command type. `project` and
    `publish` are pure. `tables` are the read models: disposable, rebuilt from the log; `in_brief` gives for
    large event classes one with the fields that `project` reads, which is all that a rebuild decodes.
    `schema` is the database schema they live in.
    """

    name: str
    folds: Sequence[Fold[Any, Any]]
    deciders: Mapping[type, Decider[Any, Any, Any] | Joint[Any]]
    events: EventTypes
    project: Callable[[Recorded], Iterable[Change]]
    publish: Callable[[Recorded], PublicEvent | None]
    tables: Sequence[Table] = ()
    in_brief: Mapping[type, type] = field(default_factory=dict)
    schema: str = ""
