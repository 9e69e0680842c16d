"""A restored dump goes on in a new epoch: every reader sees old and new events once, in their order."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.kafka.topics import SERVICES
from services.local import postgres
from shared.deciding.events import START, Cursor
from shared.log import eventlog
from shared.messaging.own_topic import ACCEPTED
from shared.migrate import migrate
from tests.conftest import drop_database

pytestmark = pytest.mark.servers
EPOCH = 1 << 48
FAR = 40_000_000_000
"""Transaction ids of the former server, far above those of the tests' server."""


def event(n: int) -> eventlog.Row:
    return eventlog.Row(f"thing-{n}", 1, eventlog.uuid7(), "T", 1, f"{n}".encode())


async def append(url: str, *numbers: int) -> None:
    connection = await asyncpg.connect(url)
    await eventlog.append(connection, "cleanup", [event(n) for n in numbers])
    await connection.close()


async def read(url: str, after: Cursor = START) -> list[tuple[Cursor, bytes]]:
    connection = await asyncpg.connect(url)
    try:
        return await eventlog.read(connection, "cleanup", after, 1_000)
    finally:
        await connection.close()


@pytest.fixture
async def owner(database: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.owner_url)
    yield connection
    await connection.close()


async def of_a_former_server(owner: asyncpg.Connection, *numbers: int) -> None:
    """Events as a dump brings them back: with the transaction ids of the server that was dumped."""
    for n in numbers:
        await owner.execute(
            "INSERT INTO log.events (service, tx, stream, revision, event_id, type, schema, bytes)"
            " VALUES ('cleanup', $1::bigint::text::xid8, $2, 1, gen_random_uuid(), 'T', 1, $3)",
            FAR + n,
            f"thing-{n}",
            f"{n}".encode(),
        )


async def begin_epoch(owner: asyncpg.Connection) -> None:
    await owner.execute("CALL log.begin_epoch('restored from the dump of Monday', '{}')")


@pytest.mark.parametrize("restores", [1, 3])
async def test_events_of_each_epoch_are_behind_those_of_the_one_before(
    database: Any, owner: asyncpg.Connection, restores: int
) -> None:
    await of_a_former_server(owner, 1, 2)
    url, cursor, n = database.url("cleanup"), START, 2
    for _ in range(restores):
        await begin_epoch(owner)
        seen = await read(url)
        assert [stored for _, stored in seen] == [f"{i}".encode() for i in range(1, n + 1)]
        cursor = seen[-1][0]
        await append(url, n + 1, n + 2)
        n += 2
        assert [stored for _, stored in await read(url, cursor)] == [f"{n - 1}".encode(), f"{n}".encode()]
    assert await owner.fetchval("SELECT max(tx)::text::bigint >> 48 FROM log.events") == restores


async def test_the_fence_holds_in_a_later_epoch(database: Any, owner: asyncpg.Connection) -> None:
    await of_a_former_server(owner, 1)
    await begin_epoch(owner)
    early = await asyncpg.connect(database.url("cleanup"))
    slow = early.transaction()
    await slow.start()
    await eventlog.append(early, "cleanup", [event(2)])
    await append(database.url("cleanup"), 3)
    assert [stored for _, stored in await read(database.url("cleanup"))] == [b"1"]
    visible = await eventlog.read_visible(early, "cleanup", START, 10)
    assert [(v.bytes, v.settled) for v in visible] == [(b"1", True), (b"2", False), (b"3", False)]
    await slow.commit()
    named = await eventlog.read_types(early, "cleanup", START, ["T"], 10)
    assert [(stored, settled) for _, stored, settled in named] == [(b"1", True), (b"2", True), (b"3", True)]
    await early.close()
    assert [stored for _, stored in await read(database.url("cleanup"))] == [b"1", b"2", b"3"]


async def test_services_accept_a_restored_dump_when_its_epoch_has_begun(
    database: Any, owner: asyncpg.Connection
) -> None:
    await of_a_former_server(owner, 1)
    for accepted in (False, True):
        for service in SERVICES:
            connection = await asyncpg.connect(database.url(service))
            if accepted:
                await eventlog.check_not_restored(connection)
            else:
                with pytest.raises(eventlog.RestoredBehind, match="restore accept"):
                    await eventlog.check_not_restored(connection)
            await connection.close()
        if not accepted:
            await begin_epoch(owner)


async def test_a_statement_that_was_prepared_before_writes_and_reads_in_the_new_epoch(
    database: Any, owner: asyncpg.Connection
) -> None:
    """Plans are cached; the function that they inlined is replaced."""
    connection = await asyncpg.connect(database.url("cleanup"))
    for n in range(1, 9):
        await eventlog.append(connection, "cleanup", [event(n)])
        await eventlog.read(connection, "cleanup", START, 10)
    await begin_epoch(owner)
    await eventlog.append(connection, "cleanup", [event(9)])
    found = await eventlog.read(connection, "cleanup", START, 10)
    assert [stored for _, stored in found][-1] == b"9"
    assert found[-1][0].tx > EPOCH
    await connection.close()


