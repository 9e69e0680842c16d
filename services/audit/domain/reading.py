"""What can be read from stored bytes without knowing the service that wrote them: the envelope, and which model an event speaks of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard
from uuid import UUID

import msgspec

from shared.events import Actor, Cursor

MODEL_STREAMS = frozenset({"model", "retention", "gate"})
"""Kinds of streams whose name is `<kind>-<model id>`, perhaps with `@<number>` behind it."""

KEY_BYTES, TYPE_BYTES = 2_000, 500
"""UTF-8 bytes of a text, and of an event's type, in an index entry: PostgreSQL refuses entries over 2,704 bytes, and two texts share one."""

DEPTH = 6
UNREADABLE = datetime(1970, 1, 1, tzinfo=UTC)


class _Envelope(msgspec.Struct, frozen=True):
    recorded_at: datetime
    actor: Actor
    schema: int = 1
    occurred_at: datetime | None = None
    reason: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    trace: str = ""
    data: Any = None


_envelopes = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the log, as read: where it stands, and its bytes, which are the truth."""

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
    """What the index keeps of an event.

    `number` is the version it is about, `numbers` are all it names (a rollout names several). `models` are the ids it speaks of, `names` the
    models it calls by name: id → name.
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
    numbers: tuple[int, ...] = ()
    models: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)


def read(stored: Stored) -> Entry:
    """The index entry of an event. Bytes that are no envelope still get one: the event happened, whatever it says."""
    try:
        e = _envelopes.decode(stored.bytes)
    except msgspec.MsgspecError:
        e = _Envelope(UNREADABLE, Actor("unreadable", method="none"))
    parts, heads = list(_objects(e.data, DEPTH)), _heads(e.data)
    own = model_of_stream(stored.stream)
    return Entry(
        stored, e.schema, e.recorded_at, e.occurred_at, e.actor, e.reason, e.correlation_id, e.causation_id, e.trace,
        _first(heads, "number", int), _first(heads, "environment", str), _first(heads, "promotion_id", str), tuple(sorted(set(_numbers(heads)))),
        frozenset(_mentioned(parts)) | ({own} if own else frozenset()), _names(heads, own if stored.stream.startswith("model-") else None),
    )  # fmt: skip


def key_of(text: str, longest: int = KEY_BYTES) -> str:
    """A text as indexed columns hold it, and as they are asked for it: cut where it is longer than an index entry can be."""
    return text if len(text) <= longest // 4 else text.encode()[:longest].decode(errors="ignore")


def _heads(data: Any) -> list[dict[str, Any]]:
    """Where an event says what it is about: its data, `about` in it, and the data of another's event that it notes. Not the evidence inside."""
    if not isinstance(data, dict):
        return []
    inner = (data.get("about"), data.get("data"))
    return [data, *(head for head in inner if isinstance(head, dict))]


def _numbers(heads: list[dict[str, Any]]) -> Iterator[int]:
    for head in heads:
        entries = head.get("entries")
        places = [head, *(entry for entry in entries if isinstance(entry, dict))] if isinstance(entries, list) else [head]
        for place in places:
            for name in ("number", "from_number", "to_number"):
                value = place.get(name)
                if _is_number(value):
                    yield value


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def model_of_stream(stream: str) -> str | None:
    """The model id in a stream's name, or None."""
    kind, _, rest = stream.partition("-")
    model_id = rest.partition("@")[0]
    return model_id if kind in MODEL_STREAMS and _is_uuid(model_id) else None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _objects(data: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The objects in the data, outer before inner."""
    if depth == 0:
        return
    if isinstance(data, dict):
        yield data
        data = data.values()
    elif not isinstance(data, list):
        return
    for inner in data:
        yield from _objects(inner, depth - 1)


def _first(heads: list[dict[str, Any]], name: str, type_: type) -> Any:
    values = (head.get(name) for head in heads)
    return next((v for v in values if (_is_number(v) if type_ is int else isinstance(v, type_))), None)


def _mentioned(parts: list[dict[str, Any]]) -> Iterator[str]:
    """Ids only: what a publisher wrote into its documents under such a key may be anything, of any length."""
    for part in parts:
        for key, value in part.items():
            if key.endswith("model_id"):
                yield from _ids([value])
            elif key == "model_ids" and isinstance(value, list):
                yield from _ids(value)


def _ids(values: list[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str) and _is_uuid(value))


def _names(heads: list[dict[str, Any]], own: str | None) -> dict[str, str]:
    """Names by model id, as a service says them; in a model's own stream the outermost name is its own.

    Never from the documents inside: a name decides who may read a model's history, and publishers write those.
    """
    found = {h["model_id"]: h["model"] for h in reversed(heads) if isinstance(h.get("model"), str) and any(_ids([h.get("model_id")]))}
    if own and heads and isinstance(heads[0].get("model"), str):
        found[own] = heads[0]["model"]
    return {model_id: name for model_id, name in found.items() if name}
