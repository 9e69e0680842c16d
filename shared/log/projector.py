"""Rebuild read models from the log beside the running service, and swap them in at the end.

A rebuild gives the same rows as live commits, because both apply the changes that `project` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

import asyncpg
from sqlalchemy import Table

from shared.deciding.events import START, Cursor, Recorded
from shared.deciding.service import Service
from shared.foundation.postgres import lock_key
from shared.log import eventlog, read_models
from shared.log.read_models import Merged

log = logging.getLogger(__name__)

PAGE = 1_000
"""Events in a page.

A page fits into the sockets' buffers, so the server reads the next page while this process folds.
"""
CAUGHT_UP = 500
COPY_ROWS = 20_000
LONG = 86_400.0
"""Time limit in seconds of statements that grow with the log: indexing, waiting for another's rebuild.

With the limit of the pool they would fail and start again without end.
"""
AT_ONCE = 3
"""COPY statements, then indexes, that run at the same time."""

UPGRADE = timedelta(minutes=10)
"""Time in which replicas of the previous release start without rebuilding the read models in their shape.

After this time, the previous release is taken for one that was rolled back to.
"""

GENERATION = "SELECT number, shape, former, now() - built_at AS age FROM {schema}.generation"
NOW_SHOWN = """
INSERT INTO {schema}.generation AS g (number, shape) VALUES ($1, $2)
ON CONFLICT (only_row) DO UPDATE SET number = excluded.number, shape = excluded.shape, built_at = now(),
    former = CASE WHEN g.shape = excluded.shape THEN g.former ELSE g.shape END
"""


class Superseded(Exception):  # noqa: N818 - a state to wait in
    """A newer release rebuilt the read models in its own shape less than ten minutes ago.

    Start the newer release. After a rollback, wait: this release takes over ten minutes after that rebuild.
    """


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a rebuild: events folded, rows copied per table, and the generation that is shown now."""

    events: int
    rows: dict[str, int]
    generation: int


def schema_of(service: Service) -> str:
    return service.schema or service.name


async def ensure(service: Service, pool: asyncpg.Pool) -> None:
    """Make sure at start that the read models have the shape of this code.

    When the shape changed, one replica rebuilds and the others wait. Raises Superseded for code that is older
    than the release that is being rolled out.
    """
    async with pool.acquire() as connection:
        shown = await connection.fetchrow(GENERATION.format(schema=schema_of(service)))
    shape = read_models.shape_of(service.tables)
    if shown is None or shown["shape"] != shape:
        if shown is not None and shown["former"] == shape and shown["age"] < UPGRADE:
            raise Superseded(Superseded.__doc__)
        await rebuild(service, pool, only_if_shape_differs=True)


