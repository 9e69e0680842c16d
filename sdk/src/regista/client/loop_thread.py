"""Run the asynchronous client for scripts and notebooks: one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class InlineExecutor(ThreadPoolExecutor):
    """Run work in the calling thread.

    While the interpreter exits, thread pools refuse work, but asyncio still needs one for host names.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done = Future[T]()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the caller gets it from the future
            done.set_exception(error)
        return done


class CalledFromCallback(RuntimeError):  # noqa: N818 - names what the caller did
    """A progress callback called the client that waits for it."""


class LoopThread:
    """A daemon thread that runs an event loop. It starts at the first use; a forked child starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._of_parent: list[asyncio.AbstractEventLoop | None] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and wait for its result; an interrupt cancels it.

        Raises CalledFromCallback on the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise CalledFromCallback(
                "a progress callback cannot call the client that waits for it: "
                "call it when the first call has returned"
            )
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    @property
    def is_started(self) -> bool:
        """Whether any call was made in this process."""
        return self._loop is not None

    def finish(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run a coroutine while the interpreter exits, for `seconds` at most.

        Host names are then resolved on the loop itself, so a silent name server blocks all of it.
        """
        loop = self._started()
        loop.call_soon_threadsafe(loop.set_default_executor, InlineExecutor())
        return asyncio.run_coroutine_threadsafe(work, loop).result(seconds)

    def call_soon(self, work: Callable[[], object]) -> None:
        """Schedule a call on the loop, from any thread."""
        self._started().call_soon_threadsafe(work)

    def after_fork(self) -> None:
        """Start over in a forked child: the thread exists in the parent only.

        The parent's loop is kept, because a deleted loop warns about its pending tasks.
        """
        self._lock = threading.Lock()
        self._of_parent.append(self._loop)
        self._loop = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="regista", daemon=True)
                self._thread.start()
            return self._loop


LOOP = LoopThread()
os.register_at_fork(after_in_child=LOOP.after_fork)
