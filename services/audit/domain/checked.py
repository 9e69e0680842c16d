"""Compare what the log and the index store beside an event's bytes with what the bytes say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from regista.wire.merkle import leaf_hash
from services.audit.domain.reading import KEY_BYTES, TEXT_BYTES, Entry, key_of

INDEXED_COLUMNS = (
    "service",
    "stream",
    "revision",
    "event_id",
    "type",
    "recorded_at",
    "correlation_id",
    "number",
    "environment",
    "promotion_id",
)
"""The columns by which the index finds an event, besides its position."""


class _Claims(msgspec.Struct, frozen=True):
    id: str
    type: str
    schema: int
    stream: str
    revision: int


_claims = msgspec.json.Decoder(_Claims)


def column_faults(row: Mapping[str, Any]) -> list[str]:
    """Return which columns of a row of the log differ from its bytes: id, type, schema, stream, revision.

    Bytes that are no envelope claim nothing.
    """
    try:
        claims = _claims.decode(row["bytes"])
    except msgspec.MsgspecError:
        return []
    stored = (str(row["event_id"]), row["type"], row["schema"], row["stream"], row["revision"])
    contained = (claims.id, claims.type, claims.schema, claims.stream, claims.revision)
    names = ("event_id", "type", "schema", "stream", "revision")
    return [name for name, a, b in zip(names, stored, contained, strict=True) if a != b]


def shown_fault(row: Mapping[str, Any], entry: Entry) -> str:
    """Return why an event, or the way by which it was found, cannot be believed, or "" when nothing differs.

    `sealed` is the leaf that was sealed, None until then; `same` is whether the index names the event's
    position and id; `indexed_…` are the columns of the index, where it found the event.
    """
    if row["sealed"] is not None and leaf_hash(row["bytes"]) != row["sealed"]:
        return "its bytes are not what was sealed"
    if differing := column_faults(row):
        return f"its columns differ from its bytes: {', '.join(differing)}"
    if not row["same"]:
        return "the index has another position or id of it"
    by_index = [row[f"indexed_{name}"] for name in INDEXED_COLUMNS] if "indexed_type" in row else None
    return index_fault(entry, by_index) if by_index else ""


def indexed_values(entry: Entry) -> tuple[Any, ...]:
    """Return the columns of INDEXED_COLUMNS as the index stores them of an event."""
    s = entry.stored
    return (
        s.service,
        s.stream,
        s.revision,
        s.event_id,
        _key(s.type),
        entry.recorded_at,
        _key(entry.correlation_id),
        entry.number,
        _key(entry.environment, TEXT_BYTES),
        _key(entry.promotion_id),
    )


def index_fault(entry: Entry, found: Iterable[Any]) -> str:
    """Return which columns of the index differ from an event's bytes, or ""."""
    values = tuple(found)
    if not values:
        return "it is not in the index"
    wrong = [n for n, a, b in zip(INDEXED_COLUMNS, indexed_values(entry), values, strict=True) if a != b]
    return f"the index differs from its bytes: {', '.join(wrong)}" if wrong else ""


def _key(value: str | None, longest: int = KEY_BYTES) -> str | None:
    return key_of(value, longest) if value else value
