"""What a cause already led to: at-least-once in, exactly-once effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

# The database clock comes with the inbox rows: one round trip for both. Read after the locks, it is `now` for
# every decision of the batch. So does the shape of the read models: the rebuild lock is held, so it stays the
# one that this batch writes. So does when the server started. LIMIT keeps the key's index in a plan that is
# made while the inbox is empty: a join would read all of it until statistics come.
LOOK_UP = """
SELECT clock_timestamp(), i.source, i.id, i.digest, i.outcome, (SELECT g.shape FROM {schema}.generation g), pg_postmaster_start_time()
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT found.* FROM unnest($1::text[], $2::text[]) AS wanted(source, id)
    CROSS JOIN LATERAL (SELECT x.* FROM {schema}.inbox x WHERE x.source = wanted.source AND x.id = wanted.id LIMIT 1) AS found
) AS i ON true
"""

# Sorted by the caller: two batches that insert in different orders would wait for each other.
REMEMBER = """
INSERT INTO {schema}.inbox (source, id, digest, outcome) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])
"""

Key = tuple[str, str]
_outcomes = msgspec.json.Decoder(list[tuple[str, int, int]])


@dataclass(frozen=True, slots=True)
class Remembered:
    """The digest of the request, and what it wrote: (stream, first revision, last revision)."""

    digest: bytes
    wrote: Sequence[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Found:
    """What holds for a batch: the database clock, those of the causes that already had their effect, the shape of the read models, and the server.

    `shape` is None before the first build. `server` is when the server started: another time means another
    server, or one that was away.
    """

    now: datetime
    known: dict[Key, Remembered]
    shape: str | None
    server: datetime


async def look_up(tx: asyncpg.Connection, schema: str, keys: Iterable[Key]) -> Found:
    """In a statement after the locks."""
    wanted = list(keys)
    rows = await tx.fetch(
        LOOK_UP.format(schema=schema), [source for source, _ in wanted], [id_ for _, id_ in wanted]
    )
    known = {
        (row[1], row[2]): Remembered(row[3], _outcomes.decode(row[4])) for row in rows if row[1] is not None
    }
    return Found(rows[0][0], known, rows[0][5], rows[0][6])


async def remember(tx: asyncpg.Connection, schema: str, entries: dict[Key, Remembered]) -> None:
    """Writes the batch's causes, in key order.

    A cause that came in twice raises asyncpg.UniqueViolationError: the batch is run again.
    """
    columns: tuple[list[Any], ...] = ([], [], [], [])
    for (source, id_), entry in sorted(entries.items()):
        for column, value in zip(
            columns, (source, id_, entry.digest, msgspec.json.encode(entry.wrote)), strict=True
        ):
            column.append(value)
    await tx.execute(REMEMBER.format(schema=schema), *columns)
