"""Read stored bytes of any service: the envelope, and which models an event concerns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard
from uuid import UUID

import msgspec

from shared.deciding.events import Actor, Cursor

MODEL_STREAMS = frozenset({"model", "retention", "gate"})
"""Kinds of streams whose name is `<kind>-<model id>`, perhaps with `@<number>` behind it."""

KEY_BYTES, TEXT_BYTES = 2_000, 500
"""UTF-8 bytes of a text in an index entry, and of a second text beside it:

PostgreSQL refuses entries over 2,704 bytes.
"""

SHARED_STREAMS = "artifact-"
"""In these streams an event that names no model concerns every model that an earlier event of the stream
named.
"""

UNREADABLE = datetime(1970, 1, 1, tzinfo=UTC)
"""When an event was recorded whose bytes are no envelope."""

_NOTHING = msgspec.Raw(b"null")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class _Envelope(msgspec.Struct, frozen=True):
    recorded_at: datetime
    actor: Actor
    schema: int = 1
    occurred_at: datetime | None = None
    reason: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace: str = ""
    data: msgspec.Raw = _NOTHING


class _Head(msgspec.Struct, frozen=True):
    """The fields that state what an event is about. Decoding the others, too, would take twice the time.

    A publisher may have written any of them: each has any type.
    """

    model_id: Any = None
    model: Any = None
    number: Any = None
    from_number: Any = None
    to_number: Any = None
    environment: Any = None
    promotion_id: Any = None
    versions: Any = None
    entries: Any = None
    previous: Any = None
    parents: Any = None
    child_model_id: Any = None
    child_number: Any = None
    model_ids: Any = None
    metadata: msgspec.Raw = _NOTHING
    about: msgspec.Raw = _NOTHING
    data: msgspec.Raw = _NOTHING


class _Metadata(msgspec.Struct, frozen=True):
    parents: Any = None


_envelopes = msgspec.json.Decoder(_Envelope)
_head_decoder = msgspec.json.Decoder(_Head)
_metadata_decoder = msgspec.json.Decoder(_Metadata)


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the log: its position and its bytes, which are the truth."""

    cursor: Cursor
    service: str
    stream: str
    revision: int
    event_id: UUID
    type: str
    leaf: bytes
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """What can be read of an event.

    `number` is the version it is about. `models` are the ids of the models it concerns, each with the
    versions it names (a rollout names several); `names` are the names it gives models, by id.
    """

    stored: Stored
    schema: int
    recorded_at: datetime
    occurred_at: datetime | None
    actor: Actor
    reason: str
    correlation_id: str
    causation_id: str
    trace: str
    number: int | None
    environment: str | None
    promotion_id: str | None
    models: Mapping[str, frozenset[int]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def read(stored: Stored) -> Entry:
    """Return what can be read of an event.

    Bytes that are no envelope give an entry with the actor `unreadable`.
    """
    try:
        e = _envelopes.decode(stored.bytes)
        heads = _heads(e.data)
    except msgspec.MsgspecError:
        e, heads = _Envelope(UNREADABLE, Actor("unreadable", method="none")), []
    own = model_of_stream(stored.stream)
    return Entry(
        stored,
        e.schema,
        e.recorded_at,
        e.occurred_at,
        e.actor,
        e.reason,
        e.correlation_id,
        e.causation_id,
        e.trace,
        _first([head.number for head in heads], int),
        _first([head.environment for head in heads], str),
        _first([head.promotion_id for head in heads], str),
        _models(heads, own),
        _names(heads, own if stored.stream.startswith("model-") else None),
    )


def recorded_at(stored: bytes) -> datetime:
    """Return when an event was recorded; UNREADABLE where its bytes are no envelope."""
    try:
        return _envelopes.decode(stored).recorded_at
    except msgspec.MsgspecError:
        return UNREADABLE


def key_of(text: str, longest: int = KEY_BYTES) -> str:
    """Return a text as indexed columns hold it.

    It is cut where it is longer than an index entry can be, and NUL is replaced: PostgreSQL's text has none.
    """
    text = text.replace("\x00", "\ufffd")
    return text if len(text) <= longest // 4 else text.encode()[:longest].decode(errors="ignore")


def _heads(data: msgspec.Raw) -> list[_Head]:
    """Return the objects that state what an event is about.

    They are its data, `about` in its data, and `data` of an event that it notes. Raises msgspec.MsgspecError.
    """
    if not _is_object(data):
        return []
    outer = _head_decoder.decode(data)
    return [outer, *(_head_decoder.decode(inner) for inner in (outer.about, outer.data) if _is_object(inner))]


def _is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _models(heads: list[_Head], own: str | None) -> dict[str, frozenset[int]]:
    """Return models with their versions from the fields that services write.

    Documents inside the event are not read: publishers write those.
    """
    found: dict[str, set[int]] = {own: set()} if own else {}
    for head in heads:
        about: str | None = head.model_id if _is_id(head.model_id) else own
        if about:
            found.setdefault(about, set()).update(_numbers(head))
        for version in _versions(head):
            if _is_id(model_id := version.get("model_id")):
                found.setdefault(model_id, set()).update(filter(_is_number, [version.get("number")]))
        for model_id in head.model_ids if isinstance(head.model_ids, list) else ():
            if _is_id(model_id):
                found.setdefault(model_id, set())
    return {model_id: frozenset(numbers) for model_id, numbers in found.items()}


def _versions(head: _Head) -> list[dict[str, Any]]:
    """Return the versions that a head names beside its own: of a list, its parents, its child."""
    named = [*_objects_in(head.versions), *_objects_in(head.parents)]
    if _is_object(head.metadata):
        named += _objects_in(_metadata_decoder.decode(head.metadata).parents)
    if head.child_model_id is not None:
        named.append({"model_id": head.child_model_id, "number": head.child_number})
    return named


def _objects_in(value: Any) -> list[dict[str, Any]]:
    return [inner for inner in value if isinstance(inner, dict)] if isinstance(value, list) else []


def _numbers(head: _Head) -> list[int]:
    """Return the numbers that the head and the objects of its rollouts name."""
    named = [head.number, head.from_number, head.to_number]
    for inner in (*_objects_in(head.entries), *_objects_in(head.previous)):
        named += [inner.get("number"), inner.get("from_number"), inner.get("to_number")]
    return list(filter(_is_number, named))


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def model_of_stream(stream: str) -> str | None:
    """Return the model id in a stream's name, or None."""
    kind, _, rest = stream.partition("-")
    model_id = rest.partition("@")[0]
    return model_id if kind in MODEL_STREAMS and is_uuid(model_id) else None


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID in its usual form."""
    return _UUID.fullmatch(text) is not None


def _first(values: list[Any], type_: type) -> Any:
    for value in values:
        if _is_number(value) if type_ is int else isinstance(value, type_):
            return value
    return None


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and is_uuid(value)


def _names(heads: list[_Head], own: str | None) -> dict[str, str]:
    """Return names by model id from the fields that services write.

    In a model's own stream the outermost name is its own.

    Documents inside the event are not read: a name decides who may read a model's timeline, and publishers
    write those documents.
    """
    found = {
        head.model_id: head.model
        for head in reversed(heads)
        if isinstance(head.model, str) and _is_id(head.model_id)
    }
    if own and heads and isinstance(heads[0].model, str):
        found[own] = heads[0].model
    return {model_id: name for model_id, name in found.items() if name}


def owners(stream: str, data: Any) -> frozenset[str]:
    """Return the models whose readers may read the event.

    It is the model of its stream, else those it is about, else all it names.
    """
    if own := model_of_stream(stream):
        return frozenset({own})
    heads = _heads(msgspec.Raw(msgspec.json.encode(data)))
    about = frozenset(head.model_id for head in heads if _is_id(head.model_id))
    return about or frozenset(_models(heads, None))


def named_models(stream: str, data: Any) -> frozenset[str]:
    """Return the ids of the models that the event names, with that of its stream."""
    heads = _heads(msgspec.Raw(msgspec.json.encode(data)))
    return frozenset(_models(heads, model_of_stream(stream)))


Known = dict[str, dict[str, frozenset[int]]]
"""By stream: the models that its events named so far, each with its versions."""


def concerned(entries: Iterable[Entry], known: Known) -> Iterator[tuple[Entry, Mapping[str, frozenset[int]]]]:
    """Yield each event with the models it concerns, in the log's order. Updates `known`.

    An event of a shared stream that names no model concerns those of the events before it.
    """
    for entry in entries:
        stream = entry.stored.stream
        if not stream.startswith(SHARED_STREAMS):
            yield entry, entry.models
            continue
        before = known.setdefault(stream, {})
        for model_id, numbers in entry.models.items():
            before[model_id] = before.get(model_id, frozenset()) | numbers
        yield entry, entry.models or dict(before)


def shared_streams(entries: Sequence[Entry]) -> list[str]:
    """Return the streams of which `concerned` needs what their events named before."""
    return sorted({e.stored.stream for e in entries if e.stored.stream.startswith(SHARED_STREAMS)})
