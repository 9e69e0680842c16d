"""Events become index rows, for timelines and questions about the past.

Disposable: a rebuild reads the log again into a new generation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.audit.domain.reading import (
    KEY_BYTES,
    TYPE_BYTES,
    Entry,
    Known,
    Stored,
    key_of,
    read,
    shared_streams,
    speaking_of,
)
from services.audit.log_reader import read as read_log
from shared.deciding.events import START, Cursor
from shared.foundation.postgres import lock_key

PAGE = 1_000

STATE = "SELECT generation, tx, seq FROM audit.index_state"

# A retried page writes nothing twice; the cursor below decides what was done.
HISTORY = """
INSERT INTO audit.history (generation, tx, seq, service, stream, revision, event_id, type, schema, recorded_at, occurred_at, actor, method,
    on_behalf_of, reason, correlation_id, causation_id, trace, number, environment, promotion_id)
SELECT $1, tx, seq, service, stream, revision, event_id, type, schema, recorded_at, occurred_at, actor, method,
    on_behalf_of, reason, correlation_id, causation_id, trace, number, environment, promotion_id
FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::smallint[],
    $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
    $19::bigint[], $20::text[], $21::text[])
    AS page(tx, seq, service, stream, revision, event_id, type, schema, recorded_at, occurred_at, actor, method,
    on_behalf_of, reason, correlation_id, causation_id, trace, number, environment, promotion_id)
"""

MENTIONS = """
INSERT INTO audit.mentions (generation, model_id, tx, seq, numbers)
SELECT $1, model_id, tx, seq, numbers::bigint[] FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS page(model_id, tx, seq, numbers)
"""

# Which models, and versions of them, the events of some streams named so far.
NAMED = """
SELECT h.stream, m.model_id, array_agg(DISTINCT n.number) FILTER (WHERE n.number IS NOT NULL) AS numbers
FROM audit.history h JOIN audit.mentions m USING (generation, tx, seq) LEFT JOIN LATERAL unnest(m.numbers) AS n(number) ON true
WHERE h.generation = $1 AND h.stream = ANY($2::text[]) GROUP BY h.stream, m.model_id
"""

NAMES = """
INSERT INTO audit.names AS n (generation, name, model_id, tx, seq) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[])
ON CONFLICT (generation, name, model_id) DO UPDATE SET tx = excluded.tx, seq = excluded.seq
"""

# Moves on only from where it was read, in the generation that was read: a rebuild that swapped meanwhile
# makes this write nothing.
ADVANCE = "UPDATE audit.index_state SET tx = $1, seq = $2 WHERE generation = $3 AND tx = $4 AND seq = $5"

SWAP = "UPDATE audit.index_state SET generation = $1, tx = $2, seq = $3"

DROP = {
    "history": "DELETE FROM audit.history WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit.history WHERE generation <> $1 LIMIT 5000))",
    "mentions": "DELETE FROM audit.mentions WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit.mentions WHERE generation <> $1 LIMIT 5000))",
    "names": "DELETE FROM audit.names WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit.names WHERE generation <> $1 LIMIT 5000))",
}

# Every row of what is shown, without the generation, in key order.
ROWS = {
    "history": "SELECT sha256(convert_to((to_jsonb(h) - 'generation')::text, 'UTF8')) FROM audit.history h WHERE generation = $1 ORDER BY tx, seq",
    "mentions": "SELECT sha256(convert_to((to_jsonb(m) - 'generation')::text, 'UTF8')) FROM audit.mentions m WHERE generation = $1 ORDER BY model_id, tx, seq",
    "names": "SELECT sha256(convert_to((to_jsonb(n) - 'generation')::text, 'UTF8')) FROM audit.names n WHERE generation = $1 ORDER BY name, model_id",
}


class Overtaken(Exception):  # noqa: N818
    """The index moved or was swapped meanwhile: read its state again and go on from there."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: events read, and the generation that is shown now."""

    events: int
    generation: int


