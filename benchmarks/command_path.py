"""The whole command path in process: inbox, decide, append, two projections, commit; 256 callers."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence

import asyncpg

from benchmarks.accounts import SERVICE, deposit
from benchmarks.figures import Figure
from benchmarks.servers import Servers
from shared.foundation import garbage_collector
from shared.foundation.postgres import WakeUp, connect_pool
from shared.log import eventlog, projector
from shared.log.transact import Transactor

CALLERS, SECONDS, ACCOUNTS, BATCH = 256, 8.0, 1_000, 256


async def measure(servers: Servers) -> Sequence[Figure]:
    async with servers.database() as database:
        url = servers.stack.database_url("cleanup", database)
        pool = await connect_pool(url, schemas=("cleanup",))
        await projector.ensure(SERVICE, pool)
        wake_up = WakeUp(url, "cleanup")
        transactor = Transactor(SERVICE, pool, wake_up)
        tasks = [asyncio.create_task(wake_up.run()), asyncio.create_task(transactor.run())]
        ours = await _commands(transactor)
        rows = [
            tuple(row)
            for row in await pool.fetch(
                "SELECT stream, revision, event_id, type, schema, bytes FROM log.events_cleanup LIMIT 20000"
            )
        ]
        plain = await _plain_inserts(pool, rows)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await pool.close()
    return [
        Figure(
            "command path in process, 256 callers",
            ours,
            "commands/s",
            6_000,
            "PostgreSQL inserting the same event rows in batches",
            plain,
        )
    ]


async def _commands(transactor: Transactor) -> float:
    numbers, done = itertools.count(), 0
    garbage_collector.collect_rarely()

    async def caller(until: float) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await transactor.submit(deposit(next(numbers), ACCOUNTS))
            done += 1

    for seconds in (2.0, SECONDS):  # the first warms caches and plans
        done, began = 0, time.perf_counter()
        await asyncio.gather(*(caller(began + seconds) for _ in range(CALLERS)))
        rate = done / (time.perf_counter() - began)
    return rate


async def _plain_inserts(pool: asyncpg.Pool, rows: list[tuple[object, ...]]) -> float:
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        batch = [eventlog.Row("again-" + str(r[0]), *r[1:]) for r in rows[start : start + BATCH]]  # type: ignore[arg-type]
        async with pool.acquire() as connection:
            await eventlog.append(connection, "cleanup", batch)
    return len(rows) / (time.perf_counter() - began)
