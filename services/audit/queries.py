"""Find events through the index, and read what is shown of them from their stored bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.audit.domain.causal_tree import cause_in_log
from services.audit.domain.checked import INDEXED_COLUMNS, shown_fault
from services.audit.domain.reading import (
    TEXT_BYTES,
    UNREADABLE,
    Stored,
    is_uuid,
    key_of,
    read,
    recorded_at,
)
from services.audit.log_reader import partitions
from shared.deciding.events import Cursor

Event = dict[str, Any]

# The model by id, or by any name it ever had; of several models, the one that an event named so last.
MODEL = """
SELECT n.model_id, (
    SELECT l.name FROM audit.names l WHERE l.generation = n.generation AND l.model_id = n.model_id
    ORDER BY l.tx DESC, l.seq DESC LIMIT 1
) AS name
FROM audit.names n
WHERE n.generation = (SELECT generation FROM audit.index_state) AND (n.name = $1 OR n.model_id = $1)
ORDER BY n.tx DESC, n.seq DESC LIMIT 1
"""

# The current names of models.
NAMES = """
SELECT DISTINCT ON (n.model_id) n.model_id, n.name FROM audit.names n
WHERE n.generation = (SELECT generation FROM audit.index_state) AND n.model_id = ANY($1::text[])
ORDER BY n.model_id, n.tx DESC, n.seq DESC
"""

_SELECTED = ", ".join(f"found.{name} AS indexed_{name}" for name in INDEXED_COLUMNS)

# `found` in these statements are rows with tx, seq, service, stream and revision. LATERAL … LIMIT 1 is one
# look-up an event; where the planner expects many, a plain join would read the whole log.
STORED = f"""
SELECT found.tx, found.seq, e.service, e.stream, e.revision, e.event_id, e.type, e.leaf, e.bytes, e.schema,
    s.leaf_index, s.leaf AS sealed, found.event_id = e.event_id AND found.seq = e.seq
        AND found.tx = e.tx::text::bigint AS same, {_SELECTED}
FROM found CROSS JOIN LATERAL (
    SELECT l.* FROM log.events l
    WHERE l.service = found.service AND l.stream = found.stream AND l.revision = found.revision LIMIT 1
) AS e LEFT JOIN LATERAL (
    SELECT s.leaf_index, s.leaf FROM audit.sealed s WHERE s.seq = found.seq LIMIT 1
) AS s ON true
"""

_PART_OF_TIMELINE = """
(SELECT h.* FROM audit.mentions m CROSS JOIN LATERAL (
    SELECT i.* FROM audit.event_index i
    WHERE i.generation = m.generation AND i.tx = m.tx AND i.seq = m.seq LIMIT 1
) AS h
WHERE m.generation = (SELECT generation FROM audit.index_state) AND m.model_id = $1 AND m.number = $2
    AND m.note = {note} AND (m.tx, m.seq) {after} ($3, $4) AND h.recorded_at BETWEEN $6 AND $7
ORDER BY m.tx {order}, m.seq {order} LIMIT $5)
"""

# Events that concern a model (number 0) or a version of it, in the log's order or against it; with copies of
# other services' events or without.
_TIMELINE = f"""
WITH found AS (
    SELECT * FROM ({{parts}}) AS h ORDER BY h.tx {{order}}, h.seq {{order}} LIMIT $5
)
{STORED} ORDER BY found.tx {{order}}, found.seq {{order}}
"""


def timeline_sql(*, newest: bool, notes: bool) -> str:
    """Return the statement for a page of a timeline."""
    after, order = ("<", "DESC") if newest else (">", "ASC")
    parts = [
        _PART_OF_TIMELINE.format(note=note, after=after, order=order)
        for note in (["false", "true"] if notes else ["false"])
    ]
    return _TIMELINE.format(parts="UNION ALL".join(parts), order=order)


FOUND = f"""
WITH found AS (
    SELECT h.* FROM audit.event_index h
    WHERE h.generation = (SELECT generation FROM audit.index_state) AND {{condition}}
    ORDER BY {{order}} LIMIT {{limit}}
)
{STORED} ORDER BY found.tx, found.seq
"""

OF_CORRELATION = FOUND.format(
    condition="h.correlation_id = $1 AND (h.tx, h.seq) > ($2, $3)", order="h.tx, h.seq", limit="$4"
)

OF_PROMOTIONS = FOUND.format(condition="h.promotion_id = ANY($1::text[])", order="h.tx, h.seq", limit="NULL")

BY_IDS = FOUND.format(condition="h.event_id = ANY($1::uuid[])", order="h.tx, h.seq", limit="NULL")

# The newest event up to a moment that decides what serves in an environment.
SERVING = FOUND.format(
    condition="""h.type IN ('RolloutChanged', 'RolledBack') AND h.stream = $1 AND h.environment = $2
        AND h.recorded_at <= $3""",
    order="h.revision DESC",
    limit="1",
)

_OF_VERSION = """h.type IN ('VersionRegistered', 'MetadataAdded', 'VersionPromoted')
        AND h.stream = $1 AND h.number = $2 AND h.recorded_at <= $3"""

# The newest event up to a moment that holds a version's metadata.
REGISTERED = FOUND.format(
    condition=_OF_VERSION + " AND h.type <> 'VersionPromoted'", order="h.revision DESC", limit="1"
)

# The newest promotion of a version into an environment up to a moment.
PROMOTED = FOUND.format(
    condition=_OF_VERSION + " AND h.type = 'VersionPromoted' AND h.environment = $4",
    order="h.revision DESC",
    limit="1",
)

# The events of some streams behind a revision, straight from the log. Each partition by its literal name:
# only then does the planner read it in the order of its primary key.
OF_STREAMS = """
SELECT e.tx::text::bigint AS tx, e.seq, e.service, e.stream, e.revision, e.event_id, e.type, e.leaf, e.bytes,
    e.schema, s.leaf_index, s.leaf AS sealed, true AS same
