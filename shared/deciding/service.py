"""Describe to the kernel how one service differs from another, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from shared.deciding.changes import Change
from shared.deciding.decider import Decider, Fold, Joint
from shared.deciding.denied_attempts import DENIED_ATTEMPTS, RecordDenied
from shared.deciding.events import AttemptsDenied, EventTypes, Recorded


@dataclass(frozen=True, slots=True)
class PublicEvent:
    """The public form of a stored event.

    `type` is the full public type (`regista.<service>.<Name>.v<n>`), `data` a dataclass of `publish.py`.
    """

    type: str
    data: Any


@dataclass(frozen=True, slots=True)
class Service:
    """A service, as the kernel runs it.

    `name` is its partition of the log, its database role and the name in its topic. `folds` lists every kind
    of stream once; `deciders` maps each command type to what decides it. `events` are its event classes.
    `project` returns the row changes of an event, `publish` its public form; both are pure. `tables` are the
    read models, which are rebuilt from the log when they change. `schema` is their database schema; "" means
    `name`. `in_brief` maps a large event class to one with the fields that `project` reads: a rebuild decodes
    only those. `urgent` are event classes whose messages reach their readers while Kafka is unavailable.
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
    urgent: frozenset[type] = frozenset()

    def changes_of(self, recorded: Recorded) -> Iterable[Change]:
        """Return the row changes of an event. Denied attempts have none: audit reads them in the log."""
        return () if isinstance(recorded.event, AttemptsDenied) else self.project(recorded)

    def message_of(self, recorded: Recorded) -> PublicEvent | None:
        """Return the public form of an event. Denied attempts are not published."""
        return None if isinstance(recorded.event, AttemptsDenied) else self.publish(recorded)

    def decider_of(self, command: object) -> Decider[Any, Any, Any] | Joint[Any]:
        """Return what decides the command."""
        return DENIED_ATTEMPTS if isinstance(command, RecordDenied) else self.deciders[type(command)]
