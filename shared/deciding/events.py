"""Events as they are stored: the envelope, its deterministic bytes, and the way back from them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as verified at the edge.

    `subject` is opaque; `method` is how it was proven (`api-key:<key id>`, `signature:<key id>`, `service`).
    """

    subject: str
    issuer: str = "regista"
    method: str = "service"
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a noted event comes from: another service's stream and the revision it had there."""

    service: str
    stream: str
    revision: int
    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Noted:
    """What this service remembers of another's event.

    `leaf` is the hex leaf of that event; `data` its public form.
    """

    source: Source
    leaf: str
    data: dict[str, Any]


class Cursor(NamedTuple):
    """A place in the log: transaction, then sequence.

    Never sequence alone (it becomes visible out of order).
    """

    tx: int
    seq: int


START = Cursor(0, 0)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One event of the log: its envelope, the decoded `event`, and the exact stored `bytes`, which are the truth."""

    service: str
    stream: str
    revision: int
    event_id: UUID
    type: str
    schema: int
    recorded_at: datetime
    actor: Actor
    event: Any
    bytes: bytes
    occurred_at: datetime | None = None
    reason: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace: str = ""
    cursor: Cursor | None = None

    @property
    def leaf(self) -> str:
        """Hex of SHA-256 over 0x00 and the stored bytes (RFC 6962 leaf hash)."""
        return hashlib.sha256(b"\x00" + self.bytes).hexdigest()


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What the stored bytes hold: all an auditor needs, once."""

    id: UUID
    type: str
    schema: int
    stream: str
    revision: int
    recorded_at: datetime
    actor: Actor
    data: msgspec.Raw
    occurred_at: datetime | None = None
    reason: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace: str = ""


class Recent:
    """Past events that were written or asked for lately, by (stream, revision).

    They never change; only another server, that lost the newest, may have others.
    """

    def __init__(self, capacity: int) -> None:
        self._events: OrderedDict[tuple[str, int], tuple[UUID, Any]] = OrderedDict()
        self._capacity = capacity

    def get(self, name: tuple[str, int], id_: UUID | None = None) -> Any | None:
        """The event of this name, and of this id where one is given."""
        found = self._events.get(name)
        return None if found is None or id_ not in {None, found[0]} else found[1]

    def put(self, recorded: Recorded) -> None:
        self._events[recorded.stream, recorded.revision] = (recorded.event_id, recorded.event)
        if len(self._events) > self._capacity:
            self._events.popitem(last=False)

    def clear(self) -> None:
        self._events.clear()


NUL = b"\\u0000"
"""The character NUL as JSON writes it: PostgreSQL keeps no text with it."""

_encoder = msgspec.json.Encoder(order="sorted")
_envelopes = msgspec.json.Decoder(Envelope)

NOTHING_RECENT = Recent(0)

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


def encode(value: Any) -> bytes:
    """Deterministic JSON: sorted keys, no spaces."""
    return _encoder.encode(value)


def storable(raw: bytes) -> Any:
    """JSON from outside, decoded.

    Raises ValueError for what is no JSON (NaN is none) and for the NUL character, which PostgreSQL cannot
    keep.
    """
    if NUL in raw:
        raise ValueError("a text holds the character NUL")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None


@dataclass(frozen=True)
class EventTypes:
    """The event classes of a service by their stored name, and the upcasters of their older schemas.

    A class carries its current schema number as `SCHEMA` (1 where absent). `upcasters[(type, n)]` turns the
    data of schema n into that of n + 1.
    """

    classes: tuple[type, ...]
    upcasters: Mapping[tuple[str, int], Upcaster] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "_decoders", {c.__name__: (c, msgspec.json.Decoder(c)) for c in (*self.classes, Noted)}
        )

    def in_brief(self, parts: Mapping[type, type]) -> EventTypes:
        """The same types, of which some are read into classes that hold only part of their fields: reading those is much less work."""
        brief = EventTypes(self.classes, self.upcasters)
        for class_, part in parts.items():
            brief._decoders[class_.__name__] = (class_, msgspec.json.Decoder(part))  # type: ignore[attr-defined]
        return brief

    def schema_of(self, event: Any) -> int:
        """The schema number that `event` is stored under.

        Raises TypeError for a class that could not be read back: nothing such is ever stored.
        """
        known = self._decoders.get(type(event).__name__)  # type: ignore[attr-defined]
        if known is None or known[0] is not type(event):
            msg = f"{type(event).__name__} is not among the service's event classes: add it to its EventTypes"
            raise TypeError(msg)
        return getattr(known[0], "SCHEMA", 1)

    def decode(self, type_: str, schema: int, data: bytes | msgspec.Raw) -> Any:
        """The event of today's class; older schemas pass their upcasters first.

        Raises KeyError for a type this service does not have and msgspec.ValidationError for data that does
        not fit.
        """
        class_, decoder = self._decoders[type_]  # type: ignore[attr-defined]
        current = getattr(class_, "SCHEMA", 1)
        if schema == current:
            return decoder.decode(data)
        old = msgspec.json.decode(data)
        for step in range(schema, current):
            old = self.upcasters[(type_, step)](old)
        return msgspec.convert(old, decoder.type)

    def recorded(
        self, service: str, stored: bytes, cursor: Cursor | None = None, recent: Recent = NOTHING_RECENT
    ) -> Recorded:
        """Reads stored bytes back. What stands among `recent` is not decoded again."""
        e = _envelopes.decode(stored)
        event = recent.get((e.stream, e.revision), e.id)
        if event is None:
            event = self.decode(e.type, e.schema, e.data)
        return Recorded(
            service,
            e.stream,
            e.revision,
            e.id,
            e.type,
            e.schema,
            e.recorded_at,
            e.actor,
            event,
            stored,
            e.occurred_at,
            e.reason,
            e.correlation_id,
            e.causation_id,
            e.trace,
            cursor,
        )