FROM unnest($1::text[]) AS wanted(stream) CROSS JOIN LATERAL ({partitions} ORDER BY revision LIMIT $3) AS e
LEFT JOIN LATERAL (
    SELECT s.leaf_index, s.leaf FROM audit.sealed s WHERE s.seq = e.seq LIMIT 1
) AS s ON true
ORDER BY e.stream, e.revision
"""

_OF_PARTITION = """
(SELECT l.* FROM log.events l WHERE l.service = '{name}' AND l.stream = wanted.stream AND l.revision > $2
ORDER BY l.revision LIMIT $3)
"""

# Whether the index is as far as the seal was at a position in the log.
INDEXED = "SELECT (tx, seq) >= ($1, $2) FROM audit.index_state"

# The present moment, and the first events behind the index: every later one was recorded about then or after.
# Scalar sub-selects: a comparison with a joined table would read the whole log.
UNINDEXED = """
SELECT now() AS now, ARRAY(
    SELECT e.bytes FROM log.events e
    WHERE (e.tx, e.seq) > (
        (SELECT i.tx::text::xid8 FROM audit.index_state i), (SELECT i.seq FROM audit.index_state i)
    )
    ORDER BY e.tx, e.seq LIMIT 100
) AS events
"""

UNLIMITED = 2**31 - 1
LONGEST_CHAIN = 1_000  # causes of causes that `causes` follows


def with_object(row: asyncpg.Record) -> Event:
    """Return an event as `as_json` does, with empty `data` where it is no object."""
    event = as_json(row)
    return event if isinstance(event["data"], dict) else event | {"data": {}}


class _Data(msgspec.Struct):
    data: Any = None


def as_json(row: asyncpg.Record) -> Event:
    """Return an event as the API shows it. `leaf_index` is None until the event is sealed."""
    stored = Stored(Cursor(row["tx"], row["seq"]), *tuple(row)[2:9])
    entry = read(stored)
    return {
        "leaf_index": row["leaf_index"],
        "service": stored.service,
        "stream": stored.stream,
        "revision": stored.revision,
        "event_id": str(stored.event_id),
        "type": stored.type,
        "schema": entry.schema,
        "recorded_at": entry.recorded_at,
        "occurred_at": entry.occurred_at,
        "actor": {
            "subject": entry.actor.subject,
            "method": entry.actor.method,
            "on_behalf_of": entry.actor.on_behalf_of,
        },
        "reason": entry.reason,
        "correlation_id": entry.correlation_id,
        "causation_id": entry.causation_id,
        "trace": entry.trace,
        "number": entry.number,
        "environment": entry.environment,
        "promotion_id": entry.promotion_id,
        "leaf": stored.leaf.hex(),
        "fault": shown_fault(dict(row), entry),
        "data": _data(stored.bytes),
    }


def _data(stored: bytes) -> Any:
    try:
        return msgspec.json.decode(stored, type=_Data).data
    except msgspec.MsgspecError:
        return None


async def model(pool: asyncpg.Pool, name_or_id: str) -> tuple[str, str] | None:
    """Return (id, current name) of a model, or None."""
    row = await pool.fetchrow(MODEL, key_of(name_or_id))
    return (row["model_id"], row["name"]) if row else None


async def names(pool: asyncpg.Pool, model_ids: Iterable[str]) -> dict[str, str]:
    """Return the current names of models, by id; a model that no event named is missing."""
    return {row["model_id"]: row["name"] for row in await pool.fetch(NAMES, list(model_ids))}


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a timeline a page shows: what comes after `after`, recorded from `since` to `until`.

    `newest`: against the log's order. `notes`: also copies of other services' events.
    """

    after: tuple[int, int] = (0, 0)
    newest: bool = False
    notes: bool = True
    since: datetime = datetime(1, 1, 1, tzinfo=UTC)
    until: datetime = datetime(9999, 1, 1, tzinfo=UTC)


