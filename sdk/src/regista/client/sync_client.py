"""`Client`, and the one of `regista.publish` and `regista.load`."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from types import TracebackType
from typing import Self
from weakref import WeakSet

from regista.client.async_client import AsyncClient
from regista.client.loop_thread import LOOP
from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.client.sync_calls import SyncCalls
from regista.errors import RegistaError
from regista.loading.usage import CLOSE_SECONDS

_clients: WeakSet[Client] = WeakSet()


class Client(SyncCalls):
    """All calls to Regista for synchronous code, notebooks included.

    `with Client() as client: …` closes it and reports usage; a client that is not closed is closed at exit.
    Answers are dictionaries of the shapes in `regista.shapes`; times in them are RFC 3339 in UTC, sizes are
    bytes, waits are seconds. A call raises the classes of `regista.errors`: NotConfigured, Unauthorized,
    Forbidden (a role is missing), NotFound, Invalid (a value that the service does not take), RuleBroken (a
    rule forbids it), Stale (it changed since `expected`), Unavailable after all retries, and what its own
    text names. Each error has `code`, `detail`, `advice` and `facts`.
    """

    def __init__(self, profile: Profile | None = None, *, patience: Patience | None = None) -> None:
        self.asynchronous = AsyncClient(profile, patience=patience)
        self.asynchronous.call_soon = LOOP.call_soon
        _clients.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


END_SECONDS = 3 * CLOSE_SECONDS
"""Time limit at exit. Reporting and closing the producer take CLOSE_SECONDS each; the rest is reserve."""

_default: list[Client] = []
_lock = threading.Lock()


def default() -> Client:
    """Return the client of `regista.publish` and `regista.load`.

    It is made from the environment at first use, and closed at exit.
    """
    with _lock:
        if not _default:
            _default.append(Client())
        return _default[0]


def _close() -> None:
    while _default:
        with contextlib.suppress(RegistaError):
            _default.pop().close()


@atexit.register
def _close_at_exit() -> None:
    """Report usage and close every client, without errors, log lines or delays of the exit."""
    quiet = logging.root.manager.disable
    logging.disable()
    unclosed = [one.asynchronous for one in _clients if not one.asynchronous.closed]
    if unclosed and LOOP.is_started:  # else no call was made, and there is nothing to report
        with contextlib.suppress(Exception):
            LOOP.finish(_finish(unclosed), END_SECONDS)
    logging.disable(quiet)


async def _finish(clients: list[AsyncClient]) -> None:
    await asyncio.gather(*(one.close_at_exit() for one in clients), return_exceptions=True)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may hold the old one
    _lock = threading.Lock()
    for client in list(_clients):
        client.asynchronous.after_fork()


os.register_at_fork(after_in_child=_after_fork)
