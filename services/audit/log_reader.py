"""Read the log: all partitions, behind the xmin fence, in (tx, seq) order."""

from __future__ import annotations

import asyncpg

from services.audit.domain.reading import Stored
from shared.deciding.events import Cursor

# Only the auditor's role may read the parent table. A transaction in flight hides all later events, so no
# event appears behind the cursor.
READ = """
SELECT e.tx::text::bigint AS at_tx, e.seq, e.service, e.stream, e.revision, e.event_id, e.type, e.leaf,
    e.bytes
FROM log.events e
WHERE (e.tx, e.seq) > ($1::text::xid8, $2) AND e.tx < log.placed(pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.tx, e.seq LIMIT $3
"""

PARTITIONS = """
SELECT substr(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'log.events'::regclass
"""


async def read(connection: asyncpg.Connection, after: Cursor, limit: int) -> list[Stored]:
    """Return up to `limit` events of all services after the cursor. Call it outside a transaction."""
    rows = await connection.fetch(READ, str(after.tx), after.seq, limit)
    return [
        Stored(Cursor(row[0], row[1]), row[2], row[3], row[4], row[5], row[6], row[7], row[8]) for row in rows
    ]


async def partitions(connection: asyncpg.Connection | asyncpg.Pool) -> list[str]:
    """Return the names of the log's partitions."""
    return [row[0] for row in await connection.fetch(PARTITIONS)]
