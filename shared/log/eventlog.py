"""The SQL of commands and of readers in log order: lock, load, append, read.

Streams whose category is `access` are in the partition `access`, which every service may read; all others are
in the partition of their service. Queries that look up single events stand with the services that make them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

import asyncpg

from shared.deciding.access import PARTITION
from shared.deciding.decider import category_of
from shared.deciding.events import Cursor
from shared.foundation.postgres import Unavailable, lock_key

# Every batch takes its locks, shared and exclusive, in the order of their keys: no two batches can wait for
# each other. Taking a lock assigns no transaction id, so the append is the first write of the transaction and
# (tx, seq) keeps the order of each stream.
LOCK = """
SELECT count(
    CASE WHEN wanted.exclusive THEN pg_advisory_xact_lock(wanted.key)::text
    ELSE pg_advisory_xact_lock_shared(wanted.key)::text END
)
FROM unnest($1::bigint[], $2::boolean[]) AS wanted(key, exclusive)
"""

# OFFSET 0 keeps the sub-select apart, so that each stream is one look-up in the primary key. A plan that is
# made while the partition is empty would else join, and read the whole partition until it is analyzed.
_TAILS = """
SELECT wanted.stream, tail.revision, tail.bytes
FROM unnest(${streams}::text[], ${after}::bigint[]) AS wanted(stream, after)
CROSS JOIN LATERAL (
    SELECT e.bytes, e.revision FROM log.events_{partition} e
    WHERE e.service = '{partition}' AND e.stream = wanted.stream AND e.revision > wanted.after
    OFFSET 0
) AS tail
"""

# Past events by name, each one look-up as above.
PAST = """
SELECT wanted.stream, wanted.revision, (
    SELECT e.bytes FROM log.events_{partition} e
    WHERE e.service = '{partition}' AND e.stream = wanted.stream AND e.revision = wanted.revision
) AS bytes
FROM unnest($1::text[], $2::bigint[]) AS wanted(stream, revision)
"""

# One statement for the whole batch; seq is drawn in the batch's order.
APPEND = """
INSERT INTO log.events_{partition} (service, stream, revision, event_id, type, schema, bytes)
SELECT '{partition}', a.stream, a.revision, a.event_id, a.type, a.schema, a.bytes
FROM unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::smallint[], $6::bytea[])
    WITH ORDINALITY AS a(stream, revision, event_id, type, schema, bytes, n)
