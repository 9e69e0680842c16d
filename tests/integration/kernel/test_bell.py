"""Wake-ups between processes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg

from shared.foundation.postgres import Bell, wait_ring


async def test_a_ring_wakes_another_process_and_many_at_once_are_few_notifications(database: Any) -> None:
    url, heard = database.url("cleanup"), list[str]()
    listener = await asyncpg.connect(url)
    await listener.add_listener("regista_try", lambda *told: heard.append(told[-1]))
    here, there = Bell(url, "try"), Bell(url, "try")
    tasks = [asyncio.create_task(bell.run()) for bell in (here, there)]
    with there.heard() as rung:
        async with asyncio.timeout(10):
            while not rung.is_set():
                here.ring()
                await wait_ring(rung, 0.05)
        heard.clear()
        began = time.monotonic()
        for _ in range(200):
            here.ring()
            await asyncio.sleep(0.001)  # as commits do
        await listener.execute("SELECT pg_notify('regista_try', 'end')")
        async with asyncio.timeout(10):
            while "end" not in heard:  # noqa: ASYNC110 - the listener's callback is what is waited for
                await asyncio.sleep(0.01)
    assert 1 < len(heard) <= (time.monotonic() - began) / 0.005 + 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await listener.close()
