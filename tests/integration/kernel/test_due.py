"""Due work that fails: the lease, the time limit, and the metrics meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from shared.deciding.changes import Put
from shared.deciding.submission import Submission
from shared.log import due_runner, projector
from shared.log.due_work import DUE, DueRow, DueWork
from shared.log.transact import Transactor
from tests.integration.kernel.conftest import SERVICE

HOUR = timedelta(hours=1)
WITH_DUE = replace(
    SERVICE,
    tables=(*SERVICE.tables, DUE),
    project=lambda r: [
        *SERVICE.project(r),
        Put(DUE, {"kind": "try", "key": r.stream, "due_at": r.recorded_at - HOUR, "data": {}}),
    ],
)


@contextlib.asynccontextmanager
async def working(bank: Any, handle: Any, **options: Any) -> AsyncIterator[None]:
    """A worker, and one row that was due an hour ago."""
    await projector.ensure(WITH_DUE, bank.pool)
    transactor = Transactor(WITH_DUE, bank.pool, bank.wake_up)
    runner = due_runner.DueWorkRunner(
        DueWork("try", handle, poll=0.05, **options),
        "cleanup",
        "cleanup",
        bank.pool,
        transactor,
        bank.wake_up,
    )
    tasks = [asyncio.create_task(transactor.run())]
    await transactor.submit(bank.deposit("a"))
    tasks.append(asyncio.create_task(runner.run()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not (await held if asyncio.iscoroutine(held := holds()) else held):  # noqa: ASYNC110 - metrics and logs ring no wake_up
            await asyncio.sleep(0.02)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"service": "cleanup", "kind": "try", **labels}) or 0.0


async def never(_: DueRow) -> list[Submission]:
    await asyncio.get_running_loop().create_future()
    return []


async def test_a_process_that_lost_its_lease_stops_and_submits_nothing(bank: Any) -> None:
    began, stopped = asyncio.Event(), asyncio.Event()

    async def long(row: DueRow) -> list[Submission]:
        began.set()
        try:
            return await never(row)
        finally:
            stopped.set()

    lost = metric("regista_due_total", result="lease_lost")
    async with working(bank, long, lease=0.3):
        await began.wait()
        await bank.pool.execute(
            "UPDATE due_leases SET attempts = attempts + 1, leased_until = now() + interval '1 hour'"
        )
        async with asyncio.timeout(10):
            await stopped.wait()
        await until(lambda: metric("regista_due_total", result="lease_lost") == lost + 1)
    assert len(await bank.events()) == 1


async def test_the_end_of_the_work_waits_for_every_part_before_it(bank: Any) -> None:
    async def in_parts(_: DueRow) -> list[Submission]:
        return [bank.deposit("a", -1), bank.deposit("a")]

    refused = metric("regista_due_total", result="refused")
    async with working(bank, in_parts):
        await until(lambda: metric("regista_due_total", result="refused") == refused + 1)
    assert len(await bank.events()) == 1


async def test_work_past_its_time_limit_is_cancelled_and_tried_again_later(bank: Any) -> None:
    async with working(bank, never, timeout=0.2):
        await until(
            lambda: bank.pool.fetchval("SELECT last_error LIKE '%not done within 0.2 s' FROM due_leases")
        )


async def test_overdue_work_is_measured_while_every_handler_is_stuck(
    bank: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_runner, "MEASURE_EVERY", 0.05)
    due_runner.OVERDUE.labels("cleanup", "try").set(0)
    async with working(bank, never, concurrency=1):
        await until(lambda: metric("regista_due_overdue_seconds") > HOUR.total_seconds())


async def test_a_lease_that_cannot_be_released_is_logged(
    bank: Any, database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(_: DueRow) -> list[Submission]:
        raise ZeroDivisionError

    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("ALTER TABLE cleanup.due_leases ADD CHECK (last_error IS NULL)")
    await owner.close()
    async with working(bank, fails):
        await until(lambda: "was not released" in caplog.text)