async def step(connection: asyncpg.Connection) -> int:
    """Indexes the next page into the generation that is shown."""
    state = await connection.fetchrow(STATE)
    at = Cursor(state["tx"], state["seq"])
    page = await read_log(connection, at, PAGE)
    if page:
        after = page[-1].cursor
        async with connection.transaction():
            moved = await connection.execute(ADVANCE, after.tx, after.seq, state["generation"], at.tx, at.seq)
            if moved != "UPDATE 1":
                raise Overtaken(Overtaken.__doc__)
            await _write(connection, state["generation"], page)
    return len(page)


async def rebuild(
    connection: asyncpg.Connection, progress: Callable[[int], None] = lambda _: None
) -> Rebuilt:
    """Reads the whole log into a new generation beside the one shown, swaps, and drops the old one.

    One at a time; the tailer goes on meanwhile.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", lock_key("audit", "rebuild"))
    try:
        new = (await connection.fetchrow(STATE))["generation"] + 1
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
    """Shows the new generation, unless the old one has come further: what was shown must not disappear."""
    async with connection.transaction():
        shown = await connection.fetchrow(STATE + " FOR UPDATE")
        if (shown["tx"], shown["seq"]) > cursor:
            return False
        await connection.execute(SWAP, generation, cursor.tx, cursor.seq)
        return True


async def _drop_others(connection: asyncpg.Connection, generation: int) -> None:
    for statement in DROP.values():
        while await connection.execute(statement, generation) != "DELETE 0":
            pass


async def digest(connection: asyncpg.Connection) -> str:
    """SHA-256 over every row that is shown, in key order: equal before and after a rebuild."""
    generation = (await connection.fetchrow(STATE))["generation"]
    total = hashlib.sha256()
    for table, statement in ROWS.items():
        rows = await connection.fetch(statement, generation)
        total.update(table.encode() + b"\x00" + b"".join(row[0] for row in rows))
    return total.hexdigest()


async def _write(tx: asyncpg.Connection, generation: int, page: Sequence[Stored]) -> None:
    entries = [read(stored) for stored in page]
    known: Known = {}
    if shared := shared_streams(entries):
        for row in await tx.fetch(NAMED, generation, shared):
            known.setdefault(row["stream"], {})[row["model_id"]] = frozenset(row["numbers"] or ())
    await tx.execute(HISTORY, generation, *_columns(_history(entry) for entry in entries))
    mentions = [
        (model, *entry.stored.cursor, _array(numbers))
        for entry, models in speaking_of(entries, known)
        for model, numbers in sorted(models.items())
    ]
    if mentions:
        await tx.execute(MENTIONS, generation, *_columns(mentions))
    names = {
        (_key(name), _text(model)): entry.stored.cursor
        for entry in entries
        for model, name in entry.names.items()
    }
    if names:
        await tx.execute(
            NAMES, generation, *_columns((name, model, *cursor) for (name, model), cursor in names.items())
        )


def _history(e: Entry) -> tuple[Any, ...]:
    s = e.stored
    return (
        s.cursor.tx,
        s.cursor.seq,
        s.service,
        _key(s.stream),
        s.revision,
        str(s.event_id),
        _key(s.type, TYPE_BYTES),
        e.schema,
        e.recorded_at,
        e.occurred_at,
        _text(e.actor.subject),
        _text(e.actor.method),
        _text(e.actor.on_behalf_of),
        _text(e.reason),
        _key(e.correlation_id),
        _text(e.causation_id),
        _text(e.trace),
        e.number,
        _text(e.environment),
        _key(e.promotion_id),
    )


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, sorted(numbers))) + "}"


def _key(value: str | None, longest: int = KEY_BYTES) -> Any:
    """A text of an indexed column: one that is too long must not stop the index. The stored bytes keep it."""
    return key_of(_text(value), longest) if value else value


def _text(value: str | None) -> Any:
    """PostgreSQL's text holds no NUL; JSON's strings do. The stored bytes keep it."""
    return value.replace("\x00", "\ufffd") if value else value


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