ORDER BY a.n
"""

# A reader stops before the oldest open transaction, so no event can appear behind its cursor.
READ = """
SELECT e.tx::text::bigint AS at_tx, e.seq, e.bytes
FROM log.events_{partition} e
WHERE (e.tx, e.seq) > ($1::text::xid8, $2) AND e.tx < log.placed(pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY e.tx, e.seq LIMIT $3
"""

# As READ, but without the bytes of notes: a note holds another service's public event and is never published.
READ_PUBLISHABLE = READ.replace("e.bytes", "CASE WHEN e.type <> 'Noted' THEN e.bytes END")

# As READ, but without the fence: `settled` is whether no event can appear before this one any more.
READ_VISIBLE = """
SELECT e.tx::text::bigint AS at_tx, e.seq, e.bytes, e.stream, e.revision,
    e.tx < log.placed(pg_snapshot_xmin(pg_current_snapshot())) AS settled
FROM log.events_{partition} e
WHERE (e.tx, e.seq) > ($1::text::xid8, $2)
ORDER BY e.tx, e.seq LIMIT $3
"""

# As READ_VISIBLE, with the bytes of the named types only.
READ_TYPES = """
SELECT e.tx::text::bigint AS at_tx, e.seq, CASE WHEN e.type = ANY($4::text[]) THEN e.bytes END AS bytes,
    e.tx < log.placed(pg_snapshot_xmin(pg_current_snapshot())) AS settled
FROM log.events_{partition} e
WHERE (e.tx, e.seq) > ($1::text::xid8, $2)
ORDER BY e.tx, e.seq LIMIT $3
"""

# Only under the exclusive rebuild lock: no transaction is writing to this partition.
READ_TAIL = """
SELECT e.tx::text::bigint AS at_tx, e.seq, e.bytes
FROM log.events_{partition} e WHERE (e.tx, e.seq) > ($1::text::xid8, $2) ORDER BY e.tx, e.seq
"""

# A new cluster with a restored dump counts transaction ids from the beginning: its events would be behind
# every cursor until `regista restore accept` begins an epoch.
RESTORED_BEHIND = (
    "SELECT coalesce(log.highest_tx() >= log.placed(pg_snapshot_xmax(pg_current_snapshot())), false)"
)


class LogStopped(Unavailable):
    """The log is behind what was published of it, or was restored: nothing may be appended.

    A command that meets it is as good as one that meets an unavailable database: it is repeated later.
    """


class RestoredBehind(LogStopped):
    """The server's next transaction id is not above the log's highest: this is a restored dump."""


RESTORED = (
    "The server's next transaction id is not above the log's highest: this is a restored dump. Compare it"
    " with what was published (`regista doctor`), then run `regista restore accept`."
)


STOPPED = "SELECT string_agg(reason, ' ' ORDER BY part) FROM log.stopped"
STOP = """
INSERT INTO log.stopped (reason) VALUES ($1)
ON CONFLICT (part) DO UPDATE SET reason = excluded.reason, at = now() WHERE stopped.reason <> excluded.reason
"""
RELEASE = "DELETE FROM log.stopped WHERE part = current_user"


@dataclass(frozen=True, slots=True)
class Row:
    """One event ready to append."""

    stream: str
    revision: int
    event_id: UUID
    type: str
    schema: int
    bytes: bytes


def partition_of(stream: str, service: str) -> str:
    """Return the partition of a stream that `service` reads or writes."""
    return PARTITION if category_of(stream) == PARTITION else service


def rebuild_key(service: str) -> int:
    """CachedState shared by every batch and exclusively by the swap at a rebuild's end."""
    return lock_key("rebuild", service)


def stream_key(stream: str, service: str) -> int:
    return lock_key(partition_of(stream, service), stream)


async def lock(tx: asyncpg.Connection, service: str, exclusive: Iterable[str], shared: Iterable[str]) -> None:
    """Take all locks of a batch, and the rebuild lock of the service shared.

    Call it as the first statement of the transaction.
    """
    wanted = {stream_key(stream, service): False for stream in shared}
    wanted[rebuild_key(service)] = False
    wanted.update({stream_key(stream, service): True for stream in exclusive})
    keys = sorted(wanted)
    await tx.fetch(LOCK, keys, [wanted[key] for key in keys])


@cache
def load_sql(service: str) -> str:
    """Return the statement that loads the tails of streams.

    Run it after the locks are granted: its snapshot must be newer.
    """
    own, access = (
        _TAILS.format(streams=1, after=2, partition=service),
        _TAILS.format(streams=3, after=4, partition=PARTITION),
    )
    return f"{own} UNION ALL {access} ORDER BY 1, 2"


async def load(tx: asyncpg.Connection, service: str, after: Mapping[str, int]) -> dict[str, list[bytes]]:
    """Return the stored bytes of each stream after its revision. Streams without new events are absent."""
    own = [stream for stream in after if partition_of(stream, service) == service]
    access = [stream for stream in after if partition_of(stream, service) != service]
    tails: dict[str, list[bytes]] = {}
    for row in await tx.fetch(
        load_sql(service),
        own,
        [after[stream] for stream in own],
        access,
        [after[stream] for stream in access],
    ):
        tails.setdefault(row[0], []).append(row[2])
    return tails


async def load_past(
    tx: asyncpg.Connection, service: str, wanted: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], bytes]:
    """Return the stored bytes of past events by (stream, revision)."""
    rows = await tx.fetch(
        PAST.format(partition=service),
        [stream for stream, _ in wanted],
        [revision for _, revision in wanted],
    )
    return {(row[0], row[1]): row[2] for row in rows if row[2] is not None}


