"""What the writer does when the database fails, not the command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.local.folders import InstanceFolder
from services.local.postgres import OWNER, Postgres
from shared.foundation.postgres import Unavailable, WakeUp, leadership
from shared.identity.access_view import AccessView
from shared.log import eventlog
from shared.migrate import migrate
from tests.integration.edges.conftest import People
from tests.processes import PEPPER

RAISES = """
CREATE FUNCTION {schema}.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken' USING
    ERRCODE = '{code}'; END $$;
CREATE TRIGGER broken BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.broken();
"""


async def broken_at(database: Any, table: str, code: str) -> None:
    """Lets every insert into the table fail with this SQLSTATE."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(RAISES.format(schema="log", table=table, code=code))
    await owner.close()


@pytest.mark.parametrize(
    "code", ["08006", "25006", "40001", "42501", "53100", "53200", "55P03", "57014", "58030", "XX000"]
)
async def test_a_fault_of_the_server_fails_no_command_for_good(bank: Any, database: Any, code: str) -> None:
    await broken_at(database, "log.events_cleanup", code)
    with pytest.raises(Unavailable):
        await bank.transactor.submit(bank.deposit("a"))


async def test_after_an_outage_the_events_of_the_server_count_even_if_it_lost_the_last(
    bank: Any, database: Any
) -> None:
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(3)])
    await broken_at(database, "log.events_cleanup", "08006")
    with pytest.raises(Unavailable):
        await bank.transactor.submit(bank.deposit("a"))
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        "ALTER TABLE log.events_cleanup DISABLE TRIGGER ALL; DELETE FROM"
        " log.events_cleanup WHERE revision = 3"
    )
    await owner.close()
    [event] = (await bank.transactor.submit(bank.deposit("a"))).events
    assert (event.revision, event.event.total) == (3, 3)


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[Postgres]:
    """A migrated server of this test alone, to be stopped."""
    folder = InstanceFolder(tmp_path / "own")
    server = Postgres(folder, ports=folder.ports(["postgres"]))
    await asyncio.to_thread(server.prepare)
    await started(server)
    await migrate(server.url(OWNER, folder.secret("postgres-owner")), {"cleanup": "secret"})
    yield server
    assert server.child
    await asyncio.to_thread(server.child.stop)


async def started(server: Postgres) -> None:
    server.launch()
    await asyncio.to_thread(server.await_ready)


async def test_a_server_restored_during_an_idle_time_counts_too(
    open_bank: Callable[..., Any], own_server: Postgres
) -> None:
    bank = await open_bank(own_server.url("regista_cleanup", "secret"))
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(600)])
    owner = await asyncpg.connect(own_server.url("postgres", own_server.folder.secret("postgres-superuser")))
    async with asyncio.timeout(30):
        while not await owner.fetchval("SELECT count(*) FROM cleanup.snapshots"):  # noqa: ASYNC110 - written behind
            await asyncio.sleep(0.02)
    await owner.execute(
        "ALTER TABLE log.events_cleanup DISABLE TRIGGER ALL; DELETE FROM"
        " log.events_cleanup WHERE revision > 3"
    )
    await owner.execute("TRUNCATE cleanup.snapshots")
    await owner.close()
    assert own_server.child
    await asyncio.to_thread(own_server.child.stop)
    await started(own_server)
    [event] = (await bank.transactor.submit(bank.deposit("a"))).events
    assert (event.revision, event.event.total) == (4, 4)


async def test_no_snapshot_is_written_to_a_server_that_may_lack_the_events(
    open_bank: Callable[..., Any], own_server: Postgres
) -> None:
    bank = await open_bank(own_server.url("regista_cleanup", "secret"))
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(300)])
    assert own_server.child
    await asyncio.to_thread(own_server.child.stop)
    await started(own_server)
    stream = "account-a"
    await bank.transactor._keep(stream, bank.transactor.states.get(stream))
    assert await bank.pool.fetchval("SELECT count(*) FROM cleanup.snapshots") == 0
    await bank.transactor.submit(bank.deposit("a"))
    await bank.transactor._keep(stream, bank.transactor.states.get(stream))
    assert await bank.pool.fetchval("SELECT revision FROM cleanup.snapshots") == 301


async def test_after_an_outage_a_key_that_the_server_lost_identifies_no_one(bank: Any, database: Any) -> None:
    people = People(database.url("registry"))
    kept, lost = await people.person("anna"), await people.person("bert")
    view = AccessView(bank.pool, PEPPER, WakeUp(bank.url, "access"))
    await view.catch_up()
    assert view.by_api_key(kept)
    assert view.by_api_key(lost)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("REVOKE SELECT ON log.events_access FROM regista_cleanup")
    following = asyncio.create_task(view.run())
    async with asyncio.timeout(10):
        while view.lag() < 2 * view.POLL:  # noqa: ASYNC110 - the database refuses to be read
            await asyncio.sleep(0.01)
        assert view.by_api_key(lost)
        await owner.execute(
            "ALTER TABLE log.events_access DISABLE TRIGGER ALL; DELETE FROM log.events_access"
            " WHERE stream = 'access-bert'"
        )
        await owner.execute("GRANT SELECT ON log.events_access TO regista_cleanup")
        while view.by_api_key(lost):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert view.by_api_key(kept)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await owner.close()


async def test_on_a_server_restored_behind_the_log_every_command_is_refused(bank: Any, database: Any) -> None:
    await broken_at(database, "log.events_cleanup", "08006")
    with pytest.raises(Unavailable):
        await bank.transactor.submit(bank.deposit("a"))
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(
        "INSERT INTO log.events_registry (service, tx, stream, revision, event_id, type, schema, bytes)"
        " VALUES ('registry', '999999999999', 'thing-1', 1, gen_random_uuid(), 'T', 1, 'x')"
    )
    await owner.close()
    for _ in range(2):
        with pytest.raises(eventlog.LogStopped, match="regista restore accept"):
            await bank.transactor.submit(bank.deposit("a"))
    assert await bank.events() == []


async def test_the_server_soon_detects_that_the_host_of_a_leader_or_writer_vanished(bank: Any) -> None:
    async with leadership(bank.url, "try") as leader, bank.pool.acquire() as writer:
        for connection in (leader, writer):
            idle, unanswered = [
                await connection.fetchval(f"SHOW {name}")
                for name in ("tcp_keepalives_idle", "tcp_user_timeout")
            ]
            assert (idle, unanswered) == ("10", "30000")


async def test_a_value_that_the_server_refuses_is_the_commands_own_fault(bank: Any, database: Any) -> None:
    await broken_at(database, "log.events_cleanup", "23514")
    with pytest.raises(asyncpg.CheckViolationError):
        await bank.transactor.submit(bank.deposit("a"))


async def test_a_snapshot_that_cannot_be_written_costs_nothing_but_the_snapshot(
    bank: Any, database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await broken_at(database, "cleanup.snapshots", "22012")
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(600)])
    async with asyncio.timeout(10):
        while "no snapshot of account-a" not in caplog.text:  # noqa: ASYNC110 - only the log shows it
            await asyncio.sleep(0.01)
    assert (await bank.transactor.submit(bank.deposit("a"))).events[0].revision == 601
