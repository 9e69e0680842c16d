"""Measure events kept in their row against PostgreSQL's default, which moves rows over 2 KB."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import asyncpg

from benchmarks.figures import Figure
from benchmarks.long_model import Registry
from benchmarks.servers import Servers
from services.registry.service import SERVICE
from shared.deciding.events import START
from shared.foundation.postgres import connect_pool
from shared.log import eventlog, projector

VERSIONS, BATCH, PAGE, ROUNDS = 5_000, 256, 2_500, 4
STORED = "SELECT bytes FROM log.events_registry WHERE type = 'VersionRegistered'"
OURS, DEFAULT = "cleanup", "artifact"
"""Two partitions; the second is given PostgreSQL's default back."""


async def measure(servers: Servers) -> Sequence[Figure]:
    async with servers.database() as database:
        owner = await asyncpg.connect(servers.stack.owner_url(database))
        await owner.execute(f"ALTER TABLE log.events_{DEFAULT} RESET (toast_tuple_target)")
        bytes_ = await _events(servers, database, owner)
        appended: dict[str, list[float]] = {OURS: [], DEFAULT: []}
        read: dict[str, list[float]] = {OURS: [], DEFAULT: []}
        for turn in range(ROUNDS):
            for partition in (OURS, DEFAULT):
                appended[partition].append(await _append(owner, partition, f"bench-{turn}", bytes_))
        for _ in range(ROUNDS):
            for partition in (OURS, DEFAULT):
                read[partition].append(await _read(owner, partition))
        await owner.close()
    size = sum(map(len, bytes_)) / len(bytes_) / 1000
    return [
        _against(
            f"appending registered versions, {size:.1f} KB each, kept in their row, against moved out",
            appended,
        ),
        _against("reading them in order", read),
    ]


async def _events(servers: Servers, database: str, owner: asyncpg.Connection) -> list[bytes]:
    """Real ones: how well they compress decides where PostgreSQL's default puts them."""
    url = servers.stack.database_url("registry", database)
    async with await connect_pool(url, schemas=("registry", "access")) as pool:
        await projector.ensure(SERVICE, pool)
        registry = Registry(pool, url)
        writer = asyncio.create_task(registry.transactor.run())
        await registry.fill("bench.storage", VERSIONS)
        writer.cancel()
    return [row[0] for row in await owner.fetch(STORED)]


def _against(name: str, rates: dict[str, list[float]]) -> Figure:
    ours, default = max(rates[OURS]), max(rates[DEFAULT])
    return Figure(name, ours / default, "times", 1.2, note=f"{ours:,.0f} against {default:,.0f} events/s")


async def _append(
    connection: asyncpg.Connection, partition: str, stream: str, bytes_: Sequence[bytes]
) -> float:
    rows = [
        eventlog.Row(stream, n, eventlog.uuid7(), "Benchmarked", 1, stored)
        for n, stored in enumerate(bytes_, 1)
    ]
    began = time.perf_counter()
    for first in range(0, len(rows), BATCH):
        await eventlog.append(connection, partition, rows[first : first + BATCH])
    return len(rows) / (time.perf_counter() - began)


async def _read(connection: asyncpg.Connection, partition: str) -> float:
    cursor, count, began = START, 0, time.perf_counter()
    while page := await eventlog.read(connection, partition, cursor, PAGE):
        cursor, count = page[-1][0], count + len(page)
    return count / (time.perf_counter() - began)
