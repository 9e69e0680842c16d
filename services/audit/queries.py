"""What audit's API reads: its index, the stored bytes behind it, and the checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from services.audit.domain.reading import UNREADABLE, key_of, recorded_at
from shared.deciding.events import Cursor

# The model by id, or by any name it ever had; of several bearers the one that was called so last.
MODEL = """
SELECT n.model_id, (SELECT l.name FROM audit.names l WHERE l.generation = n.generation AND l.model_id = n.model_id ORDER BY l.tx DESC, l.seq DESC LIMIT 1) AS name
FROM audit.names n WHERE n.generation = (SELECT generation FROM audit.index_state) AND (n.name = $1 OR n.model_id = $1)
ORDER BY n.tx DESC, n.seq DESC LIMIT 1
"""

# The names by which models are called now.
NAMES = """
SELECT DISTINCT ON (n.model_id) n.model_id, n.name FROM audit.names n
WHERE n.generation = (SELECT generation FROM audit.index_state) AND n.model_id = ANY($1::text[]) ORDER BY n.model_id, n.tx DESC, n.seq DESC
"""

_EVENT = """
h.tx, h.seq, h.service, h.stream, h.revision, h.event_id, h.type, h.schema, h.recorded_at, h.occurred_at, h.actor, h.method, h.on_behalf_of, h.reason,
h.correlation_id, h.causation_id, h.trace, h.number, h.environment, h.promotion_id, e.bytes, e.leaf,
(SELECT s.leaf_index FROM audit.sealed s WHERE s.service = h.service AND s.stream = h.stream AND s.revision = h.revision) AS leaf_index
"""

_STORED = "JOIN log.events e ON e.service = h.service AND e.stream = h.stream AND e.revision = h.revision"

# Everything that speaks of a model, in the log's order.
MENTIONING = f"""
WITH page AS (
    SELECT h.* FROM audit.mentions m JOIN audit.history h USING (generation, tx, seq)
    WHERE m.generation = (SELECT generation FROM audit.index_state) AND m.model_id = $1 AND (m.tx, m.seq) > ($2, $3)
        AND ($4::bigint IS NULL OR $4 = ANY(m.numbers))
    ORDER BY m.tx, m.seq LIMIT $5
)
SELECT {_EVENT} FROM page h {_STORED} ORDER BY h.tx, h.seq
"""

# By stream, by correlation, or all; in the log's order.
EVENTS = f"""
WITH page AS (
    SELECT h.* FROM audit.history h
    WHERE h.generation = (SELECT generation FROM audit.index_state) AND {{condition}} AND (h.tx, h.seq) > ($2, $3) ORDER BY h.tx, h.seq LIMIT $4
)
SELECT {_EVENT} FROM page h {_STORED} ORDER BY h.tx, h.seq
"""

# The causes of events, and theirs, as far as they are events of this log.
CAUSES = f"""
WITH RECURSIVE causes AS (
    SELECT h.* FROM audit.history h WHERE h.generation = (SELECT generation FROM audit.index_state) AND h.event_id = ANY($1::text[])
    UNION
    SELECT h.* FROM causes c JOIN audit.history h ON h.generation = c.generation AND h.event_id = c.causation_id
)
SELECT {_EVENT} FROM causes h {_STORED} ORDER BY h.tx, h.seq
"""

# Events of some types in a stream up to a moment, newest first.
UP_TO = f"""
WITH page AS (
    SELECT h.* FROM audit.history h
    WHERE h.generation = (SELECT generation FROM audit.index_state) AND h.stream = $1 AND h.type = ANY($2::text[]) AND h.recorded_at <= $3
        AND ($4::text IS NULL OR h.environment = $4) AND ($5::bigint IS NULL OR h.number = $5)
    ORDER BY h.revision DESC LIMIT $6
)
SELECT {_EVENT} FROM page h {_STORED} ORDER BY h.revision DESC
"""

PROMOTION = EVENTS.format(condition="h.promotion_id = $1")
OF_STREAM = EVENTS.format(condition="h.stream = $1")
OF_CORRELATION = EVENTS.format(condition="h.correlation_id = $1")
OF_TYPE = EVENTS.format(condition="h.type = $1")

CHECKPOINTS = (
    "SELECT size, root, note, signed_at FROM audit.checkpoints WHERE size < $1 ORDER BY size DESC LIMIT $2"
)

PLACE = "SELECT origin, size FROM audit.tree"

LEAVES = "SELECT leaf FROM audit.sealed WHERE leaf_index < $1 ORDER BY leaf_index"

LEAF = """
SELECT e.bytes FROM audit.sealed s JOIN log.events e ON e.service = s.service AND e.stream = s.stream AND e.revision = s.revision WHERE s.leaf_index = $1
"""

# Whether the index is as far as the seal was at a place in the log.
INDEXED = "SELECT (tx, seq) >= ($1, $2) FROM audit.index_state"

# The moment before anything else is looked at, and the first events that the index does not know yet: all
# later ones lie about there or behind.
UNINDEXED = """
SELECT now() AS now, (
    SELECT array_agg(bytes) FROM (
        SELECT e.bytes FROM log.events e, audit.index_state i WHERE (e.tx, e.seq) > (i.tx::text::xid8, i.seq) ORDER BY e.tx, e.seq LIMIT 100
    ) AS first
) AS events
"""

NO_LIMIT = 2**31 - 1


def as_json(row: asyncpg.Record) -> dict[str, Any]:
    """An event as the API shows it. `data` is what was stored; `leaf_index` is None until it is sealed."""
    return {
        "leaf_index": row["leaf_index"],
        "service": row["service"],
        "stream": row["stream"],
        "revision": row["revision"],
        "event_id": row["event_id"],
        "type": row["type"],
        "schema": row["schema"],
        "recorded_at": row["recorded_at"],
        "occurred_at": row["occurred_at"],
        "actor": {"subject": row["actor"], "method": row["method"], "on_behalf_of": row["on_behalf_of"]},
        "reason": row["reason"],
        "correlation_id": row["correlation_id"],
        "causation_id": row["causation_id"],
        "trace": row["trace"],
        "number": row["number"],
        "environment": row["environment"],
        "promotion_id": row["promotion_id"],
        "leaf": row["leaf"].hex(),
        "data": _data(row["bytes"]),
    }


class _Data(msgspec.Struct):
    data: Any = None


def _data(stored: bytes) -> Any:
    try:
        return msgspec.json.decode(stored, type=_Data).data
    except msgspec.MsgspecError:
        return None


async def model(pool: asyncpg.Pool, name_or_id: str) -> tuple[str, str] | None:
    """(id, current name) of a model, or None."""
    row = await pool.fetchrow(MODEL, key_of(name_or_id))
    return (row["model_id"], row["name"]) if row else None


async def timeline(
    pool: asyncpg.Pool, model_id: str, number: int | None, after: tuple[int, int], limit: int
) -> Sequence[asyncpg.Record]:
    """Events that speak of a model (or of one version of it), in the log's order."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(MENTIONING, model_id, *after, number, limit)
    return rows


