"""Wake-ups between processes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg

from shared.foundation.postgres import WakeUp, wait_for_wake_up


async def test_a_wake_up_reaches_another_process_and_many_become_few_notifications(database: Any) -> None:
    url, received = database.url("cleanup"), list[str]()
    listener = await asyncpg.connect(url)
    await listener.add_listener("regista_try", lambda *arguments: received.append(arguments[-1]))
    here, there = WakeUp(url, "try"), WakeUp(url, "try")
    tasks = [asyncio.create_task(wake_up.run()) for wake_up in (here, there)]
    with there.subscribe() as rung:
        async with asyncio.timeout(10):
            while not rung.is_set():
                here.notify()
                await wait_for_wake_up(rung, 0.05)
        received.clear()
        began = time.monotonic()
        for _ in range(200):
            here.notify()
            await asyncio.sleep(0.001)  # as commits do
        await listener.execute("SELECT pg_notify('regista_try', 'end')")
        async with asyncio.timeout(10):
            while "end" not in received:  # noqa: ASYNC110 - the listener's callback is what is waited for
                await asyncio.sleep(0.01)
    assert 1 < len(received) <= (time.monotonic() - began) / 0.005 + 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await listener.close()
