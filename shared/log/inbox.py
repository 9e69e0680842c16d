"""The causes that already had their effect: messages arrive at least once and take effect exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

# What answers: a database that was restored beside the former one and took its name is another one, also
# while the server runs on.
SERVER = (
    "pg_postmaster_start_time()::text || ' '"
    " || (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"
)

# One round trip for the inbox rows, the database clock, the shape of the read models and the start of the
# server. The clock, read after the locks, is `now` of every decision of the batch. The shape cannot change
# until the commit, because the batch holds the rebuild lock. LIMIT keeps the index in a plan that is made
# while the inbox is empty: a join would read all rows until the table is analyzed.
LOOK_UP = f"""
SELECT clock_timestamp(), i.source, i.id, i.digest, i.outcome, (SELECT g.shape FROM {{schema}}.generation g),
    {SERVER}
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT found.* FROM unnest($1::text[], $2::text[]) AS wanted(source, id)
    CROSS JOIN LATERAL (
        SELECT x.* FROM {{schema}}.inbox x WHERE x.source = wanted.source AND x.id = wanted.id LIMIT 1
    ) AS found
) AS i ON true
"""

# The rows are sorted: two batches that insert in different orders would wait for each other.
RECORD = """
INSERT INTO {schema}.inbox (source, id, digest, outcome)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])
"""

# Effects outside of PostgreSQL that happen once, for example a dead letter.
HAS = "SELECT EXISTS (SELECT FROM {schema}.inbox WHERE source = $1 AND id = $2)"
HAS_FROM = "SELECT EXISTS (SELECT FROM {schema}.inbox WHERE starts_with(source, $1))"
RECORD_ONE = """
INSERT INTO {schema}.inbox (source, id, digest, outcome) VALUES ($1, $2, '', '[]') ON CONFLICT DO NOTHING
"""

Key = tuple[str, str]
_outcomes = msgspec.json.Decoder(list[tuple[str, int, int]])


@dataclass(frozen=True, slots=True)
class Handled:
    """The digest of a request, and what it wrote: (stream, first revision, last revision)."""

    digest: bytes
    wrote: Sequence[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """What `look_up` returns for a batch.

    `now` is the database clock. `handled` are the causes that already had their effect. `shape` is the shape
    of the read models, None before the first build. `server` names the database and the start of its server.
    """

    now: datetime
    handled: dict[Key, Handled]
    shape: str | None
    server: str


async def look_up(tx: asyncpg.Connection, schema: str, keys: Iterable[Key]) -> Found:
    """Return what is stored for these causes. Call it after the locks are granted."""
    wanted = list(keys)
    rows = await tx.fetch(
        LOOK_UP.format(schema=schema), [source for source, _ in wanted], [id_ for _, id_ in wanted]
    )
    handled = {
        (row[1], row[2]): Handled(row[3], _outcomes.decode(row[4])) for row in rows if row[1] is not None
    }
    return Found(rows[0][0], handled, rows[0][5], rows[0][6])


async def record(tx: asyncpg.Connection, schema: str, entries: dict[Key, Handled]) -> None:
    """Write the causes of a batch, in the order of their keys.

    Raises asyncpg.UniqueViolationError for a cause that another batch recorded meanwhile: the batch is run
    again.
    """
    rows = sorted(entries.items())
    await tx.execute(
        RECORD.format(schema=schema),
        [source for (source, _), _ in rows],
        [id_ for (_, id_), _ in rows],
        [entry.digest for _, entry in rows],
        [msgspec.json.encode(entry.wrote) for _, entry in rows],
    )


class Once:
    """Records effects outside of the log, so that a message that is read again has none a second time.

    A process that dies between the effect and `record` repeats the effect.
    """

    def __init__(self, pool: asyncpg.Pool, schema: str) -> None:
        self._pool = pool
        statements = (HAS, HAS_FROM, RECORD_ONE)
        self._has, self._has_from, self._record = (sql.format(schema=schema) for sql in statements)

    async def has(self, source: str, id_: str) -> bool:
        """Return whether the effect was recorded."""
        return bool(await self._pool.fetchval(self._has, source, id_))

    async def has_from(self, beginning: str) -> bool:
        """Return whether a cause was handled whose source begins so."""
        return bool(await self._pool.fetchval(self._has_from, beginning))

    async def record(self, source: str, id_: str) -> None:
        """Record an effect that happened."""
        await self._pool.execute(self._record, source, id_)
