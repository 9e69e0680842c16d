"""The synchronous face of the asynchronous client: one event loop in a thread of its own, so it works in notebooks and scripts alike."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class _AtOnce(ThreadPoolExecutor):
    """Does at once, where it is asked, what it is given: while the interpreter ends no pool takes work, and asyncio asks one for host names."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done = Future[T]()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            done.set_exception(error)
        return done


class CalledBack(RuntimeError):  # noqa: N818 - names what the caller did
    """A callback (progress) cannot wait for the client that calls it: note what is to be done, and do it when the call has returned."""


class LoopThread:
    """A daemon thread that runs an event loop from the first use on; a forked child gets one of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._left: list[asyncio.AbstractEventLoop | None] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for the coroutine's result; an interrupt cancels it.

        Raises CalledBack on the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise CalledBack(CalledBack.__doc__)
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def finish(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """As `run`, while the interpreter ends, and for so long at most: a name server that does not answer then holds up the whole loop."""
        loop = self._started()
        loop.call_soon_threadsafe(loop.set_default_executor, _AtOnce())
        return asyncio.run_coroutine_threadsafe(work, loop).result(seconds)

    def soon(self, work: Callable[[], object]) -> None:
        """Calls it on the loop, and does not wait."""
        self._started().call_soon_threadsafe(work)

    def forget(self) -> None:
        """In a forked child: the thread stayed in the parent.

        Its loop is kept, because a loop that is let go complains of what it was doing.
        """
        self._lock = threading.Lock()
        self._left.append(self._loop)
        self._loop = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="regista", daemon=True)
                self._thread.start()
            return self._loop


LOOP = LoopThread()
os.register_at_fork(after_in_child=LOOP.forget)
