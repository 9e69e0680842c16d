"""`regista.publish` and `regista.load` for asynchronous code: `await regista.aio.publish(…)`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from regista.client.async_client import AsyncClient
from regista.publishing.tracking import capture

__all__ = ["AsyncClient", "capture", "close", "default", "load", "publish"]

P = ParamSpec("P")
T = TypeVar("T")
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()


def default() -> AsyncClient:
    """Return the client of the running loop, made from the environment at first use."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = AsyncClient()
    return _clients[loop]


def _of_default(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await method(default(), *args, **kwargs)

    update_wrapper(call, method)
    _, *others = inspect.signature(method).parameters.values()
    call.__signature__ = inspect.signature(method).replace(parameters=others)  # type: ignore[attr-defined]
    return call


publish = _of_default(AsyncClient.publish)
load = _of_default(AsyncClient.load)


async def close() -> None:
    """Report usage and close the client of the running loop."""
    if client := _clients.pop(asyncio.get_running_loop(), None):
        await client.close()
