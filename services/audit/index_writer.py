"""Fill the index that finds events. It is disposable: a rebuild reads the log again into a new generation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.audit.domain.checked import INDEXED_COLUMNS, indexed_values
from services.audit.domain.decisions import kind_of, model_of, subjects_of
from services.audit.domain.reading import (
    Entry,
    Known,
    Stored,
    concerned,
    key_of,
    read,
    shared_streams,
)
from services.audit.log_reader import read as read_log
from services.audit.sealing import SealedPage
from shared.deciding.events import START, Cursor
from shared.foundation.postgres import lock_key

PAGE = 2_000

READING = 6
"""Raise it when the same bytes are read (domain/reading.py) or indexed differently: the next start reads the
log again.
"""

FILLED_BY = "SELECT reading FROM audit.index_state"

EMPTY_INDEX = (
    "TRUNCATE audit.event_index, audit.mentions, audit.shared_streams, audit.names, "
    "audit.decisions, audit.acts"
)

START_OVER = "UPDATE audit.index_state SET reading = $1, tx = 0, seq = 0"

STATE = "SELECT generation, tx, seq FROM audit.index_state"

NOTE = "Noted"
"""The type of a copy of another service's event."""

EVENT_COLUMNS = ("generation", "tx", "seq", *INDEXED_COLUMNS)

MENTION_COLUMNS = ("generation", "model_id", "number", "note", "tx", "seq")

DECISION_COLUMNS = ("generation", "kind", "recorded_at", "tx", "seq", "model_id")

ACT_COLUMNS = ("generation", "subject", "recorded_at", "tx", "seq")

# What the events of some shared streams named so far.
NAMED = """
SELECT s.stream, s.model_id::text, s.number FROM audit.shared_streams s
WHERE s.generation = $1 AND s.stream = ANY($2::text[])
"""

NAME = """
INSERT INTO audit.shared_streams (generation, stream, model_id, number)
SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::bigint[]) ON CONFLICT DO NOTHING
"""

NAMES = """
INSERT INTO audit.names AS n (generation, name, model_id, tx, seq)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[])
ON CONFLICT (generation, name, model_id) DO UPDATE SET tx = excluded.tx, seq = excluded.seq
"""

# Advances only from where it was read, in the generation that was read: when a rebuild has swapped the
# generation meanwhile, this updates no row.
ADVANCE = "UPDATE audit.index_state SET tx = $1, seq = $2 WHERE generation = $3 AND tx = $4 AND seq = $5"

SWAP = "UPDATE audit.index_state SET generation = $1, tx = $2, seq = $3"

# Every row of the generation, without the generation, in key order.
KEYS = {
    "event_index": "tx, seq",
    "mentions": "model_id, number, note, tx, seq",
    "shared_streams": "stream, model_id, number",
    "names": "name, model_id",
    "decisions": "kind, recorded_at, tx, seq",
    "acts": "subject, recorded_at, tx, seq",
}
ROWS = """
SELECT sha256(convert_to((to_jsonb(r) - 'generation')::text, 'UTF8')) FROM audit.{table} r
WHERE r.generation = $1 ORDER BY {key}
"""

DROP = """
DELETE FROM audit.{table}
WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit.{table} WHERE generation <> $1 LIMIT 5000))
"""


class Overtaken(Exception):  # noqa: N818
    """The index was advanced or swapped meanwhile: read its state again and continue from there."""


class State(NamedTuple):
    """The generation that is shown, and the position in the log up to which it is filled."""

    generation: int
    cursor: Cursor


class Rebuilt(NamedTuple):
    """What a rebuild did: events read, and the generation that is shown now."""

    events: int
    generation: int


async def reset_outdated_index(connection: asyncpg.Connection) -> None:
    """Empty the index when another READING filled it: the leader then reads the log again.

    Sealed leaves stay.

    Safe to repeat and to race. Raises UndefinedTableError when `python -m shared.migrate` has not run.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_key("audit", "schema"))
        if await connection.fetchval(FILLED_BY) != READING:
            await connection.execute(EMPTY_INDEX)
            await connection.execute(START_OVER, READING)


async def state(connection: asyncpg.Connection) -> State:
    """Return which generation is shown and how far it is filled."""
    row = await connection.fetchrow(STATE)
    return State(row["generation"], Cursor(row["tx"], row["seq"]))


async def step(connection: asyncpg.Connection, sealed: SealedPage) -> int:
    """Index the events that were just sealed, or the next page of the log where the index is further behind.

    Return how many events were indexed. Raises Overtaken.
    """
    at = await state(connection)
    page: Sequence[Stored]
    if sealed.after <= at.cursor:
        page = [event for event in sealed.events if event.cursor > at.cursor]
    else:
        page = await read_log(connection, at.cursor, PAGE)
    if page:
        up_to = page[-1].cursor
        async with connection.transaction():
            if await connection.execute(ADVANCE, *up_to, at.generation, *at.cursor) != "UPDATE 1":
                raise Overtaken(Overtaken.__doc__)
            await _write(connection, at.generation, page)
    return len(page)


async def rebuild(
    connection: asyncpg.Connection, progress: Callable[[int], None] = lambda _: None
) -> Rebuilt:
    """Read the whole log into a new generation beside the one shown, swap, and delete the old one.

    Only one rebuild runs at a time; the leader goes on meanwhile.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", lock_key("audit", "rebuild"))
    try:
        new = (await state(connection)).generation + 1
        await _drop_others(connection, new - 1)
        cursor, events = START, 0
        while True:
            page = await read_log(connection, cursor, PAGE)
            if not page and await _swapped(connection, new, cursor):
                break
            if page:
                async with connection.transaction():
                    await _write(connection, new, page)
                cursor, events = page[-1].cursor, events + len(page)
                progress(events)
        await _drop_others(connection, new)
        return Rebuilt(events, new)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", lock_key("audit", "rebuild"))


