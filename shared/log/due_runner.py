"""Run due work: lease rows in short transactions, handle them, submit commands, release leases."""

from __future__ import annotations

import asyncio
import logging
import math
from datetime import timedelta

import asyncpg
import msgspec
from prometheus_client import Counter, Gauge

from shared.deciding.decider import RuleBroken
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable, WakeUp, wait_for_wake_up
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.telemetry import tracer
from shared.log.due_work import DueRow, DueWork
from shared.log.transact import Transactor, WriterDied

log = logging.getLogger(__name__)

DONE = Counter("regista_due", "Due work, by result", ["service", "kind", "result"])
OVERDUE = Gauge(
    "regista_due_overdue_seconds", "Age of the oldest due row of the kind, leased or not", ["service", "kind"]
)
PAUSE = 0.1
"""Seconds after a look that found nothing: every commit sends a wake-up, and few commits make work due
immediately."""
MEASURE_EVERY = 5.0
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 300.0

# Lease rows that are due and not leased. Leases are stored outside the read model, so a rebuild neither loses
# nor repeats one.
LEASE = """
WITH due_now AS (
    SELECT d.kind, d.key, d.due_at, d.data
    FROM {schema}.due d LEFT JOIN {schema}.due_leases l USING (kind, key)
    WHERE d.kind = $1 AND d.due_at <= now() AND (l.leased_until IS NULL OR l.leased_until < now())
    ORDER BY d.due_at LIMIT $2
), taken AS (
    INSERT INTO {schema}.due_leases AS l (kind, key, leased_until, attempts)
    SELECT kind, key, now() + $3, 1 FROM due_now ORDER BY kind, key
    ON CONFLICT (kind, key) DO UPDATE SET leased_until = excluded.leased_until, attempts = l.attempts + 1
        WHERE l.leased_until < now()
    RETURNING kind, key, attempts
)
SELECT key, due_at, data, attempts FROM due_now JOIN taken USING (kind, key)
"""

OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(d.due_at)), 0)::float8 FROM {schema}.due d
WHERE d.kind = $1 AND d.due_at <= now()
"""

# The attempt number distinguishes a process whose lease ran out from the one that took the row over.
RENEW = (
    "UPDATE {schema}.due_leases SET leased_until = now() + $4 WHERE kind = $1 AND key = $2 AND attempts = $3"
)

# After success the row is gone or due at another time: delete its lease.
RELEASE = """
DELETE FROM {schema}.due_leases l WHERE l.kind = $1 AND l.key = $2 AND l.attempts = $3
    AND NOT EXISTS (SELECT FROM {schema}.due d WHERE d.kind = $1 AND d.key = $2 AND d.due_at = $4)