async def test_no_service_begins_an_epoch_or_changes_one(database: Any, owner: asyncpg.Connection) -> None:
    await begin_epoch(owner)
    for service in SERVICES:
        connection = await asyncpg.connect(database.url(service))
        assert await connection.fetchval("SELECT max(epoch) FROM log.epochs") == 1
        for statement in (
            "CALL log.begin_epoch('mine', '{}')",
            "INSERT INTO log.epochs (epoch, reason) VALUES (7, 'mine')",
            "CREATE OR REPLACE FUNCTION log.placed(id xid8) RETURNS xid8 LANGUAGE sql AS 'SELECT id'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.close()
    for statement in ("DELETE FROM log.epochs", "UPDATE log.epochs SET reason = 'x'", "TRUNCATE log.epochs"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)


async def test_a_reader_scans_the_index_between_cursor_and_fence(
    database: Any, owner: asyncpg.Connection
) -> None:
    """The function is inlined: it is an index condition before and after an epoch begins."""
    await of_a_former_server(owner, *range(200))
    await owner.execute("ANALYZE log.events")
    for _ in range(2):
        reader = await asyncpg.connect(database.url("cleanup"))
        await reader.execute("SET enable_seqscan = off")
        plan = await reader.fetch("EXPLAIN " + eventlog.READ.format(partition="cleanup"), "5", 0, 10)
        text = "\n".join(row[0] for row in plan)
        assert "Index Scan" in text, text
        (condition,) = [line for line in text.splitlines() if "Index Cond" in line]
        assert "ROW(tx, seq) >" in condition
        assert "pg_snapshot_xmin(pg_current_snapshot())" in condition, condition
        await reader.close()
        await begin_epoch(owner)


async def run(program: str, *arguments: str) -> None:
    path = Path(postgres._binary("postgres")).with_name(program)
    child = await asyncio.create_subprocess_exec(path, *arguments, stderr=asyncio.subprocess.PIPE)
    _, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()


OWNED = """
SELECT c.oid::regclass::text, c.relowner::regrole::text FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^(pg_|information_)'
WHERE c.relkind IN ('r', 'p', 'v') UNION ALL SELECT nspname, nspowner::regrole::text FROM pg_namespace
WHERE nspname !~ '^pg_' UNION ALL SELECT oid::regprocedure::text, proowner::regrole::text FROM pg_proc
WHERE pronamespace::regnamespace::text IN ('log', 'audit')
"""
GRANTED = """
SELECT c.oid::regclass::text, x.privilege_type, x.grantee::regrole::text
FROM pg_class c, aclexplode(c.relacl) x WHERE x.grantee <> c.relowner AND c.oid > 16384
UNION ALL SELECT a.attrelid::regclass || '.' || a.attname, x.privilege_type, x.grantee::regrole::text
FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid > 16384
UNION ALL SELECT p.oid::regprocedure::text, x.privilege_type, x.grantee::regrole::text
FROM pg_proc p, aclexplode(p.proacl) x
WHERE p.pronamespace::regnamespace::text IN ('log', 'audit') AND x.grantee <> p.proowner
"""


async def rights(url: str) -> set[tuple[str, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return {tuple(row) for query in (OWNED, GRANTED) for row in await connection.fetch(query)}
    finally:
        await connection.close()


async def test_a_dump_is_restored_and_accepted_by_an_owner_that_is_no_superuser(
    stack: Any, database: Any, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    """As on a managed server: pg_dump, pg_restore, migrate and the epoch need the owner's role only."""
    await of_a_former_server(owner, 1, 2)
    assert not await owner.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    restored, dump = f"restored_{uuid.uuid4().hex[:8]}", str(tmp_path / "log.dump")
    await owner.execute(f"CREATE DATABASE {restored}")
    url, service = (
        f"{one.rpartition('/')[0]}/{restored}" for one in (database.owner_url, database.url("cleanup"))
    )
    try:
        await run("pg_dump", "-Fc", "-f", dump, database.owner_url)
        await run("pg_restore", "--exit-on-error", "--no-owner", "--no-acl", "-d", url, dump)
        await migrate(url, stack.database_passwords())
        assert await rights(url) ^ await rights(database.owner_url) == set()
        again = await asyncpg.connect(url)
        assert await read(service) == []
        await begin_epoch(again)
        await append(service, 3)
        assert [stored for _, stored in await read(service)] == [b"1", b"2", b"3"]
        leaf = "SELECT bool_and(leaf = sha256('\\x00'::bytea || bytes)) FROM log.events"
        assert await again.fetchval(leaf)
        await again.close()
    finally:
        await drop_database(database.stack.owner_url(), restored)


async def test_a_later_epoch_keeps_what_was_given_up_before(owner: asyncpg.Connection) -> None:
    for accepted in ({"a": {"0": 5}, "b": {"0": 7}}, {}, {"b": {"0": 9}}):
        await owner.execute("CALL log.begin_epoch('a restore', $1)", json.dumps(accepted))
    found = json.loads(await owner.fetchval(ACCEPTED))
    assert found == {"a": {"0": 5}, "b": {"0": 9}}
