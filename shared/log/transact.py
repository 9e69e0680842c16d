"""Run every command: queue, batch, lock, load, decide, append, project, record the cause, commit, answer.

HTTP and Kafka submit here, and only this module commits. Commands that arrive during a commit are the next
batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import asyncpg
from prometheus_client import Counter, Histogram

from shared.deciding.access import ACCESS
from shared.deciding.decider import Misrouted, RuleBroken
from shared.deciding.denied_attempts import DENIED_ATTEMPTS
from shared.deciding.service import Service
from shared.deciding.submission import Outcome, Submission
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable, WakeUp
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.log import eventlog, inbox, read_models
from shared.log.batch import Batch, EventTooLarge
from shared.log.standing import Standing
from shared.log.states import CachedState, States

log = logging.getLogger(__name__)

BATCH_SIZE = Histogram(
    "regista_batch_commands",
    "Commands in one commit",
    ["service"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
RERUNS_TOTAL = Counter("regista_batch_reruns", "Batches run again after a conflict", ["service"])

CONFLICTS = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidCachedStatementError,
)
"""Errors that no command causes and after which the batch runs again. UndefinedTable and
InvalidCachedStatement: a rebuild is swapping a view."""
RERUNS = 5
MOST_WAITING = 10_000
"""Maximum length of the queue. When it is full, `submit` fails immediately."""
QUIET = 0.5
"""Seconds without a commit after which snapshots of slightly changed streams are written."""


class AnotherServer(Exception):  # noqa: N818
    """The server has restarted, or another database has its name: it may lack events that are in memory."""


class WriterDied(Exception):  # noqa: N818
    """The task that commits has ended. The process ends, too, and its callers get this error."""


@dataclass(slots=True)
class Pending:
    """A submission and the future of its answer."""

    submission: Submission
    answer: asyncio.Future[Outcome]


class Transactor:
    """Runs the commands of one service, one batch after the other.

    `check_log` is called after an outage, before anything is written: another server may answer. It raises
    LogStopped. Nothing is written while `standing` has a reason.
    """

    def __init__(
        self,
        service: Service,
        pool: asyncpg.Pool,
        wake_up: WakeUp,
        *,
        batch_size: int = 512,
        most_waiting: int = MOST_WAITING,
        standing: Standing | None = None,
        check_log: Callable[[asyncpg.Connection], Awaitable[None]] = eventlog.check_not_restored,
    ) -> None:
        self.service = service
        self.pool = pool
        self._shape = read_models.shape_of(service.tables)
        self._after_outage = False
        self._server: str | None = None
        self.schema = service.schema or service.name
        folds = {fold.category: fold for fold in (*service.folds, ACCESS, DENIED_ATTEMPTS)}
        self.states = States(self.schema, folds.values(), upcasters=service.events.upcasters.values())
        self._wake_up = wake_up
        self._queue: asyncio.Queue[Pending] = asyncio.Queue(most_waiting)
        self._batch_size = batch_size
        self._standing = standing or Standing()
        self._check_log = check_log
        self._to_keep: asyncio.Queue[str] = asyncio.Queue(maxsize=1000)
        self._committed_at = 0.0
        self._dead: BaseException | None = None
        self._batch_sizes = BATCH_SIZE.labels(service.name)

    async def submit(self, submission: Submission) -> Outcome:
        """Run one command.

        Raises RuleBroken when a rule forbids it, and Unavailable while the database is unavailable, the queue
        is full, or the log is stopped.
        """
        return await self._enqueue(submission)

    async def submit_all(self, submissions: Sequence[Submission]) -> list[Outcome | RuleBroken]:
        """Run commands in order. A broken rule fails its own command only.

        At most two batches of them are in the queue at a time, so that many commands do not fill it. Raises
        Unavailable for all of them.
        """
        answers: list[Outcome | BaseException] = []
        for first in range(0, len(submissions), 2 * self._batch_size):
            some = [self._enqueue(s) for s in submissions[first : first + 2 * self._batch_size]]
            answers += await asyncio.gather(*some, return_exceptions=True)
            failed = next((answer for answer in answers[first:] if isinstance(answer, Unavailable)), None)
            if failed is not None:
                raise failed
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, RuleBroken):
                raise answer
        return answers  # type: ignore[return-value]

    def _enqueue(self, submission: Submission) -> asyncio.Future[Outcome]:
        if self._dead is not None:
            raise WriterDied from self._dead
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._standing.reason:
            answer.set_exception(eventlog.LogStopped(self._standing.reason))
            return answer
        try:
            self._queue.put_nowait(Pending(submission, answer))
        except asyncio.QueueFull:
            answer.set_exception(
                Unavailable(
                    "The queue of this process is full."
                    " Repeat the request later with the same Idempotency-Key."
                )
            )
        return answer

    async def run(self) -> None:
        """Run for the life of the process. An error ends it, and every waiting caller gets WriterDied."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._work())
                group.create_task(self._keep_snapshots())
        except BaseException as died:
            self._dead = died
            while not self._queue.empty():
                _fail([self._queue.get_nowait()], WriterDied())
            raise

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            batch = [pending for pending in batch if not pending.answer.done()]  # its caller gave up
            if not batch:
                continue
            try:
                for part in _parts(batch):
                    await self._answer(part)
            except BaseException:
                _fail(batch, WriterDied())
                raise

    async def _answer(self, batch: list[Pending]) -> None:
        self._batch_sizes.observe(len(batch))
        try:
            await self._commit(batch)
        except read_models.ShapeChanged:
            raise
        except eventlog.LogStopped as stopped:
            self._standing.stop(str(stopped))
            _fail(batch, stopped)
        except CONNECTION_ERRORS as error:
            raise_if_cancelled()
            self._after_outage = True
            POSTGRES.report(error)
            _fail(
                batch,
                Unavailable(
                    "The database is unavailable. Repeat the request with the same Idempotency-Key:"
                    " it runs once, even if the first attempt was committed."
                ),
            )
        except Exception as fault:
            raise_if_cancelled()
            if len(batch) == 1:
                if not isinstance(fault, EventTooLarge):
                    log.exception(
                        "a command failed", extra={"command": type(batch[0].submission.command).__name__}
                    )
                _fail(batch, fault)
                return
            log.warning("a batch of %s failed (%s); running its commands one by one", len(batch), fault)
            for pending in batch:
                await self._answer([pending])

    async def _commit(self, pending: list[Pending]) -> None:
        """Commit one batch in one transaction.

        A conflict runs the whole batch again in a new transaction: a retry inside the transaction would keep
        its id, which would then be lower than that of events it read.
        """
        for attempt in range(RERUNS):
            try:
                batch = await self._run(pending)
                break
            except (AnotherServer, *CONFLICTS) as conflict:
                raise_if_cancelled()
                self._after_outage |= isinstance(conflict, AnotherServer)
                RERUNS_TOTAL.labels(self.service.name).inc()
                log.info("batch rerun %s: %s", attempt + 1, conflict)
                if attempt == RERUNS - 1:
                    raise
                await asyncio.sleep(0.01 * 2**attempt)
        self._committed_at = time.monotonic()
        if batch.rows:
            self._wake_up.notify()
        for recorded in batch.recorded:
            self.states.recent.put(recorded)
        for stream, held in batch.changed.items():
            self.states.put(stream, held)
            if held.wants_keeping and not self._to_keep.full():
                self._to_keep.put_nowait(stream)
        for waiting, answer in zip(pending, batch.answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, BaseException):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(Outcome(*answer))

    async def _run(self, pending: list[Pending]) -> Batch:
        batch = Batch(self.service, self.schema, self._shape, self.states, [p.submission for p in pending])
        async with self.pool.acquire() as connection:
            if self._after_outage:
                await self._check_server(connection)
            await self.states.warm(connection, batch.all_streams)
            async with connection.transaction():
                await batch.load(connection)
                self._check_not_restarted(batch.server)
                await batch.decide(connection)
                await batch.write(connection)
            await batch.read_replays(connection)
        return batch

    async def _check_server(self, connection: asyncpg.Connection) -> None:
        """Drop all states in memory: after an outage another server may answer that lacks the last events."""
        await self._check_log(connection)
        self.states.clear()
        self._after_outage, self._server = False, None

    def _check_not_restarted(self, server: str) -> None:
        """Raise AnotherServer when the server has restarted, or another database has the name.

        The pool reconnects silently after an idle outage.
        """
        if self._server not in {None, server}:
            raise AnotherServer(AnotherServer.__doc__)
        self._server = server

    async def _keep_snapshots(self) -> None:
        """Write snapshots: soon for streams that grew much, in a quiet time for the others."""
        await asyncio.to_thread(self.states.prepare)
        while True:
            try:
                async with asyncio.timeout(QUIET):
                    due = [await self._to_keep.get()]
            except TimeoutError:
                due = [] if time.monotonic() - self._committed_at < QUIET else list(self.states.behind())
            for stream in due:
                held = self.states.get(stream)
                if held.may_be_kept:
                    await self._keep(stream, held)

    async def _keep(self, stream: str, held: CachedState) -> None:
        try:
            async with self.pool.acquire() as connection:
                # Another server may lack these events.
                if await connection.fetchval(f"SELECT {inbox.SERVER}") == self._server:
                    await self.states.keep(connection, stream, held)
        except Exception as error:  # noqa: BLE001 - a snapshot is disposable
            raise_if_cancelled()
            log.warning(
                "no snapshot of %s was written (%s); the next start folds more events",
                stream,
                type(error).__name__,
            )


def _parts(batch: list[Pending]) -> Iterable[list[Pending]]:
    """Return the batches to commit, in order: what reads read models needs the rows of those before it."""
    if all(pending.submission.under_locks is None for pending in batch):
        return (batch,)
    groups = groupby(enumerate(batch), lambda one: one[0] if one[1].submission.under_locks else -1)
    return [[pending for _, pending in group] for _, group in groups]


def _fail(batch: Sequence[Pending], fault: BaseException) -> None:
    for pending in batch:
        if not pending.answer.done():
            pending.answer.set_exception(fault)


async def routed(
    transactor: Transactor, build: Callable[[], Awaitable[Submission]], attempts: int = 5
) -> Outcome:
    """Submit what `build` returns. When that named the wrong streams, build it again."""
    for _ in range(attempts - 1):
        try:
            return await transactor.submit(await build())
        except Misrouted:
            continue
    return await transactor.submit(await build())
