"""The calls of `Client`: each one of `AsyncClient`, run on the loop thread.

Beside this file, `sync_calls.pyi` declares them for editors and type checkers; `python -m tools.contracts`
writes it.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any

from regista.client.async_client import AsyncClient
from regista.client.async_publication import AsyncPublication
from regista.client.loop_thread import LOOP
from regista.client.publication import Publication
from regista.errors import WrongArgument

ONLY_ASYNCHRONOUS = frozenset({"close_at_exit"})


def names_of_calls() -> Sequence[str]:
    """Return the names of the calls that both clients have."""
    coroutines = inspect.getmembers(AsyncClient, inspect.iscoroutinefunction)
    return [name for name, _ in coroutines if not name.startswith("_") and name not in ONLY_ASYNCHRONOUS]


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


for _name in names_of_calls():
    setattr(SyncCalls, _name, _blocking(getattr(AsyncClient, _name)))