"""

# After a failure, or when the row is still due: try again later.
POSTPONE = """
UPDATE {schema}.due_leases SET leased_until = now() + $4, last_error = $5
WHERE kind = $1 AND key = $2 AND attempts = $3
"""


class LeaseLost(Exception):  # noqa: N818
    """The lease ran out and another process took the row: continuing would do the work twice."""


class DueWorkRunner:
    """Runs the due work of one kind in this process."""

    def __init__(
        self,
        work: DueWork,
        service: str,
        schema: str,
        pool: asyncpg.Pool,
        transactor: Transactor,
        wake_up: WakeUp,
    ) -> None:
        self._due_work = work
        self._service = service
        self._pool = pool
        self._transactor = transactor
        self._wake_up = wake_up
        self._lease, self._oldest, self._renew, self._release, self._postpone = (
            sql.format(schema=schema) for sql in (LEASE, OLDEST, RENEW, RELEASE, POSTPONE)
        )
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run for the life of the process.

        A cancellation cancels the work in progress, and its leases run out.
        """
        measuring = asyncio.create_task(self._measure())
        with self._wake_up.subscribe() as woken:
            try:
                while True:
                    woken.clear()
                    if not await self._fill():
                        await asyncio.sleep(PAUSE)
                        await wait_for_wake_up(woken, self._due_work.poll)
            finally:
                tasks = (measuring, *self._running)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _measure(self) -> None:
        """Measure overdue work, in a task of its own: the metric is right when all handlers are stuck."""
        while True:
            try:
                OVERDUE.labels(self._service, self._due_work.kind).set(
                    await self._pool.fetchval(self._oldest, self._due_work.kind)
                )
            except Exception as error:  # noqa: BLE001 - measured again soon
                raise_if_cancelled()
                log.debug("overdue work was not measured (%s)", type(error).__name__)
                OVERDUE.labels(self._service, self._due_work.kind).set(math.nan)
            await asyncio.sleep(MEASURE_EVERY)

    async def _fill(self) -> bool:
        """Lease and start as many rows as `concurrency` allows.

        Return False when there is nothing to do but wait.
        """
        free = self._due_work.concurrency - len(self._running)
        if free <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return True
        try:
            rows = await self._pool.fetch(
                self._lease, self._due_work.kind, free, timedelta(seconds=self._due_work.lease)
            )
        except asyncpg.UndefinedTableError:
            return False  # a rebuild is swapping the tables
        except CONNECTION_ERRORS as error:
            raise_if_cancelled()
            POSTGRES.report(error)
            return False
        for row in rows:
            due = DueRow(
                self._service,
                self._due_work.kind,
                row["key"],
                row["due_at"],
                msgspec.json.decode(row["data"]),
                row["attempts"],
            )
            task = asyncio.create_task(self._handle(due))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(rows) == free

    async def _handle(self, row: DueRow) -> None:
        try:
            with tracer.span(f"due {row.kind}"):
                await self._work(row)
        except (WriterDied, asyncio.CancelledError):
            raise
        except LeaseLost:
            self._count("lease_lost")
            log.warning(
                "a lease was lost during the work; another process does it",
                extra={"kind": row.kind, "key": row.key},
            )
        except Exception as error:
            raise_if_cancelled()
            self._count("refused" if isinstance(error, RuleBroken) else "failed")
            log.warning(
                "due work failed (%s)",
                type(error).__name__,
                exc_info=None if isinstance(error, (Unavailable, *CONNECTION_ERRORS)) else error,
                extra={"kind": row.kind, "key": row.key, "attempt": row.attempt},
            )
            await self._postpone_lease(row, f"{type(error).__name__}: {error}")
        else:
            self._count("done")
            await self._release_lease(row)

    async def _work(self, row: DueRow) -> None:
        """Handle the row while its lease is renewed, then submit the commands."""
        handled = asyncio.ensure_future(self._due_work.handle(row))
        renewing = asyncio.create_task(self._renew_lease(row))
        try:
            done, _ = await asyncio.wait(
                {handled, renewing}, timeout=self._due_work.timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TimeoutError(f"not done within {self._due_work.timeout:g} s")
            if not handled.done():
                renewing.result()
            submissions = await handled
            for some in (submissions[:-1], submissions[-1:]):
                for answer in await self._transactor.submit_all(some):
                    if isinstance(answer, RuleBroken):
                        raise answer
        finally:
            for task in (handled, renewing):
                task.cancel()
            await asyncio.gather(handled, renewing, return_exceptions=True)

    async def _renew_lease(self, row: DueRow) -> None:
        while True:
            await asyncio.sleep(self._due_work.lease / 3)
            try:
                status = await self._pool.execute(
                    self._renew, row.kind, row.key, row.attempt, timedelta(seconds=self._due_work.lease)
                )
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)
            else:
                if status == "UPDATE 0":
                    raise LeaseLost

    async def _release_lease(self, row: DueRow) -> None:
        try:
            status = await self._pool.execute(self._release, row.kind, row.key, row.attempt, row.due_at)
        except Exception as error:  # noqa: BLE001 - the lease runs out by itself
            raise_if_cancelled()
            self._log_unreleased(row, error)
        else:
            if status == "DELETE 0":
                await self._postpone_lease(row, "handled, but still due")

    async def _postpone_lease(self, row: DueRow, why: str) -> None:
        wait = timedelta(seconds=min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(row.attempt - 1, 10)))
        try:
            await self._pool.execute(self._postpone, row.kind, row.key, row.attempt, wait, why[:2000])
        except Exception as error:  # noqa: BLE001
            raise_if_cancelled()
            self._log_unreleased(row, error)

    def _log_unreleased(self, row: DueRow, error: Exception) -> None:
        if isinstance(error, CONNECTION_ERRORS):
            POSTGRES.report(error)
            return
        log.warning(
            "a lease was not released; it runs out by itself",
            exc_info=error,
            extra={"kind": row.kind, "key": row.key},
        )

    def _count(self, result: str) -> None:
        DONE.labels(self._service, self._due_work.kind, result).inc()
