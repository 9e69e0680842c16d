"""Decide which denied attempts become events: the first of a subject, rule and hour, and the rest. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.deciding.decider import Decider
from shared.deciding.events import AttemptsDenied

UNKNOWN = ".unknown"
"""Who has no valid key. No identity can have this subject."""
MOST_DETAIL, MOST_TARGET = 300, 100


_PLAIN = re.compile(
    r"\d{1,12}|\d{1,9}\.\d{1,9}\.\d{1,9}|sha256:[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.ASCII,
)
"""Numbers, semantic versions, digests and ids, which hold no secret and no name."""
_AROUND = r"[\w.\-]"


def shown(typed: str, known: Container[str] = ()) -> str:
    """Return what a log that is never changed may keep of a text that a caller typed.

    A name that exists here, a number, an id or a digest is kept; of anything else, which may be a secret or
    a person's name, the beginning of its SHA-256: the same text has the same one.
    """
    if not typed or typed in known or _PLAIN.fullmatch(typed):
        return typed[:MOST_TARGET]
    return f"sha256:{hashlib.sha256(typed.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def without(text: str, typed: Iterable[str], known: Container[str] = ()) -> str:
    """Return a text in which each typed text, and its namespace, stands as `shown` gives it."""
    unknown = [one for one in typed if shown(one, known) != one[:MOST_TARGET]]
    words = {word for one in unknown for word in (one, one.rpartition(".")[0])} - {""}
    hidden = {word: shown(word, known) for word in words}
    if not hidden:
        return text
    longest_first = "|".join(re.escape(word) for word in sorted(hidden, key=len, reverse=True))
    return re.sub(
        f"(?<!{_AROUND})(?:{longest_first})(?![\\w\\-]|\\.\\w)", lambda match: hidden[match[0]], text
    )


def quoted(text: str) -> list[str]:
    """Return the texts in single quotation marks, which messages put around what a sender wrote."""
    return re.findall(r"'([^']+)'", text)


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
