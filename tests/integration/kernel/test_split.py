"""A partition distributed over several tables is the same log: the same events, order and refusals."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
import uuid
from typing import Any

import asyncpg
import pytest

from services.audit import log_reader
from shared.deciding.events import START
from shared.log import eventlog
from shared.migrate import migrate

DENIED = asyncpg.InsufficientPrivilegeError
ALL = (
    "SELECT service, seq, tx::text, stream, revision, event_id, type, schema, bytes, leaf"
    " FROM log.events ORDER BY tx, seq"
)
TABLES = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent ="
    " 'log.events_registry'::regclass ORDER BY 1"
)
GRANTS = """
SELECT c.relname, c.relacl::text, array_agg(a.attname || a.attacl::text ORDER BY a.attname) FILTER (WHERE
    a.attacl IS NOT NULL)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relname = 'events_registry' GROUP BY 1, 2
"""
STORAGE = """
SELECT DISTINCT c.reloptions FROM pg_partition_tree('log.events_registry') t JOIN pg_class c ON c.oid =
    t.relid WHERE t.isleaf
"""
VALUES = "'registry', 'thing-{stream}', 1, gen_random_uuid(), 'T', 1, 'x'"
COLUMNS = "service, stream, revision, event_id, type, schema, bytes"


async def ask(url: str, sql: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql, *values)]
    finally:
        await connection.close()


async def filled(database: Any, count: int = 300) -> dict[str, int]:
    """Events of registry and approval, one transaction for some."""
    revisions: dict[str, int] = {}
    chance = random.Random(5)
    for service in ("registry", "approval", "registry"):
        connection = await asyncpg.connect(database.url(service))
        left = count // 3
        while left > 0:
            rows = []
            for _ in range(chance.randint(1, 9)):
                stream = f"thing-{service}-{chance.randrange(20)}"
                revisions[stream] = revisions.get(stream, 0) + 1
                rows.append(
                    eventlog.Row(stream, revisions[stream], uuid.uuid4(), "T", 1, f'{{"n":{left}}}'.encode())
                )
            async with connection.transaction():
                await eventlog.append(connection, service, rows)
            left -= len(rows)
        await connection.close()
    return revisions


async def split(database: Any, parts: int) -> None:
    await migrate(database.owner_url, parts={"registry": parts})


async def everything(database: Any) -> list[tuple[Any, ...]]:
    return await ask(database.owner_url, ALL)


async def test_a_split_keeps_every_event_its_place_its_bytes_and_its_leaf_and_can_be_taken_back(
    database: Any,
) -> None:
    await filled(database)
    before, granted, stored = (
        await everything(database),
        await ask(database.owner_url, GRANTS),
        await ask(database.owner_url, STORAGE),
    )
    assert stored != [(None,)]
    for parts in (4, 8, 8, 1, 3):
        await split(database, parts)
        assert await everything(database) == before
        assert await ask(database.owner_url, GRANTS) == granted
        assert await ask(database.owner_url, STORAGE) == stored
        assert len(await ask(database.owner_url, TABLES)) == (0 if parts == 1 else parts)
    left = await ask(
        database.owner_url,
        "SELECT relname FROM pg_class WHERE relname LIKE '%former%' AND relkind IN ('r', 'p')",
    )
    assert left == []


async def test_services_load_read_and_append_as_before(database: Any) -> None:
    revisions = await filled(database)
    streams = {s: 0 for s in revisions if "registry" in s}
    connection = await asyncpg.connect(database.url("registry"))

    async def seen() -> tuple[Any, ...]:
        named = [(stream, 1) for stream in streams]
        pages, cursor = [], START
        while page := await eventlog.read(connection, "registry", cursor, 7):
            pages, cursor = [*pages, *page], page[-1][0]
        assert pages == await eventlog.read_tail(connection, "registry", START)
        return (
            await eventlog.load(connection, "registry", streams),
            await eventlog.load_past(connection, "registry", named),
            pages,
        )

    before = await seen()
    await split(database, 4)
    assert await seen() == before
    last = max(streams)
    row = eventlog.Row(last, revisions[last] + 1, uuid.uuid4(), "T", 1, b"{}")
    await eventlog.append(connection, "registry", [row])
    assert (await seen())[2][-1][1] == b"{}"
    with pytest.raises(asyncpg.UniqueViolationError):
        await eventlog.append(connection, "registry", [row])
    await connection.close()
    auditor = await asyncpg.connect(database.url("audit"))
    assert sorted(await log_reader.partitions(auditor)) == [
        "access",
        "approval",
        "artifact",
        "cleanup",
        "mirror",
        "registry",
    ]
    assert [s.bytes for s in await log_reader.read(auditor, START, 1000)] == [
        row[8] for row in await everything(database)
    ]
    await auditor.close()


async def test_the_reader_still_walks_its_index_and_sorts_nothing(database: Any) -> None:
    await filled(database, 3_000)
    await split(database, 4)
    connection = await asyncpg.connect(database.url("registry"))
    await connection.execute("PREPARE reading AS " + eventlog.READ.format(partition="registry"))
    plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN EXECUTE reading('1', 0, 500)"))
    await connection.close()
    assert "Merge Append" in plan
    assert plan.count("Index Scan using") == 4
    assert "Sort  " not in plan
    assert "Seq Scan" not in plan


async def test_a_stream_is_looked_up_in_its_own_table_only(database: Any) -> None:
    await filled(database, 3_000)
    await split(database, 4)
    connection = await asyncpg.connect(database.url("registry"))
    await connection.execute(
        "PREPARE loading (text[], bigint[], text[], bigint[]) AS " + eventlog.load_sql("registry")
    )
    result = await connection.fetch(
        "EXPLAIN (ANALYZE, COSTS OFF) EXECUTE loading('{thing-registry-1}', '{0}', '{}', '{}')"
    )
    await connection.close()
    assert len(re.findall(r" on events_registry_\d e_\d \(actual", "\n".join(row[0] for row in result))) == 1


async def test_each_table_refuses_changes_by_every_service_including_its_own(database: Any) -> None:
    await filled(database, 30)
    await split(database, 2)
    orders = [
        "SELECT bytes FROM log.events_registry_{n}",
        "UPDATE log.events_registry_{n} SET type = 'U'",
        "DELETE FROM log.events_registry_{n}",
        "TRUNCATE log.events_registry_{n}",
        f"INSERT INTO log.events_registry_{{n}} ({COLUMNS}) VALUES ({VALUES.format(stream='9')})",
        f"INSERT INTO log.events_registry_{{n}} ({COLUMNS}, tx) VALUES ({VALUES.format(stream='9')}, '5')",
    ]
    for service in ("registry", "approval", "artifact", "cleanup", "audit"):
        for n in range(2):
            for order in orders:
                with pytest.raises(DENIED):
                    await ask(database.url(service), order.format(n=n))


async def test_a_split_partition_is_as_closed_as_before(database: Any) -> None:
    await filled(database, 30)
    await split(database, 2)
    naming = (
        f"INSERT INTO log.events_registry ({COLUMNS}, {{column}}) VALUES"
        f" ({VALUES.format(stream='9')}, {{value}})"
    )
    for url, order in (
        (database.url("registry"), naming.format(column="tx", value="'5'")),
        (database.url("registry"), naming.format(column="seq", value="5")),
        (database.url("registry"), "UPDATE log.events_registry SET type = 'U'"),
        (database.url("registry"), "DELETE FROM log.events_registry"),
        (database.url("registry"), "TRUNCATE log.events_registry"),
        (database.url("approval"), "SELECT bytes FROM log.events_registry"),
        (
            database.url("approval"),
            f"INSERT INTO log.events_registry ({COLUMNS}) VALUES ({VALUES.format(stream='9')})",
        ),
        (database.url("registry"), "CALL log.split_partition('registry', 1)"),
    ):
        with pytest.raises(DENIED):
            await ask(url, order)


@pytest.mark.parametrize("table", ["events", "events_registry", "events_registry_0", "events_registry_1"])
@pytest.mark.parametrize("order", ["UPDATE log.{} SET type = 'U'", "DELETE FROM log.{}", "TRUNCATE log.{}"])
async def test_even_the_owner_can_change_no_table_of_it(database: Any, table: str, order: str) -> None:
    await filled(database, 60)
    await split(database, 2)
    with pytest.raises(DENIED, match="append-only"):
        await ask(database.owner_url, order.format(table))


async def test_a_split_that_cannot_end_changes_nothing(database: Any) -> None:
    await filled(database, 60)
    before = await everything(database)
    owner = await asyncpg.connect(database.owner_url)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the split must be in the same transaction
        async with owner.transaction():
            await owner.execute("CALL log.split_partition('registry', 4)")
            raise ZeroDivisionError
    await owner.close()
    assert await everything(database) == before
    assert await ask(database.owner_url, TABLES) == []


async def test_a_service_that_runs_on_while_its_partition_is_split_loses_nothing(database: Any) -> None:
    revisions = await filled(database, 60)
    stream = "thing-registry-1"
    connection = await asyncpg.connect(database.url("registry"))
    done = asyncio.Event()

    async def append() -> int:
        count = 0
        while not done.is_set():
            count += 1
            await eventlog.append(
                connection,
                "registry",
                [eventlog.Row(stream, revisions.get(stream, 0) + count, uuid.uuid4(), "T", 1, b"{}")],
            )
        return count

    appending = asyncio.create_task(append())
    await split(database, 4)
    done.set()
    appended = await appending
    await connection.close()
    found = await ask(
        database.owner_url,
        "SELECT count(*), max(revision) FROM log.events_registry WHERE stream = $1",
        stream,
    )
    assert found == [(revisions.get(stream, 0) + appended,) * 2]


@pytest.mark.parametrize("wrong", ["registry", "registry=0", "registry=65", "registry=x", "shop=4"])
def test_an_impossible_split_is_refused_before_any_change(wrong: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "shared.migrate", "--url", "postgresql://nowhere", "--split", wrong],
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "--split" in result.stderr


async def test_the_owner_splits_from_the_command_line(database: Any) -> None:
    await filled(database, 30)
    before = await everything(database)
    await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-m",
            "shared.migrate",
            "--url",
            database.owner_url,
            "--split",
            "registry=2",
            "--split",
            "access=2",
        ],
        check=True,
    )
    assert len(await ask(database.owner_url, TABLES)) == 2
    assert await everything(database) == before
