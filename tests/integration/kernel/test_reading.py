"""A reader behind many writers sees every event exactly once and each stream in order."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from services.kafka.topics import SERVICES
from shared.deciding.events import START
from shared.foundation.postgres import Unavailable
from shared.log import eventlog

WRITERS, EACH = 16, 25
END_WRITERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user
AND datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""


async def _slow_writer(url: str, number: int, pause: random.Random) -> None:
    """Appends to streams shared with others, under the streams' locks, and lingers before it commits."""
    connection = await asyncpg.connect(url)
    try:
        for _ in range(EACH):
            streams = [f"thing-{n}" for n in sorted(pause.sample(range(6), 2))]
            async with connection.transaction():
                await eventlog.lock(connection, "cleanup", streams, [])
                last = {
                    s: await connection.fetchval(
                        "SELECT coalesce(max(revision), 0) FROM log.events_cleanup WHERE stream = $1", s
                    )
                    for s in streams
                }
                rows = [
                    eventlog.Row(s, last[s] + 1, eventlog.uuid7(), "T", 1, f"{number}".encode())
                    for s in streams
                ]
                await eventlog.append(connection, "cleanup", rows)
                await connection.execute("SELECT pg_sleep($1)", pause.random() * 0.02)
    finally:
        await connection.close()


async def _read_until(url: str, done: asyncio.Event) -> list[tuple[int, int]]:
    connection = await asyncpg.connect(url)
    seen, cursor = list[tuple[int, int]](), START
    try:
        while True:
            last_look = done.is_set()
            page = await eventlog.read(connection, "cleanup", cursor, 7)
            seen.extend(c for c, _ in page)
            if page:
                cursor = page[-1][0]
            elif last_look:
                return seen
            else:
                await asyncio.sleep(0)
    finally:
        await connection.close()


async def test_no_event_is_missed_or_seen_twice_behind_sixteen_slow_writers(database: Any) -> None:
    url, done = database.url("cleanup"), asyncio.Event()
    readers = [asyncio.create_task(_read_until(url, done)) for _ in range(3)]
    await asyncio.gather(*(_slow_writer(url, n, random.Random(n)) for n in range(WRITERS)))
    done.set()
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT tx::text::bigint AS tx, seq, stream, revision FROM log.events_cleanup ORDER BY (tx, seq)"
    )
    await connection.close()
    assert len(rows) == WRITERS * EACH * 2
    for reader in readers:
        assert await reader == [(r["tx"], r["seq"]) for r in rows]
    revisions = defaultdict(list)
    for row in rows:
        revisions[row["stream"]].append(row["revision"])
    assert all(of_stream == list(range(1, len(of_stream) + 1)) for of_stream in revisions.values())


async def test_the_transact_path_of_three_processes_keeps_every_stream_in_cursor_order(
    open_bank: Callable[..., Any],
) -> None:
    banks = [await open_bank(batch_size=8) for _ in range(3)]
    await asyncio.gather(*(b.transactor.submit(b.deposit(f"{n % 5}")) for n in range(200) for b in banks))
    revisions = defaultdict(list)
    for row in await banks[0].events():
        revisions[row["stream"]].append(row["revision"])
    assert {s: r == list(range(1, 121)) for s, r in revisions.items()} == {
        f"account-{n}": True for n in range(5)
    }


async def test_no_event_appears_behind_a_cursor_while_writers_are_ended(
    database: Any, open_bank: Callable[..., Any]
) -> None:
    """Once an event was reported behind a reader's cursor, while its writers were killed."""
    banks, done = [await open_bank(batch_size=4) for _ in range(3)], asyncio.Event()
    readers = [asyncio.create_task(_read_until(database.url("cleanup"), done)) for _ in range(2)]
    ender = await asyncpg.connect(database.url("cleanup"))

    async def write(n: int) -> None:
        asked = banks[n % 3].deposit(f"{n % 5}", cause=f"c{n}")
        for _ in range(50):
            try:
                await banks[n % 3].transactor.submit(asked)
            except Unavailable:
                continue
            return

    async def end_writers() -> None:
        for _ in range(20):
            await ender.execute(END_WRITERS)
            await asyncio.sleep(0.02)

    await asyncio.gather(end_writers(), *(write(n) for n in range(300)))
    done.set()
    rows = await ender.fetch("SELECT tx::text::bigint AS tx, seq FROM log.events_cleanup ORDER BY (tx, seq)")
    await ender.close()
    assert len(rows) == 300
    for reader in readers:
        assert await reader == [(r["tx"], r["seq"]) for r in rows]


async def test_a_reader_waits_for_a_transaction_in_flight_and_then_sees_it_first(database: Any) -> None:
    early, late, reader = [await asyncpg.connect(database.url("cleanup")) for _ in range(3)]
    slow = early.transaction()
    await slow.start()
    await eventlog.append(early, "cleanup", [eventlog.Row("thing-1", 1, eventlog.uuid7(), "T", 1, b"early")])
    await eventlog.append(late, "cleanup", [eventlog.Row("thing-2", 1, eventlog.uuid7(), "T", 1, b"late")])
    assert await eventlog.read(reader, "cleanup", START, 10) == []
    await slow.commit()
    assert [stored for _, stored in await eventlog.read(reader, "cleanup", START, 10)] == [b"early", b"late"]
    await asyncio.gather(*(c.close() for c in (early, late, reader)))


async def test_a_restored_dump_with_transaction_ids_behind_the_log_is_refused_by_every_service(
    database: Any,
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        "INSERT INTO log.events_cleanup (service, tx, stream, revision, event_id, type, schema, bytes)"
        " VALUES ('cleanup', '999999999999', 'thing-1', 1, gen_random_uuid(), 'T', 1, 'x')"
    )
    await owner.close()
    for service in SERVICES:
        connection = await asyncpg.connect(database.url(service))
        with pytest.raises(eventlog.RestoredBehind, match="restore accept"):
            await eventlog.check_not_restored(connection)
        await connection.close()
