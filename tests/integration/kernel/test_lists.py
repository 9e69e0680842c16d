"""Lists that are slow leave connections to commits and to reads of single rows."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.foundation.postgres import connect_pool
from shared.foundation.settings import Settings
from shared.http.app import App

MANY = 20
SLOW = "SELECT pg_advisory_lock_shared(77), pg_advisory_unlock_shared(77)"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted"


async def test_slow_lists_leave_connections_to_commits(bank: Any) -> None:
    app = App("cleanup", Settings())
    app.pool = bank.pool
    async with bank.pool.acquire() as holder:
        await holder.execute("SELECT pg_advisory_lock(77)")
        lists = asyncio.gather(*(app.list_rows(SLOW) for _ in range(MANY)))
        async with asyncio.timeout(10):
            while not await bank.pool.fetchval(WAITING):
                pass
            await bank.transactor.submit(bank.deposit("a", 1))
        assert not lists.done()
        await holder.execute("SELECT pg_advisory_unlock(77)")
        assert [len(rows) for rows in await lists] == [1] * MANY


async def test_a_search_is_planned_with_the_values_of_each_caller(bank: Any) -> None:
    """PostgreSQL plans a statement without them after five runs, when that looks as cheap."""
    app = App("cleanup", Settings())
    app.searches = await connect_pool(bank.url, schemas=("bank",), size=1, plan_with_values=True)
    for _ in range(10):
        await app.list_rows("SELECT $1::int AS asked", 1, search=True)
    [plans] = await app.searches.fetch(
        "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%AS asked'"
    )
    app.searches.terminate()
    assert dict(plans) == {"generic_plans": 0, "custom_plans": 10}
