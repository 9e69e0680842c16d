"""Read models are disposable: dropped and replayed they are the same, while everything runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text, text

from shared.deciding.changes import Put
from shared.deciding.service import Service
from shared.foundation.postgres import connect_pool
from shared.log import projector, read_models
from shared.log.transact import WriterDied
from tests.integration.kernel.conftest import ACCOUNTS


async def test_a_rebuild_from_zero_gives_the_same_rows(bank: Any) -> None:
    await bank.transactor.submit_all([bank.deposit(f"{n % 7}", n) for n in range(100)])
    live = await bank.read_models()
    rebuilt = await projector.rebuild(bank.service, bank.pool)
    assert await bank.read_models() == live
    assert (rebuilt.events, rebuilt.rows["accounts"]) == (99, 7)


async def test_a_rebuild_under_sixteen_writers_loses_and_invents_nothing(
    open_bank: Callable[..., Any],
) -> None:
    first, second = await open_bank(), await open_bank()
    stop = asyncio.Event()
    answered = 0

    async def write(bank: Any, account: int) -> None:
        nonlocal answered
        while not stop.is_set():
            await bank.transactor.submit(bank.deposit(f"{account}"))
            answered += 1

    writers = [asyncio.create_task(write(b, n)) for n in range(8) for b in (first, second)]
    for _ in range(4):
        await projector.rebuild(first.service, first.pool)
    stop.set()
    await asyncio.gather(*writers)
    live = await first.read_models()
    assert await first.pool.fetchval("SELECT sum(total) FROM accounts") == answered > 0
    assert await first.pool.fetchval("SELECT count(*) FROM entries") == answered
    await projector.rebuild(first.service, first.pool)
    assert await first.read_models() == live


async def test_dropped_read_models_come_back(bank: Any) -> None:
    await bank.transactor.submit_all([bank.deposit("a", n) for n in range(1, 10)])
    live = await bank.read_models()
    for table in bank.service.tables:
        await bank.pool.execute(f"DROP VIEW {table.name}")
    await projector.rebuild(bank.service, bank.pool)
    assert await bank.read_models() == live


async def test_an_older_generation_leaves_no_tables_behind(bank: Any) -> None:
    for _ in range(3):
        await projector.rebuild(bank.service, bank.pool)
    tables = await bank.pool.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'cleanup' AND tablename LIKE 'accounts_g%'"
    )
    assert [t["tablename"] for t in tables] == ["accounts_g4"]


async def test_a_changed_shape_is_rebuilt_at_start_by_one_of_many(bank: Any, database: Any) -> None:
    await bank.transactor.submit_all([bank.deposit("a", 4), bank.deposit("b", 5)])
    changed = _wider(bank)
    pools = [await connect_pool(database.url("cleanup"), schemas=("cleanup",)) for _ in range(3)]
    await asyncio.gather(*(projector.ensure(changed, pool) for pool in pools))
    assert [r["double"] for r in await pools[0].fetch("SELECT double FROM accounts ORDER BY id")] == [8, 10]
    assert await pools[0].fetchval("SELECT number FROM generation") == 2
    await asyncio.gather(*(pool.close() for pool in pools))


def _wider(bank: Any) -> Service:
    wider = Table(
        "accounts",
        MetaData(),
        Column("id", Text, primary_key=True),
        Column("total", BigInteger),
        Column("double", BigInteger),
    )
    return replace(
        bank.service,
        tables=(wider,),
        project=lambda r: [Put(wider, {"id": r.stream, "total": r.event.total, "double": 2 * r.event.total})],
    )


async def test_a_writer_ends_when_another_release_rebuilt_the_read_models(bank: Any) -> None:
    await bank.transactor.submit(bank.deposit("a"))
    await projector.ensure(_wider(bank), bank.pool)
    with pytest.raises(WriterDied):
        await bank.transactor.submit(bank.deposit("a"))
    assert len(await bank.events()) == 1


async def test_a_release_that_was_superseded_a_moment_ago_does_not_take_the_read_models_back(
    bank: Any,
) -> None:
    await projector.ensure(_wider(bank), bank.pool)
    with pytest.raises(projector.Superseded, match="Start the newer release"):
        await projector.ensure(bank.service, bank.pool)
    await bank.pool.execute("UPDATE generation SET built_at = built_at - interval '11 minutes'")
    await projector.ensure(bank.service, bank.pool)
    assert await bank.pool.fetchval("SELECT count(*) FROM entries") == 0


async def test_an_index_may_take_longer_than_any_other_statement(
    bank: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_sql = read_models.index_sql
    monkeypatch.setattr(read_models, "index_sql", lambda *args: [*index_sql(*args), "SELECT pg_sleep(0.7)"])
    async with asyncpg.create_pool(
        bank.url, command_timeout=0.5, server_settings={"search_path": "cleanup"}
    ) as impatient:
        await projector.rebuild(bank.service, impatient)
    assert await bank.pool.fetchval("SELECT number FROM generation") == 2


async def test_indexes_and_keys_stand_on_every_generation(bank: Any) -> None:
    await projector.rebuild(bank.service, bank.pool)
    found = {
        r["indexname"]
        for r in await bank.pool.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'cleanup'")
    }
    assert {"entries_revision_g2", "entries_g2_pkey", "accounts_g2_pkey"} <= found


FULL_DISK = """
CREATE FUNCTION log.full_disk(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION
    'full' USING ERRCODE = '53100'; END $$;
GRANT USAGE ON SCHEMA log TO PUBLIC
"""


async def test_the_error_that_stops_a_rebuild_is_reported_as_it_is(bank: Any, database: Any) -> None:
    await bank.transactor.submit(bank.deposit("a"))
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute(FULL_DISK)
    await owner.close()
    table = Table(
        "accounts",
        MetaData(),
        *(c._copy() for c in ACCOUNTS.columns),
        Index("full", text("log.full_disk(id)")),
    )
    service = replace(
        bank.service, tables=(table,), project=lambda r: [Put(table, {"id": r.stream, "total": 1})]
    )
    with pytest.raises(asyncpg.DiskFullError):  # to be waited for: shared/run.py
        await projector.rebuild(service, bank.pool)


async def test_a_rebuild_that_fails_while_it_folds_has_given_its_connections_back(bank: Any) -> None:
    await bank.transactor.submit(bank.deposit("a"))

    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failed:
        await projector.rebuild(replace(bank.service, project=broken), bank.pool)
    assert failed.value.__traceback__
    assert bank.pool.get_idle_size() == bank.pool.get_size()