async def rebuild(
    service: Service,
    pool: asyncpg.Pool,
    *,
    only_if_shape_differs: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Rebuilt:
    """Fold the whole log of `service` into a new generation and swap it in. Writers continue meanwhile.

    One rebuild runs at a time.
    """
    async with pool.acquire() as guard, _locked(guard, lock_key("rebuilding", service.name)):
        shown = await guard.fetchrow(GENERATION.format(schema=schema_of(service)))
        if (
            only_if_shape_differs
            and shown is not None
            and shown["shape"] == read_models.shape_of(service.tables)
        ):
            return Rebuilt(0, {}, shown["number"])
        with _no_cycle_search():
            try:
                return await _Rebuild(service, pool, shown["number"] if shown else 0, progress).run()
            except ExceptionGroup as several:
                # Of parallel tasks the first failure is the cause; its type decides whether to wait.
                raise several.exceptions[0] from several


@contextlib.asynccontextmanager
async def _locked(connection: asyncpg.Connection, key: int) -> AsyncIterator[None]:
    """Hold a session lock.

    When the work fails, end the connection: the pool would hand it on with the lock.
    """
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", key, timeout=LONG)
        yield
        await connection.execute("SELECT pg_advisory_unlock($1)", key)
    except BaseException:
        connection.terminate()
        raise


@contextlib.contextmanager
def _no_cycle_search() -> Iterator[None]:
    """Turn off the cycle collector, which took half of the time and finds nothing in a fold."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Rebuild:
    def __init__(
        self, service: Service, pool: asyncpg.Pool, shown: int, progress: Callable[[int], None] | None
    ) -> None:
        self._service, self._pool, self._schema = service, pool, schema_of(service)
        self._old, self._new = shown, shown + 1
        self._suffix = f"_g{self._new}"
        self._types = service.events.in_brief(service.in_brief)
        self._progress = progress or (lambda _: None)
        self._cursor = START
        self._events = 0

    async def run(self) -> Rebuilt:
        await self._create()
        merged = Merged()
        async with contextlib.aclosing(self._pages(PAGE)) as pages:
            async for page in pages:
                for recorded in page:
                    merged.add(self._service.changes_of(recorded))
        rows = await self._copy(merged)
        await self._index()
        async with contextlib.aclosing(self._pages(CAUGHT_UP)) as pages:
            async for page in pages:
                await self._catch_up(page)
        await self._swap()
        await self._drop_old()
        return Rebuilt(self._events, rows, self._new)

    async def _create(self) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            for table in self._service.tables:
                await connection.execute(
                    f'DROP TABLE IF EXISTS "{self._schema}"."{table.name}{self._suffix}"'
                )
                await connection.execute(read_models.create_sql(table, self._schema, self._suffix))

    async def _pages(self, size: int) -> AsyncGenerator[Sequence[Recorded]]:
        """Yield pages of events up to the oldest open transaction.

        The server reads the next page while this one is folded.
        """
        async with self._pool.acquire() as connection:
            page = await self._page(connection, size)
            while page:
                self._cursor = page[-1][0]
                following = asyncio.create_task(self._page(connection, size))
                try:
                    await asyncio.sleep(0)  # sends the query
                    yield self._decoded(page)
                finally:
                    page = await following

    async def _page(self, connection: asyncpg.Connection, size: int) -> list[tuple[Cursor, bytes]]:
        return await eventlog.read(connection, self._service.name, self._cursor, size)

    def _decoded(self, stored: Sequence[tuple[Cursor, bytes]]) -> list[Recorded]:
        recorded = self._types.recorded
        self._events += len(stored)
        self._progress(self._events)
        return [recorded(self._service.name, bytes_, cursor) for cursor, bytes_ in stored]

    async def _copy(self, merged: Merged) -> dict[str, int]:
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for table, rows in merged.puts.items():
                values = iter(list(rows.values()))
                while chunk := list(islice(values, COPY_ROWS)):
                    await slots.acquire()
                    group.create_task(self._copy_chunk(table, chunk, slots))
        return {table.name: len(rows) for table, rows in merged.puts.items()}

    async def _copy_chunk(
        self, table: Table, rows: Sequence[dict[str, Any]], slots: asyncio.Semaphore
    ) -> None:
        try:
            async with self._pool.acquire() as connection:
                records = (read_models.copy_row(table, row) for row in rows)
                await connection.copy_records_to_table(
                    table.name + self._suffix,
                    schema_name=self._schema,
                    records=records,
                    columns=[c.name for c in table.columns],
                )
        finally:
            slots.release()

    async def _index(self) -> None:
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for table in self._service.tables:
                for statement in read_models.index_sql(table, self._schema, self._suffix):
                    group.create_task(self._execute(statement, slots))
        for table in self._service.tables:
            await self._execute(read_models.key_sql(table, self._schema, self._suffix), slots)

    async def _execute(self, statement: str, slots: asyncio.Semaphore) -> None:
        async with slots, self._pool.acquire() as connection:
            await connection.execute(statement, timeout=LONG)

    async def _catch_up(self, page: Sequence[Recorded]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await self._apply(connection, page)

    async def _apply(self, tx: asyncpg.Connection, page: Sequence[Recorded]) -> None:
        merged = Merged()
        for recorded in page:
            merged.add(self._service.changes_of(recorded))
        await read_models.apply(tx, self._schema, merged, self._suffix)

    async def _swap(self) -> None:
        """Apply the last events and point the views at the new tables. Writers wait for milliseconds.

        The tail is read without regard to open transactions: the lock keeps every writer of this partition
        out.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "SELECT pg_advisory_xact_lock($1)", eventlog.rebuild_key(self._service.name)
            )
            tail = await eventlog.read_tail(connection, self._service.name, self._cursor)
            await self._apply(connection, self._decoded(tail))
            for table in self._service.tables:
                for statement in read_models.view_sql(table, self._schema, self._suffix):
                    await connection.execute(statement)
            await connection.execute(
                NOW_SHOWN.format(schema=self._schema), self._new, read_models.shape_of(self._service.tables)
            )

    async def _drop_old(self) -> None:
        async with self._pool.acquire() as connection:
            old = await connection.fetch(
                "SELECT tablename FROM pg_tables "
                "WHERE schemaname = $1 AND tablename ~ '_g[0-9]+$' AND tablename !~ $2",
                self._schema,
                f"{self._suffix}$",
            )
            for row in old:
                await connection.execute(
                    f'DROP TABLE IF EXISTS "{self._schema}"."{row["tablename"]}" CASCADE'
                )


async def digest(service: Service, connection: asyncpg.Connection) -> str:
    """Return the SHA-256 over all rows of all read models in key order: equal before and after a rebuild."""
    total = hashlib.sha256()
    schema = schema_of(service)
    for table in sorted(service.tables, key=lambda t: t.name):
        keys = ", ".join(f'v."{name}"' for name in read_models.key_names(table))
        rows = await connection.fetch(
            f'SELECT sha256(convert_to(v::text, \'UTF8\')) FROM "{schema}"."{table.name}" v ORDER BY {keys}'
        )
        total.update(table.name.encode() + b"\x00" + b"".join(row[0] for row in rows))
    return total.hexdigest()
