from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from shared.http.batcher import Batcher


async def test_keys_that_arrive_during_a_query_become_the_next_query() -> None:
    asked: list[list[int]] = []
    began, first = asyncio.Event(), asyncio.Event()

    async def fetch(keys: Sequence[int]) -> Mapping[int, int]:
        asked.append(list(keys))
        began.set()
        await first.wait()
        return {key: key * 10 for key in keys}

    batcher = Batcher(fetch)
    early = asyncio.create_task(batcher.get(0))
    await began.wait()
    late = [asyncio.create_task(batcher.get(key)) for key in (1, 2, 0, 1)]
    await asyncio.sleep(0)
    first.set()
    assert await asyncio.gather(early, *late) == [0, 10, 20, 0, 10]
    assert asked == [[0], [1, 2, 0]]


async def test_a_key_without_a_value_gives_none_and_a_failure_reaches_every_caller() -> None:
    async def fetch(keys: Sequence[str]) -> Mapping[str, int]:
        if "bad" in keys:
            raise ConnectionError("unreachable")
        return {}

    batcher = Batcher(fetch)
    assert await batcher.get("none") is None
    answers = await asyncio.gather(batcher.get("bad"), batcher.get("good"), return_exceptions=True)
    assert all(isinstance(answer, ConnectionError) for answer in answers)
    assert await batcher.get("good") is None


async def test_a_caller_that_disconnected_does_not_disturb_the_others() -> None:
    go = asyncio.Event()

    async def fetch(keys: Sequence[int]) -> Mapping[int, int]:
        await go.wait()
        return dict.fromkeys(keys, 1)

    batcher = Batcher(fetch)
    gone, stays = asyncio.create_task(batcher.get(1)), asyncio.create_task(batcher.get(1))
    await asyncio.sleep(0)
    gone.cancel()
    go.set()
    assert await stays == 1
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_no_query_has_more_keys_than_the_limit() -> None:
    sizes: list[int] = []

    async def fetch(keys: Sequence[int]) -> Mapping[int, int]:
        sizes.append(len(keys))
        return {key: key for key in keys}

    batcher = Batcher(fetch, limit=10)
    assert await asyncio.gather(*[batcher.get(n) for n in range(25)]) == list(range(25))
    assert sizes == [10, 10, 5]
