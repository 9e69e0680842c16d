"""Read the log: all partitions, behind the xmin fence, in (tx, seq) order. Reset the index when it is outdated."""

from __future__ import annotations

import asyncpg

from services.audit.domain.reading import Stored
from shared.deciding.events import Cursor
from shared.foundation.postgres import lock_key

# Only the auditor's role may read the parent table. A transaction still in flight hides what follows, so
# nothing appears behind the cursor.
READ = """
SELECT e.tx::text::bigint AS at_tx, e.seq, e.service, e.stream, e.revision, e.event_id, e.type, e.leaf, e.bytes
FROM log.events e
WHERE (e.tx, e.seq) > ($1::text::xid8, $2) AND e.tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.tx, e.seq LIMIT $3
"""

FILLED_BY = "SELECT reading FROM audit.index_state"

EMPTY_INDEX = "TRUNCATE audit.history, audit.mentions, audit.names"

START_OVER = "UPDATE audit.index_state SET reading = $1, tx = 0, seq = 0"

READING = 4
"""Raise it when the same bytes are read (domain/reading.py) or kept differently: the next start reads the log again."""

PARTITIONS = "SELECT substr(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'log.events'::regclass"


async def reset_outdated_index(connection: asyncpg.Connection) -> None:
    """Empty the index when another READING filled it: the tailer then reads the log again. Sealed leaves stay.

    Safe to repeat and to race. Raises UndefinedTableError when `python -m shared.migrate` has not run.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_key("audit", "schema"))
        if await connection.fetchval(FILLED_BY) != READING:
            await connection.execute(EMPTY_INDEX)
            await connection.execute(START_OVER, READING)


async def read(connection: asyncpg.Connection, after: Cursor, limit: int) -> list[Stored]:
    """Up to `limit` events of all services after the cursor. Call it outside a transaction."""
    rows = await connection.fetch(READ, str(after.tx), after.seq, limit)
    return [
        Stored(Cursor(row[0], row[1]), row[2], row[3], row[4], row[5], row[6], row[7], row[8]) for row in rows
    ]


async def partitions(connection: asyncpg.Connection) -> list[str]:
    """Whose events the log has: the names of its partitions."""
    return [row[0] for row in await connection.fetch(PARTITIONS)]
