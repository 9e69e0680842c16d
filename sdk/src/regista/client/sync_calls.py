"""The calls of `Client`: each one of `AsyncClient`, run on the loop thread.

Beside this file, `sync_calls.pyi` declares them for editors and type checkers; `python -m tools.contracts`
writes it.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from functools import update_wrapper
from typing import Any, TypeVar

from regista.client.async_client import AsyncClient
from regista.client.async_publication import AsyncPublication
from regista.client.loop_thread import LOOP
from regista.client.publication import Publication
from regista.errors import WrongArgument
from regista.former_names import former

T = TypeVar("T")

ONLY_ASYNCHRONOUS = frozenset({"close_at_exit", "pages"})


def names_of_calls() -> Sequence[str]:
    """Return the present names of the calls that both clients have."""
    return [name for name, method in _public() if method.__name__ == name]


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, method in inspect.getmembers(AsyncClient, inspect.isfunction):
        called = inspect.unwrap(method)
        is_call = inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)
        if is_call and not name.startswith("_") and name not in ONLY_ASYNCHRONOUS:
            yield name, method


def _called(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a method of the asynchronous client. Raises WrongArgument when the arguments are not its own."""
    try:
        return method(*args, **kwargs)
    except TypeError as e:
        if e.__traceback__ is not None and e.__traceback__.tb_next is not None:
            raise  # not about the arguments
        raise _wrong_argument(method, kwargs, e) from None


def _wrong_argument(method: Callable[..., Any], given: Mapping[str, Any], error: TypeError) -> WrongArgument:
    name = getattr(method, "__name__", "the method")
    names = [one for one in inspect.signature(method).parameters if one != "self"]
    for unknown in (one for one in given if one not in names):
        near = difflib.get_close_matches(unknown, names, 1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        return WrongArgument(
            "wrong_argument",
            f"{name} has no argument {unknown!r}",
            advice=f"{meant}It has: {', '.join(names)}.",
        )
    detail = str(error).replace(getattr(method, "__qualname__", name), name)
    return WrongArgument("wrong_argument", detail, advice=f"It has: {', '.join(names)}.")


class SyncCalls:
    """The calls of the asynchronous client, each of which waits for its result."""

    asynchronous: AsyncClient


def _blocking(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: SyncCalls, /, *args: Any, **kwargs: Any) -> Any:
        found = LOOP.run(_called(method, self.asynchronous, *args, **kwargs))
        return Publication(found) if isinstance(found, AsyncPublication) else found

    update_wrapper(call, method)
    shown = inspect.signature(method)
    if shown.return_annotation == "AsyncPublication":
        shown = shown.replace(return_annotation="Publication")
    call.__signature__ = shown  # type: ignore[attr-defined]
    return call


def _iterated(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: SyncCalls, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        return _items(_called(method, self.asynchronous, *args, **kwargs))

    update_wrapper(call, method)
    return call


def _items(items: AsyncGenerator[T]) -> Iterator[T]:
    running: asyncio.Task[Any] | None = None

    async def following() -> list[T]:
        nonlocal running
        running = asyncio.current_task()
        return [one] if (one := await anext(items, _END)) is not _END else []  # type: ignore[list-item]

    async def closing() -> None:
        if running is not None and not running.done():  # an interrupt does not wait for what it cancels
            if not running.cancelling():
                running.cancel()
            await asyncio.wait({running})
        await items.aclose()

    try:
        while found := LOOP.run(following()):
            yield found[0]
    finally:
        LOOP.run(closing())


_END = object()
for _name, _method in _public():
    if _method.__name__ == _name:
        _made = _iterated(_method) if inspect.isasyncgenfunction(_method) else _blocking(_method)
        setattr(SyncCalls, _name, _made)
for _name, _method in _public():
    if _method.__name__ != _name:
        setattr(SyncCalls, _name, former(_name, getattr(SyncCalls, _method.__name__)))
