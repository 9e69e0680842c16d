"""Read the records of a dead-letter topic: dead letters, and markers of what operators did with them.

A dead letter has the identity of its cause: the consumer group and the message, wherever the message stands.
Records with one cause are one dead letter, however often they were written. A marker closes the dead letter
up to the newest record that its operator saw; a later record opens it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from shared.messaging.kafka import Record

OWN = "regista-"
REPLAYED, DISMISSED = "replayed", "dismissed"
NOT_AUTHENTIC, TOO_LARGE = "not_authentic", "too_large"
"""The codes of dead letters whose signer is not verified."""
Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it is listed.

    `id` is `<dead-letter topic>~<partition>~<offset>` of its first record. `times` counts its records: it was
    replayed and refused again. `signer` is what the message claims as its source.
    """

    id: str
    topic: str
    partition: int
    offset: int
    reason: str
    group: str
    at: datetime
    size: int
    key: str = ""
    type: str = ""
    subject: str = ""
    replayed: bool = False
    replayed_by: str = ""
    code: str = ""
    signer: str = ""
    cause: str = ""
    times: int = 1
    first_at: datetime | None = None
    dismissed: bool = False
    closed_by: str = ""
    closed_at: datetime | None = None
    closed_reason: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetterDetail:
    """A dead letter with headers and value. `encoding` is `text`, or `base64` for other than UTF-8."""

    letter: DeadLetter
    headers: dict[str, str]
    value: str
    encoding: str


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Open dead letters of one topic, consumer group, code and signer; `example` is the newest one's id."""

    topic: str
    group: str
    code: str
    signer: str
    count: int
    oldest: datetime
    newest: datetime
    example: str
    reason: str


@dataclass(frozen=True, slots=True)
class Marker:
    """A record of an operator who replayed or dismissed a dead letter, seen up to `covers`."""

    id: str
    how: str
    by: str
    at: datetime
    covers: datetime | None = None
    reason: str = ""


@dataclass(slots=True)
class _Merged:
    letters: list[DeadLetter] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)


def id_of(record: Record) -> str:
    return f"{record.topic}~{record.partition}~{record.offset}"


def own(**about: object) -> list[tuple[str, bytes]]:
    """Return headers of this software."""
    return [(OWN + name, str(value).encode()) for name, value in about.items()]


def kept(headers: Headers) -> list[tuple[str, bytes]]:
    """Return the headers of the original message."""
    return [(name, value) for name, value in headers if not name.startswith(OWN)]


def cause_of(record: Record, group: str) -> str:
    """Return the identity of a message that `group` refused.

    The same message sent again is the same cause. A message without a value has only its position.
    """
    parts = [group.encode(), record.topic.encode(), record.key or b"", record.value or b""]
    parts += [part for name, value in kept(record.headers) for part in (name.encode(), value or b"")]
    if not record.value:
        parts.append(f"{record.partition}~{record.offset}".encode())
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def _about(record: Record) -> dict[str, str]:
    return {
        name[len(OWN) :]: value.decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(OWN)
    }


def _moment(record: Record) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def marker(record: Record) -> Marker | None:
    """Return the marker that this record is, or None for a dead letter."""
    about = _about(record)
    for how in (REPLAYED, DISMISSED):
        if how in about:
            covers = about.get("covers")
            return Marker(
                about[how],
                how,
                about.get(f"{how}-by", ""),
                _moment(record),
                datetime.fromisoformat(covers) if covers else None,
                about.get("why", ""),
            )
    return None


def dead_letter(record: Record) -> DeadLetter:
    """Return the dead letter that this record is."""
    about = _about(record)
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    at = _moment(record)
    return DeadLetter(
        id_of(record),
        about.get("topic", ""),
        int(about.get("partition", -1)),
        int(about.get("offset", -1)),
        about.get("reason", ""),
        about.get("group", ""),
        at,
        int(about.get("value-size", len(record.value or b""))),
        (record.key or b"").decode("utf-8", "replace"),
        headers.get("ce_type", ""),
        headers.get("ce_subject", ""),
        code=about.get("code", ""),
        signer=headers.get("ce_source", ""),
        cause=about.get("cause") or id_of(record),
        first_at=at,
    )


def merged(records: Iterable[DeadLetter | Marker]) -> list[DeadLetter]:
    """Return one dead letter for each cause, with the state that the newest marker gives it."""
    by_cause: dict[str, _Merged] = {}
    cause_of_id: dict[str, str] = {}
    markers: list[Marker] = []
    for record in records:
        if isinstance(record, Marker):
            markers.append(record)
        else:
            by_cause.setdefault(record.cause, _Merged()).letters.append(record)
            cause_of_id[record.id] = record.cause
    for one in markers:
        if one.id in cause_of_id:
            by_cause[cause_of_id[one.id]].markers.append(one)
    return [_of_cause(found) for found in by_cause.values()]


def _of_cause(found: _Merged) -> DeadLetter:
    letters = sorted(found.letters, key=lambda one: (one.at, one.id))
    first, newest = letters[0], letters[-1]
    closing = [one for one in found.markers if _covers(one, newest)]
    state: dict[str, object] = {}
    if closing:
        last = max(closing, key=lambda one: one.at)
        state = {
            "replayed": last.how == REPLAYED,
            "replayed_by": last.by if last.how == REPLAYED else "",
            "dismissed": last.how == DISMISSED,
            "closed_by": last.by,
            "closed_at": last.at,
            "closed_reason": last.reason,
        }
    values = {name: getattr(newest, name) for name in DeadLetter.__slots__}
    values |= {"id": first.id, "times": len(letters), "first_at": first.at, **state}
    return DeadLetter(**values)


def _covers(one: Marker, newest: DeadLetter) -> bool:
    return newest.at <= one.covers if one.covers is not None else one.id == newest.id


def grouped(letters: Iterable[DeadLetter]) -> list[DeadLetterGroup]:
    """Return the groups of these dead letters, the largest first."""
    found = []
    key = lambda one: (one.topic, one.group, one.code or one.reason, one.signer)  # noqa: E731
    for (topic, group, code, signer), some in groupby(sorted(letters, key=key), key):
        members = sorted(some, key=lambda one: one.at)
        newest = members[-1]
        found.append(
            DeadLetterGroup(
                topic,
                group,
                code,
                signer,
                len(members),
                members[0].first_at or members[0].at,
                newest.at,
                newest.id,
                newest.reason,
            )
        )
    return sorted(found, key=lambda one: -one.count)