async def causes(pool: asyncpg.Pool, event_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The events named, and everything in this log that led to them."""
    return [as_json(row) for row in await pool.fetch(CAUSES, list(event_ids))]


async def events(
    pool: asyncpg.Pool, sql: str, value: str, after: tuple[int, int] = (0, 0), limit: int = NO_LIMIT
) -> Sequence[asyncpg.Record]:
    """Events by one of the statements above (OF_STREAM, OF_CORRELATION, OF_TYPE, PROMOTION)."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(sql, key_of(value), *after, limit)
    return rows


async def promotion(pool: asyncpg.Pool, promotion_id: str) -> list[dict[str, Any]]:
    """All events of a promotion in the log's order, also those of the review that its grant names: an override that stands is of an earlier promotion."""
    rows = list(await events(pool, PROMOTION, promotion_id)) if promotion_id else []
    named = {
        str(as_json(row)["data"].get("review_id") or promotion_id)
        for row in rows
        if row["type"] == "PromotionGranted"
    }
    for review_id in sorted(named - {promotion_id}):
        rows += await events(pool, OF_STREAM, f"review-{review_id}")
    return [as_json(row) for row in sorted(rows, key=lambda row: (row["tx"], row["seq"]))]


async def policy(pool: asyncpg.Pool, name: str, digest: str) -> dict[str, Any] | None:
    """The event that published a policy with this digest, or None."""
    published = (as_json(row) for row in await events(pool, OF_STREAM, f"policy-{name}"))
    return next(
        (e for e in published if e["type"] == "PolicyPublished" and e["data"].get("digest") == digest), None
    )


async def names(pool: asyncpg.Pool, model_ids: Iterable[str]) -> dict[str, str]:
    """The current names of models, by id; those that nobody named are missing."""
    return {row["model_id"]: row["name"] for row in await pool.fetch(NAMES, list(model_ids))}


async def indexed_up_to(pool: asyncpg.Pool) -> datetime:
    """The moment up to which the index knows every event that was committed."""
    row = await pool.fetchrow(UNINDEXED)
    waiting = [
        at - timedelta(microseconds=1)
        for stored in row["events"] or ()
        if (at := recorded_at(stored)) > UNREADABLE
    ]
    now: datetime = row["now"]
    return min([now, *waiting])


async def indexed(pool: asyncpg.Pool, place: Cursor) -> bool:
    """Whether the index knows all up to this place in the log."""
    return bool(await pool.fetchval(INDEXED, *place))


async def up_to(
    pool: asyncpg.Pool,
    stream: str,
    types: Sequence[str],
    at: datetime,
    *,
    environment: str | None = None,
    number: int | None = None,
    limit: int = 1,
) -> list[dict[str, Any]]:
    """The newest events of some types in a stream at a moment."""
    return [
        as_json(row) for row in await pool.fetch(UP_TO, stream, list(types), at, environment, number, limit)
    ]


async def checkpoints(pool: asyncpg.Pool, below: int, limit: int) -> Sequence[asyncpg.Record]:
    """Checkpoints with a size below, newest first."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(CHECKPOINTS, below, limit)
    return rows


async def leaves(pool: asyncpg.Pool, size: int) -> list[bytes]:
    """The first leaf hashes, in the tree's order: 32 bytes for each event."""
    return [row[0] for row in await pool.fetch(LEAVES, size, timeout=60)]


async def leaf(pool: asyncpg.Pool, index: int) -> bytes | None:
    """The stored bytes that a leaf stands for, as the log has them now."""
    found: bytes | None = await pool.fetchval(LEAF, index)
    return found


async def place(pool: asyncpg.Pool) -> asyncpg.Record:
    """The log's origin, and how many events are sealed."""
    return await pool.fetchrow(PLACE)