async def timeline(
    pool: asyncpg.Pool, model_id: str, number: int | None, span: Span, limit: int
) -> Sequence[asyncpg.Record]:
    """Return events that concern a model (or one version of it)."""
    statement = timeline_sql(newest=span.newest, notes=span.notes)
    values = (*span.after, limit, span.since, span.until)
    rows: Sequence[asyncpg.Record] = await pool.fetch(statement, UUID(model_id), number or 0, *values)
    return rows


async def causes(pool: asyncpg.Pool, event_ids: Iterable[str]) -> list[Event]:
    """Return the events named, and all events of this log that led to them, in the log's order."""
    found: dict[str, asyncpg.Record] = {}
    wanted = {event_id for event_id in event_ids if is_uuid(event_id)}
    events: dict[str, Event] = {}
    while wanted and len(found) < LONGEST_CHAIN:
        rows = await pool.fetch(BY_IDS, list(wanted))
        shown = {str(row["event_id"]): as_json(row) for row in rows}
        events.update(shown)
        found.update({str(row["event_id"]): row for row in rows})
        wanted = {cause for e in shown.values() if is_uuid(cause := cause_in_log(e))} - events.keys()
    return [events[id_] for id_ in sorted(found, key=lambda id_: (found[id_]["tx"], found[id_]["seq"]))]


async def of_correlation(
    pool: asyncpg.Pool, correlation_id: str, after: tuple[int, int] = (0, 0), limit: int = UNLIMITED
) -> Sequence[asyncpg.Record]:
    """Return all events that one request led to, in the log's order."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(OF_CORRELATION, key_of(correlation_id), *after, limit)
    return rows


async def of_streams(
    pool: asyncpg.Pool, streams: Sequence[str], after: int = 0, limit: int = UNLIMITED
) -> Sequence[asyncpg.Record]:
    """Return the events of each stream behind a revision, at most `limit` of each, by stream and revision."""
    parts = " UNION ALL ".join(_OF_PARTITION.format(name=name) for name in await partitions(pool))
    rows: Sequence[asyncpg.Record] = await pool.fetch(
        OF_STREAMS.format(partitions=parts), list(streams), after, limit
    )
    return rows


async def promotions(pool: asyncpg.Pool, promotion_ids: Iterable[str]) -> dict[str, list[Event]]:
    """Return all events of each promotion in the log's order, with those of the review that its grant names.

    An override that is still valid belongs to an earlier promotion.
    """
    wanted = {key_of(promotion_id): promotion_id for promotion_id in promotion_ids if promotion_id}
    rows: dict[str, list[asyncpg.Record]] = {promotion_id: [] for promotion_id in wanted.values()}
    reviewed: dict[str, set[str]] = {}
    for row in await pool.fetch(OF_PROMOTIONS, list(wanted)):
        event = with_object(row)
        promotion_id = wanted[key_of(event["promotion_id"])]
        rows[promotion_id].append(row)
        if event["type"] == "PromotionGranted":
            review_id = str(event["data"].get("review_id") or promotion_id)
            if review_id != promotion_id:
                reviewed.setdefault(key_of(f"review-{review_id}"), set()).add(promotion_id)
    for row in await of_streams(pool, sorted(reviewed)) if reviewed else ():
        for promotion_id in reviewed[row["stream"]]:
            rows[promotion_id].append(row)
    return {
        promotion_id: [with_object(row) for row in sorted(found, key=lambda row: (row["tx"], row["seq"]))]
        for promotion_id, found in rows.items()
    }


async def serving(pool: asyncpg.Pool, stream: str, environment: str, at: datetime) -> Event | None:
    """Return the event that decided what served in an environment at a moment."""
    row = await pool.fetchrow(SERVING, stream, key_of(environment, TEXT_BYTES), at)
    return with_object(row) if row else None


async def registered(pool: asyncpg.Pool, stream: str, number: int, at: datetime) -> Event | None:
    """Return the event that held a version's metadata at a moment."""
    row = await pool.fetchrow(REGISTERED, stream, number, at)
    return with_object(row) if row else None


async def promoted(
    pool: asyncpg.Pool, stream: str, number: int, environment: str, at: datetime
) -> Event | None:
    """Return the newest promotion of a version into an environment at a moment."""
    row = await pool.fetchrow(PROMOTED, stream, number, at, key_of(environment, TEXT_BYTES))
    return with_object(row) if row else None


async def indexed_up_to(pool: asyncpg.Pool) -> datetime:
    """Return the moment up to which every committed event is indexed."""
    row = await pool.fetchrow(UNINDEXED)
    waiting = [
        at - timedelta(microseconds=1) for stored in row["events"] if (at := recorded_at(stored)) > UNREADABLE
    ]
    now: datetime = row["now"]
    return min([now, *waiting])


async def is_indexed(pool: asyncpg.Pool, position: Cursor) -> bool:
    """Return whether the index holds every event up to this position in the log."""
    return bool(await pool.fetchval(INDEXED, *position))
