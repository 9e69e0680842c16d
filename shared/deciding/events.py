"""Encode events into their stored form, the deterministic bytes of an envelope, and decode them."""

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
    """The verified author of a command or event.

    `subject` is opaque. `method` is the proof: `api-key:<key id>`, `oidc:<issuer key>`, `signature:<key id>`
    or `service`. An API key that has the roles of groups at an issuer is `api-key:<key id>@<issuer key>`.
    """

    subject: str
    issuer: str = "regista"
    method: str = "service"
    on_behalf_of: str | None = None


def key_id_of(method: str) -> str:
    """Return the id of the key that a method names; "" for one that names none."""
    proof, _, named = method.partition(":")
    return named.partition("@")[0] if proof in {"api-key", "signature"} else ""


@dataclass(frozen=True, slots=True)
class Source:
    """The position of a noted event in the log of its own service."""

    service: str
    stream: str
    revision: int
    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Noted:
    """The copy of another service's event in a stream of this service.

    `leaf` is the hex leaf of that event, `data` its public form.
    """

    source: Source
    leaf: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AttemptsDenied:
    """A subject tried what a rule forbids, `count` times in an hour since the last event about the same.

    Written by the service that denied, in the stream `denied-<service>-<subject>`. `code` is the rule,
    `action` the route or the type of the message. `target` has the path parameters of the first attempt.
    """

    subject: str
    code: str
    action: str
    hour: datetime
    count: int
    first_at: datetime
    last_at: datetime
    detail: str
    target: dict[str, str]
    model_id: str = ""


KERNEL_EVENTS = (Noted, AttemptsDenied)
"""Events that every service may store. Its own classes do not list them."""


class Cursor(NamedTuple):
    """A position in the log: transaction, then sequence.

    The sequence alone is no order: its values become visible out of order.
    """

    tx: int
    seq: int


START = Cursor(0, 0)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event of the log: its envelope, the decoded `event`, and the exact `bytes` that are stored."""

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
    """The content of the stored bytes."""

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
    """A cache of events that were written or read lately, by (stream, revision).

    Events never change. Only a database server that was restored to an older state may have others.
    """

    def __init__(self, capacity: int) -> None:
        self._events: OrderedDict[tuple[str, int], tuple[UUID, Any]] = OrderedDict()
        self._capacity = capacity

    def get(self, name: tuple[str, int], id_: UUID | None = None) -> Any | None:
        """Return the event with this stream and revision, and with this id if one is given, or None."""
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

ACTOR = "$actor"
"""The key under which an upcaster finds the subject of the envelope's actor. No event has such a field."""


def from_actor(name: str) -> Upcaster:
    """Return an upcaster that adds a field which older events have in their envelope only: who did it."""
    return lambda data: data | {name: data[ACTOR]}


def encode(value: object) -> bytes:
    """Return deterministic JSON: sorted keys, no spaces."""
    return _encoder.encode(value)


def storable(raw: bytes) -> Any:
    """Decode JSON from outside.

    Raises ValueError for what is not JSON (NaN is not) and for the character NUL, which PostgreSQL cannot
    store.
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

    A class has its current schema number in `SCHEMA` (1 without it). `upcasters[(type, n)]` converts the data
    of schema n into that of schema n + 1; see `from_actor` for what is taken from the envelope.
    """

    classes: tuple[type, ...]
    upcasters: Mapping[tuple[str, int], Upcaster] = field(default_factory=dict)

    _decoders: dict[str, tuple[type, msgspec.json.Decoder[Any]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _whole: dict[bytes, msgspec.json.Decoder[Any] | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self._decoders.update(
            {c.__name__: (c, msgspec.json.Decoder(c)) for c in (*self.classes, *KERNEL_EVENTS)}
        )

    def in_brief(self, parts: Mapping[type, type]) -> EventTypes:
        """Return the same types, some of which decode into classes with fewer fields, at lower cost."""
        brief = EventTypes(self.classes, self.upcasters)
        for class_, part in parts.items():
            brief._decoders[class_.__name__] = (class_, msgspec.json.Decoder(part))
        return brief

    def schema_of(self, event: object) -> int:
        """Return the schema number of `event`. Raises TypeError for a class that is not one of `classes`."""
        known = self._decoders.get(type(event).__name__)
        if known is None or known[0] is not type(event):
            msg = (
                f"{type(event).__name__} is not one of the service's event classes: add it to its EventTypes"
            )
            raise TypeError(msg)
        return getattr(known[0], "SCHEMA", 1)

    def decode(self, type_: str, schema: int, data: bytes | msgspec.Raw, actor: str = "") -> Any:
        """Return the event in its current class; data of older schemas pass the upcasters first.

        `actor` is the subject of the envelope's actor.
        Raises KeyError for an unknown type, and msgspec.ValidationError for data that does not fit the class.
        """
        class_, decoder = self._decoders[type_]
        current = getattr(class_, "SCHEMA", 1)
        if schema == current:
            return decoder.decode(data)
        old = msgspec.json.decode(data)
        for step in range(schema, current):
            old = self.upcasters[(type_, step)]({**old, ACTOR: actor})
        return msgspec.convert({name: value for name, value in old.items() if name != ACTOR}, decoder.type)

    def recorded(
        self, service: str, stored: bytes, cursor: Cursor | None = None, recent: Recent = NOTHING_RECENT
    ) -> Recorded:
        """Return the event of stored bytes. One that is among `recent` is not decoded again.

        Raises what `decode` raises.
        """
        e = self._in_one_pass(stored) if recent is NOTHING_RECENT else None
        if e is not None:
            event = e.data
        else:
            e = _envelopes.decode(stored)
            event = recent.get((e.stream, e.revision), e.id)
            if event is None:
                event = self.decode(e.type, e.schema, e.data, e.actor.subject)
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

    def _in_one_pass(self, stored: bytes) -> Any | None:
        """Return the envelope with the event as its data; None where that takes two passes.

        Another schema and an unknown type take two.

        `type` is the last of the sorted keys, so the bytes end with its value.
        """
        name = stored[stored.rfind(b'"', 0, -2) + 1 : -2]
        try:
            decoder = self._whole[name]
        except KeyError:
            decoder = self._whole[name] = self._whole_decoder(name)
        if decoder is None:
            return None
        try:
            e = decoder.decode(stored)
        except msgspec.ValidationError:
            return None
        return e if e.schema == e.SCHEMA_NOW and e.type.encode() == name else None

    def _whole_decoder(self, name: bytes) -> msgspec.json.Decoder[Any] | None:
        known = self._decoders.get(name.decode(errors="replace"))
        if known is None:
            return None
        class_, decoder = known
        fields: list[Any] = []
        for f in msgspec.structs.fields(Envelope):
            type_ = decoder.type if f.name == "data" else f.type
            fields.append((f.name, type_) if f.required else (f.name, type_, f.default))
        now: dict[str, Any] = {"SCHEMA_NOW": getattr(class_, "SCHEMA", 1), "__annotations__": {}}
        return msgspec.json.Decoder(
            msgspec.defstruct(f"Whole{class_.__name__}", fields, namespace=now, frozen=True, gc=False)
        )
