"""Runs due work: leases rows in short transactions of their own, handles them, submits what follows, and lets go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta

import asyncpg
import msgspec
from prometheus_client import Counter, Gauge

from shared.deciding.decider import RuleBroken
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, wait_for_wake_up
from shared.foundation.telemetry import tracer
from shared.log.due_work import DueRow, DueWork
from shared.log.transact import Transactor, WriterDied

log = logging.getLogger(__name__)

DONE = Counter("regista_due", "Due work, by what became of it", ["service", "kind", "result"])
OVERDUE = Gauge(
    "regista_due_overdue_seconds", "Age of the oldest due row of the kind, leased or not", ["service", "kind"]
)
PAUSE = 0.1
"""Between two looks that found nothing: the wake_up rings at every commit, and few commits make work due at once."""
MEASURE_EVERY = 5.0
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 300.0

# Leases rows that are due and not leased. A lease lives beside the read model, so a rebuild neither loses nor
# repeats one.
LEASE = """
WITH due_now AS (
    SELECT d.kind, d.key, d.due_at, d.data FROM {schema}.due d LEFT JOIN {schema}.due_leases l USING (kind, key)
    WHERE d.kind = $1 AND d.due_at <= now() AND (l.leased_until IS NULL OR l.leased_until < now())
    ORDER BY d.due_at LIMIT $2
), taken AS (
    INSERT INTO {schema}.due_leases AS l (kind, key, leased_until, attempts)
    SELECT kind, key, now() + $3, 1 FROM due_now ORDER BY kind, key
    ON CONFLICT (kind, key) DO UPDATE SET leased_until = excluded.leased_until, attempts = l.attempts + 1 WHERE l.leased_until < now()
    RETURNING kind, key, attempts
)
SELECT key, due_at, data, attempts FROM due_now JOIN taken USING (kind, key)
"""

OLDEST = """
SELECT coalesce(extract(epoch FROM now() - min(d.due_at)), 0)::float8 FROM {schema}.due d WHERE d.kind = $1 AND d.due_at <= now()
"""

# The attempt number tells a holder whose lease ran out from the one that took it over.
RENEW = (
    "UPDATE {schema}.due_leases SET leased_until = now() + $4 WHERE kind = $1 AND key = $2 AND attempts = $3"
)

# After success: the row that was handled is gone or due at another time, and so is its lease.
RELEASE = """
DELETE FROM {schema}.due_leases l WHERE l.kind = $1 AND l.key = $2 AND l.attempts = $3
    AND NOT EXISTS (SELECT FROM {schema}.due d WHERE d.kind = $1 AND d.key = $2 AND d.due_at = $4)
"""

# After failure, or when the row is due as before: again, later.
POSTPONE = "UPDATE {schema}.due_leases SET leased_until = now() + $4, last_error = $5 WHERE kind = $1 AND key = $2 AND attempts = $3"


class LeaseLost(Exception):  # noqa: N818
    """The lease ran out and somebody else took the row: what this attempt still does would be done twice."""


class DueWorkRunner:
    """One worker of one process."""

    def __init__(
        self,
        worker: DueWork,
        service: str,
        schema: str,
        pool: asyncpg.Pool,
        transactor: Transactor,
        wake_up: WakeUp,
    ) -> None:
        self._worker = worker
        self._service = service
        self._pool = pool
        self._transactor = transactor
        self._wake_up = wake_up
        self._lease, self._oldest, self._renew, self._release, self._postpone = (
            sql.format(schema=schema) for sql in (LEASE, OLDEST, RENEW, RELEASE, POSTPONE)
        )
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For the life of the process; when it is cancelled, so is what is under way, and its leases run out."""
        measuring = asyncio.create_task(self._measure())
        with self._wake_up.subscribe() as rung:
            try:
                while True:
                    rung.clear()
                    if not await self._fill():
                        await asyncio.sleep(PAUSE)
                        await wait_for_wake_up(rung, self._worker.poll)
            finally:
                everything = (measuring, *self._running)
                for task in everything:
                    task.cancel()
                await asyncio.gather(*everything, return_exceptions=True)

    async def _measure(self) -> None:
        """On its own: it tells most while every hand is stuck."""
        while True:
            try:
                OVERDUE.labels(self._service, self._worker.kind).set(
                    await self._pool.fetchval(self._oldest, self._worker.kind)
                )
            except Exception as error:  # noqa: BLE001 - the next look tells
                log.info("overdue work was not measured (%s)", type(error).__name__)
            await asyncio.sleep(MEASURE_EVERY)

    async def _fill(self) -> bool:
        """Leases as many rows as there are free hands; False when there was nothing to do but wait."""
        free = self._worker.concurrency - len(self._running)
        if free <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return True
        try:
            rows = await self._pool.fetch(
                self._lease, self._worker.kind, free, timedelta(seconds=self._worker.lease)
            )
        except CONNECTION_ERRORS as away:
            log.info("due work waits: the database is away (%s)", type(away).__name__)
            return False
        except asyncpg.UndefinedTableError:
            return False  # the moment of a swap
        for row in rows:
            due = DueRow(
                self._service,
                self._worker.kind,
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
                "a lease was lost in the middle of the work", extra={"kind": row.kind, "key": row.key}
            )
        except Exception as error:
            self._count("refused" if isinstance(error, RuleBroken) else "failed")
            log.warning(
                "due work failed",
                exc_info=error,
                extra={"kind": row.kind, "key": row.key, "attempt": row.attempt},
            )
            await self._later(row, f"{type(error).__name__}: {error}")
        else:
            self._count("done")
            await self._let_go(row)

    async def _work(self, row: DueRow) -> None:
        """Handles the row while its lease is renewed; submits what follows."""
        handled = asyncio.ensure_future(self._worker.handle(row))
        renewing = asyncio.create_task(self._keep(row))
        try:
            done, _ = await asyncio.wait(
                {handled, renewing}, timeout=self._worker.timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TimeoutError(f"not done within {self._worker.timeout:g} s")
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

    async def _keep(self, row: DueRow) -> None:
        while True:
            await asyncio.sleep(self._worker.lease / 3)
            with contextlib.suppress(*CONNECTION_ERRORS):
                said = await self._pool.execute(
                    self._renew, row.kind, row.key, row.attempt, timedelta(seconds=self._worker.lease)
                )
                if said == "UPDATE 0":
                    raise LeaseLost

    async def _let_go(self, row: DueRow) -> None:
        try:
            said = await self._pool.execute(self._release, row.kind, row.key, row.attempt, row.due_at)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lease runs out by itself
            self._kept(row, error)
        else:
            if said == "DELETE 0":
                await self._later(row, "handled, but still due")

    async def _later(self, row: DueRow, why: str) -> None:
        wait = timedelta(seconds=min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(row.attempt - 1, 10)))
        try:
            await self._pool.execute(self._postpone, row.kind, row.key, row.attempt, wait, why[:2000])
        except Exception as error:  # noqa: BLE001
            self._kept(row, error)

    def _kept(self, row: DueRow, error: Exception) -> None:
        log.warning(
            "a lease could not be given back and runs out by itself",
            exc_info=error,
            extra={"kind": row.kind, "key": row.key},
        )

    def _count(self, result: str) -> None:
        DONE.labels(self._service, self._worker.kind, result).inc()
