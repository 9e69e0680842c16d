"""`await regista.aio.publish(…)`, `await regista.aio.load(…)`: the three lines for asynchronous code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from regista.client.async_client import AsyncClient, AsyncPublication
from regista.loading.loaded import Loaded
from regista.publishing.tracking import Run, track

__all__ = ["AsyncClient", "close", "default", "load", "publish", "track"]

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()


def default() -> AsyncClient:
    """The running loop's client, made at first use from the environment."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = AsyncClient()
    return _clients[loop]


async def publish(
    model: str, artifact: str | Path | None = None, run: Run | None = None, **facts: Any
) -> AsyncPublication:
    """See AsyncClient.publish."""
    return await default().publish(model, artifact, run, **facts)


async def load(reference: str, **options: Any) -> Loaded:
    """See AsyncClient.load."""
    return await default().load(reference, **options)


async def close() -> None:
    """Reports usage and closes the running loop's client."""
    if client := _clients.pop(asyncio.get_running_loop(), None):
        await client.close()
