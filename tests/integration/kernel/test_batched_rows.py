"""A statement for one key answers many callers by one query."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from shared.foundation.postgres import connect_pool
from shared.http.batcher import RowBatcher

ONE = (
    "SELECT e.id, e.note, e.revision + $2 - $2 AS revision FROM entries e WHERE e.id = $1 AND e.revision = $2"
)


async def test_each_caller_gets_the_row_of_its_own_key(bank: Any) -> None:
    await bank.transactor.submit_all([bank.deposit(f"{n % 20}", 1, note=f"note {n}") for n in range(60)])
    rows = RowBatcher(bank.pool, ONE, "text", "bigint")
    keys = [(f"account-{n}", revision) for n in range(25) for revision in (1, 2, 3)]
    answers = await asyncio.gather(*(rows.get(key) for key in keys))
    for key, answer in zip(keys, answers, strict=True):
        alone = await bank.pool.fetchrow(ONE, *key)
        assert answer == (None if alone is None else dict(alone))
    assert sum(answer is not None for answer in answers) == 60


async def test_callers_share_a_query_and_see_what_was_committed_before(bank: Any) -> None:
    async with await connect_pool(bank.url, schemas=("cleanup",), size=1) as pool:
        seen: list[str] = []
        async with pool.acquire() as connection:
            connection.add_query_logger(lambda record: seen.append(record.query))
        rows = RowBatcher(pool, "SELECT total FROM accounts WHERE id = $1", "text")
        for total in range(1, 4):
            await bank.transactor.submit(bank.deposit("a", 1))
            assert (
                await asyncio.gather(*(rows.get(("account-a",)) for _ in range(50)))
                == [{"total": total}] * 50
            )
        assert seen.count(rows.statement) <= 6
        assert await rows.get(("account-b",)) is None


async def test_a_failed_query_is_the_answer_of_its_callers(bank: Any) -> None:
    rows = RowBatcher(bank.pool, "SELECT 1 / (length($1) - 1) AS x", "text")
    answers = await asyncio.gather(rows.get(("a",)), rows.get(("ab",)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncpg.DivisionByZeroError] * 2
    assert await rows.get(("ab",)) == {"x": 1}
