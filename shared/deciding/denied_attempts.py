"""Decide which denied attempts become events: the first of a subject, rule and hour, and the rest. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.deciding.decider import Decider
from shared.deciding.events import AttemptsDenied

UNKNOWN = ".unknown"
"""Who has no valid key. No identity can have this subject."""
MOST_DETAIL, MOST_TARGET = 300, 100


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the hour."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def stream_of(service: str, subject: str) -> str:
    """Return the stream of what a service denied a subject. A stream's name is unique over all services."""
    return f"denied-{service}-{subject}"


@dataclass(frozen=True, slots=True)
class RecordDenied:
    """`opening`: the first attempt of the hour in this process. Else the rest, when the hour is over."""

    attempts: AttemptsDenied
    opening: bool


@dataclass(frozen=True, slots=True)
class DeniedState:
    """What was recorded of the newest hour, by code, action and model."""

    hour: str = ""
    recorded: frozenset[str] = frozenset()


def _key(event: AttemptsDenied) -> str:
    return f"{event.code}|{event.action}|{event.model_id}"


def decide(command: RecordDenied, state: DeniedState) -> Sequence[AttemptsDenied]:
    """Return the event. An opening that another process has recorded already leaves none."""
    attempts = command.attempts
    known = state.hour == attempts.hour.isoformat() and _key(attempts) in state.recorded
    return [] if command.opening and known else [attempts]


def evolve(state: DeniedState, event: AttemptsDenied) -> DeniedState:
    """Fold an event of the stream `denied-<service>-<subject>`."""
    hour = event.hour.isoformat()
    if hour < state.hour:
        return state
    recorded = state.recorded if hour == state.hour else frozenset[str]()
    return DeniedState(hour, recorded | {_key(event)})


DENIED_ATTEMPTS: Decider[RecordDenied, AttemptsDenied, DeniedState] = Decider(
    "denied", DeniedState(), evolve, decide=decide
)