async def append(tx: asyncpg.Connection, partition: str, rows: Sequence[Row]) -> None:
    """Append a batch in its order.

    Raises asyncpg.UniqueViolationError for a revision that exists: the batch is run again.
    """
    await tx.execute(
        APPEND.format(partition=partition),
        [row.stream for row in rows],
        [row.revision for row in rows],
        [row.event_id for row in rows],
        [row.type for row in rows],
        [row.schema for row in rows],
        [row.bytes for row in rows],
    )


async def read(
    connection: asyncpg.Connection, partition: str, after: Cursor, limit: int
) -> list[tuple[Cursor, bytes]]:
    """Return up to `limit` events of one partition after the cursor, in the order of (tx, seq).

    Call it outside a transaction: a transaction with an id hides every later event from all readers.
    """
    rows = await connection.fetch(READ.format(partition=partition), str(after.tx), after.seq, limit)
    return [(Cursor(row[0], row[1]), row[2]) for row in rows]


@dataclass(frozen=True, slots=True)
class Visible:
    """A committed event. While it is not `settled`, an open transaction may commit an event before it."""

    cursor: Cursor
    bytes: bytes
    stream: str
    revision: int
    settled: bool


async def read_visible(
    connection: asyncpg.Connection, partition: str, after: Cursor, limit: int
) -> list[Visible]:
    """Return up to `limit` committed events after the cursor, whatever transactions are open.

    The reader may move its stored position past settled events only, and must apply the others idempotently.
    """
    rows = await connection.fetch(READ_VISIBLE.format(partition=partition), str(after.tx), after.seq, limit)
    return [Visible(Cursor(row[0], row[1]), row[2], row[3], row[4], row[5]) for row in rows]


async def read_types(
    connection: asyncpg.Connection, partition: str, after: Cursor, types: Sequence[str], limit: int
) -> list[tuple[Cursor, bytes | None, bool]]:
    """Return (cursor, bytes, settled) of committed events; the bytes only of events of the types.

    The reader may move its position past settled events only.
    """
    rows = await connection.fetch(
        READ_TYPES.format(partition=partition), str(after.tx), after.seq, limit, list(types)
    )
    return [(Cursor(row[0], row[1]), row[2], row[3]) for row in rows]


async def read_publishable(
    connection: asyncpg.Connection, partition: str, after: Cursor, limit: int
) -> list[tuple[Cursor, bytes | None]]:
    """Return the same events as `read`, each note without its bytes."""
    rows = await connection.fetch(
        READ_PUBLISHABLE.format(partition=partition), str(after.tx), after.seq, limit
    )
    return [(Cursor(row[0], row[1]), row[2]) for row in rows]


async def read_tail(tx: asyncpg.Connection, partition: str, after: Cursor) -> list[tuple[Cursor, bytes]]:
    """Return all events after the cursor. Hold the exclusive rebuild lock."""
    rows = await tx.fetch(READ_TAIL.format(partition=partition), str(after.tx), after.seq)
    return [(Cursor(row[0], row[1]), row[2]) for row in rows]


async def check_not_restored(connection: asyncpg.Connection) -> None:
    """Raise RestoredBehind when the server assigns transaction ids that are in the log already."""
    if await connection.fetchval(RESTORED_BEHIND):
        raise RestoredBehind(RESTORED)


async def check_not_stopped(connection: asyncpg.Connection) -> None:
    """Raise LogStopped while a service finds that the log contradicts what was published of it."""
    if reason := await connection.fetchval(STOPPED):
        raise LogStopped(reason)


async def stop(connection: asyncpg.Connection, reason: str) -> None:
    """Stop all services that append, until the caller's service calls `release`."""
    await connection.execute(STOP, reason)


async def release(connection: asyncpg.Connection) -> None:
    """Withdraw what the caller's service found; others may have found something, too."""
    await connection.execute(RELEASE)


def uuid7(now: datetime | None = None) -> UUID:
    """Return a time-ordered UUID (RFC 9562 §5.7): 48 bits of Unix milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 if now is None else int(now.timestamp() * 1000)
    random = int.from_bytes(os.urandom(10), "big")
    return UUID(
        int=(milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (random >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | random & (1 << 62) - 1
    )
