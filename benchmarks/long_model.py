"""Measure a model of 100,000 versions against one of 10, hot and cold, and the rebuild of its rows."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from benchmarks.figures import Figure
from benchmarks.servers import Servers
from benchmarks.trained import trained
from services.registry.look_ups import LookUps
from services.registry.service import SERVICE
from services.registry.trained_message import read
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.foundation import garbage_collector
from shared.foundation.postgres import WakeUp, connect_pool
from shared.log import projector
from shared.log.transact import Transactor

LONG, SHORT, AT_ONCE, HOT = 100_000, 10, 512, 300


class Registry:
    """The registry's command path in this process."""

    def __init__(self, pool: asyncpg.Pool, url: str) -> None:
        self.pool, self._wake_up = pool, WakeUp(url, "registry")
        self.restart()

    def restart(self) -> None:
        """Drop every cached state, as a new process does."""
        self.transactor = Transactor(SERVICE, self.pool, self._wake_up)
        self._look_ups = LookUps(self.pool)

    async def submission(self, model: str, number: int) -> Submission:
        message = read(json.dumps(trained(model, number)).encode())
        made = await self._look_ups.registration(
            model, message, Cause("benchmark", f"{model}/{number}", b"x" * 32), Actor("user-ann")
        )
        return replace(made, permission=None)

    async def fill(self, model: str, count: int) -> None:
        await self.transactor.submit(await self.submission(model, 0))
        for start in range(1, count, AT_ONCE):
            submissions = [await self.submission(model, n) for n in range(start, min(start + AT_ONCE, count))]
            for answer in await self.transactor.submit_all(submissions):
                if isinstance(answer, Exception):
                    raise answer

    async def seconds(self, model: str, number: int) -> float:
        submission = await self.submission(model, number)
        began = time.perf_counter()
        await self.transactor.submit(submission)
        return time.perf_counter() - began


async def measure(servers: Servers) -> Sequence[Figure]:
    async with servers.database() as database:
        url = servers.stack.database_url("registry", database)
        pool = await connect_pool(url, schemas=("registry", "access"))
        await projector.ensure(SERVICE, pool)
        registry = Registry(pool, url)
        writer = asyncio.create_task(registry.transactor.run())
        garbage_collector.collect_rarely()
        await registry.fill("bench.short", SHORT)
        await registry.fill("bench.long", LONG)
        hot = await _hot(registry)
        await asyncio.sleep(1)  # the snapshot under way
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        registry.restart()
        gc.collect()  # a new process has no old state to free
        writer = asyncio.create_task(registry.transactor.run())
        await registry.seconds("bench.short", LONG + 1)  # the process is up; what is cold is the long model
        cold = await registry.seconds("bench.long", LONG + HOT + 1)
        writer.cancel()
        rebuilt = await _rebuild(pool)
        await pool.close()
    return [
        Figure(
            "registering into a model of 100,000 versions, hot, against one of 10",
            hot,
            "times",
            1.2,
            smaller_is_better=True,
        ),
        Figure(
            "first command of a model of 100,000 versions after a restart",
            cold * 1000,
            "ms",
            200,
            smaller_is_better=True,
        ),
        rebuilt,
    ]


async def _hot(registry: Registry) -> float:
    """Return medians of alternating runs, so that both have the same machine."""
    times: dict[str, list[float]] = {"bench.short": [], "bench.long": []}
    for n in range(HOT):
        for model, taken in times.items():
            taken.append(await registry.seconds(model, LONG + n))
    short, long = (sorted(taken)[HOT // 2] for taken in times.values())
    return long / short


async def _rebuild(pool: asyncpg.Pool) -> Figure:
    began = time.perf_counter()
    rebuilt = await projector.rebuild(SERVICE, pool)
    rate = rebuilt.events / (time.perf_counter() - began)
    began = time.perf_counter()
    count: Any = await pool.fetchval(
        "SELECT count(*) FROM (SELECT bytes FROM log.events_registry ORDER BY tx, seq OFFSET 0) AS e"
    )
    async with pool.acquire() as connection, connection.transaction():
        async for _ in connection.cursor(
            "SELECT tx::text::bigint, seq, bytes FROM log.events_registry ORDER BY tx, seq", prefetch=5000
        ):
            pass
    return Figure(
        "rebuild of the registry's read models",
        rate,
        "events/s",
        60_000,
        "reading the same events, nothing else",
        count / (time.perf_counter() - began),
    )
