"""Plan which leaves go into which file, and read how far the export is. Any replica carries out a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from shared.foundation.postgres import lock_key

WRITING = lock_key("leader", "audit", "history")
"""The advisory lock of the process that writes files."""

# How many leaves fit, by number and by bytes; `full` is the leaf that closes a chunk. Only leaves that a
# checkpoint covers.
EXTENT = """
SELECT min(leaf_index) FILTER (WHERE total >= $3 OR leaf_index = $1 + $2 - 1) AS full,
    max(leaf_index) AS newest
FROM (
    SELECT s.leaf_index, sum(octet_length(e.bytes)) OVER (ORDER BY s.leaf_index) AS total
    FROM audit.sealed s
    LEFT JOIN log.events e ON e.service = s.service AND e.stream = s.stream AND e.revision = s.revision
    WHERE s.leaf_index >= $1
        AND s.leaf_index < least($1 + $2, (SELECT coalesce(max(size), 0) FROM audit.checkpoints))
) AS leaves
"""

NEXT = "SELECT coalesce(max(last) + 1, 0) FROM audit.chunks"

# Only behind all planned leaves: of two processes that plan at the same time, one writes and the other
# plans again.
# The first checkpoint that covers the chunk seals it.
PLAN = """
INSERT INTO audit.chunks (first, last, checkpoint)
SELECT $1, $2, (SELECT min(size) FROM audit.checkpoints WHERE size > $2)
WHERE $1 = (SELECT coalesce(max(last) + 1, 0) FROM audit.chunks) ON CONFLICT DO NOTHING
"""

WAITING = "SELECT first, last, checkpoint FROM audit.chunks WHERE manifest IS NULL ORDER BY first LIMIT 1"

PLANNED = "SELECT exported_at IS NOT NULL FROM audit.chunks WHERE first = $1 AND last = $2"

EXPORTED = "UPDATE audit.chunks SET manifest = $2, exported_at = now() WHERE first = $1 AND manifest IS NULL"

STATE = """
SELECT (SELECT max(size) FROM audit.checkpoints) AS signed, (SELECT size FROM audit.tree) AS sealed,
    (SELECT coalesce(max(last) + 1, 0) FROM audit.chunks) AS planned,
    coalesce(
        (SELECT min(first) FROM audit.chunks WHERE manifest IS NULL),
        (SELECT coalesce(max(last) + 1, 0) FROM audit.chunks)
    ) AS exported
"""

# Whether another process holds the exclusive lock. This shared lock ends with the statement.
WRITTEN_NOW = "SELECT NOT pg_try_advisory_xact_lock_shared($1)"

# A manifest names the size of its file.
EXPORTED_BYTES = """
SELECT coalesce(sum((convert_from(manifest, 'UTF8')::jsonb ->> 'size')::bigint), 0)::bigint
FROM audit.chunks WHERE manifest IS NOT NULL
"""

LISTED = """
SELECT first, last, planned_at, manifest, exported_at FROM audit.chunks
WHERE first > $1 ORDER BY first LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Leaves `first` to `last`, sealed under the checkpoint over `checkpoint` leaves."""

    first: int
    last: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class State:
    """Numbers of leaves: sealed, signed, planned to be exported, exported without a gap."""

    sealed: int
    signed: int
    planned: int
    exported: int


async def plan(connection: asyncpg.Connection, leaves: int, size: int, *, everything: bool) -> int:
    """Plan every whole chunk of so many leaves or bytes, and with `everything` the rest.

    Return how many. Call it outside a transaction.
    """
    planned = 0
    while True:
        first = await connection.fetchval(NEXT)
        extent = await connection.fetchrow(EXTENT, first, leaves, size, timeout=600)
        last = extent["newest"] if extent["full"] is None and everything else extent["full"]
        if last is None:
            return planned
        planned += await connection.execute(PLAN, first, last) == "INSERT 0 1"


async def waiting(connection: asyncpg.Connection) -> Chunk | None:
    """Return the first chunk that is planned and not exported."""
    row = await connection.fetchrow(WAITING)
    return Chunk(*row) if row else None


async def exported(connection: asyncpg.Connection, chunk: Chunk, manifest: bytes) -> None:
    """Record that file and manifest are in the store."""
    await connection.execute(EXPORTED, chunk.first, manifest)


async def is_exported(pool: asyncpg.Pool, first: int, last: int) -> bool | None:
    """Return whether the file of these leaves was written; None when none is planned."""
    done: bool | None = await pool.fetchval(PLANNED, first, last)
    return done


async def state(pool: asyncpg.Pool) -> State:
    """Return how far the export is."""
    row = await pool.fetchrow(STATE)
    return State(row["sealed"], row["signed"] or 0, row["planned"], row["exported"])


async def written_now(pool: asyncpg.Pool) -> bool:
    """Return whether a process of any replica writes files."""
    working: bool = await pool.fetchval(WRITTEN_NOW, WRITING)
    return working


async def listed(pool: asyncpg.Pool, after: int, limit: int) -> Sequence[asyncpg.Record]:
    """Return chunks behind the one that begins at `after`, in order."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(LISTED, after, limit)
    return rows