async def _swapped(connection: asyncpg.Connection, generation: int, cursor: Cursor) -> bool:
    """Show the new generation, unless the old one is further: events that were shown must not disappear."""
    async with connection.transaction():
        shown = await connection.fetchrow(STATE + " FOR UPDATE")
        if (shown["tx"], shown["seq"]) > cursor:
            return False
        await connection.execute(SWAP, generation, cursor.tx, cursor.seq)
        return True


async def _drop_others(connection: asyncpg.Connection, generation: int) -> None:
    for table in KEYS:
        while await connection.execute(DROP.format(table=table), generation) != "DELETE 0":
            pass


async def digest(connection: asyncpg.Connection) -> str:
    """Return SHA-256 over every row that is shown, in key order: equal before and after a rebuild."""
    generation = (await state(connection)).generation
    total = hashlib.sha256()
    for table, key in KEYS.items():
        rows = await connection.fetch(ROWS.format(table=table, key=key), generation)
        total.update(table.encode() + b"\x00" + b"".join(row[0] for row in rows))
    return total.hexdigest()


async def _write(tx: asyncpg.Connection, generation: int, page: Sequence[Stored]) -> None:
    entries = [read(stored) for stored in page]
    await _copy(tx, "event_index", EVENT_COLUMNS, [_event(generation, entry) for entry in entries])
    known = await _named_so_far(tx, generation, entries)
    mentions = [
        (generation, model_id, number, entry.stored.type == NOTE, *entry.stored.cursor)
        for entry, models in concerned(entries, known)
        for model_id, numbers in models.items()
        for number in (0, *(number for number in numbers if number > 0))
    ]
    await _copy(tx, "mentions", MENTION_COLUMNS, mentions)
    decisions = [
        (generation, kind, e.recorded_at, *e.stored.cursor, model_of(e))
        for e in entries
        if (kind := kind_of(e))
    ]
    await _copy(tx, "decisions", DECISION_COLUMNS, decisions)
    acts = [
        (generation, subject, e.recorded_at, *e.stored.cursor) for e in entries for subject in subjects_of(e)
    ]
    await _copy(tx, "acts", ACT_COLUMNS, acts)
    names = {
        (_key(name), model): entry.stored.cursor for entry in entries for model, name in entry.names.items()
    }
    if names:
        await tx.execute(NAMES, generation, *_columns([(*key, *cursor) for key, cursor in names.items()]))


async def _copy(
    tx: asyncpg.Connection, table: str, columns: Sequence[str], records: Sequence[tuple[Any, ...]]
) -> None:
    if records:
        await tx.copy_records_to_table(table, schema_name="audit", columns=columns, records=records)


async def _named_so_far(tx: asyncpg.Connection, generation: int, entries: Sequence[Entry]) -> Known:
    """Return what the shared streams of a page named before the page, and store what the page adds."""
    streams = shared_streams(entries)
    if not streams:
        return {}
    shared = set(streams)
    known: dict[str, dict[str, set[int]]] = {}
    for row in await tx.fetch(NAMED, generation, streams):
        known.setdefault(row[0], {}).setdefault(row[1], set()).add(row[2])
    rows = sorted(
        {
            (entry.stored.stream, model_id, number)
            for entry in entries
            if entry.stored.stream in shared
            for model_id, numbers in entry.models.items()
            for number in (0, *numbers)
        }
    )
    if rows:
        await tx.execute(NAME, generation, *_columns(rows))
    return {
        stream: {model_id: frozenset(numbers - {0}) for model_id, numbers in models.items()}
        for stream, models in known.items()
    }


def _event(generation: int, e: Entry) -> tuple[Any, ...]:
    return (generation, *e.stored.cursor, *indexed_values(e))


def _key(value: str) -> str:
    return key_of(value) if value else value


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
