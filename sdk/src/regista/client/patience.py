"""How long and how often a request is repeated, and what is reported meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from regista.errors import RegistaError

log = logging.getLogger("regista")
LASTING = frozenset({"log_stopped"})
"""Codes of answers 503 that do not pass by themselves: an operator has to act."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to retry.

    For `total` seconds, in `attempts` at most (0: as many as there is time for); the pauses double from
    `first` to `longest`, with full jitter. After `silent` seconds a warning names what is waited for.
    """

    attempts: int = 0
    first: float = 0.2
    longest: float = 5.0
    total: float = 60.0
    silent: float = 5.0

    def pause(self, attempt: int, retry_after: str | None) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 0).

        A service's Retry-After extends the pause, up to the longest one.
        """
        drawn = random.uniform(0, min(self.longest, self.first * 2 ** min(attempt, 20)))  # noqa: S311 - jitter, no secret
        return (
            max(drawn, min(self.longest, float(retry_after)))
            if retry_after and retry_after.isdecimal()
            else drawn
        )


OPERATORS = Patience(attempts=1, total=12.0)
"""For commands of operators: a service that does not answer is named soon, and not tried again.

A service itself gives Kafka 5 seconds, and then names it.
"""
_chosen: ContextVar[Patience | None] = ContextVar("regista_patience", default=None)


@contextmanager
def patience(of_calls: Patience) -> Iterator[None]:
    """Give the calls inside this patience instead of the client's."""
    token = _chosen.set(of_calls)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen(otherwise: Patience) -> Patience:
    """Return the patience of the surrounding `patience`, or the other one."""
    return _chosen.get() or otherwise


class Failures:
    """The failed attempts of one request, and the pauses between them."""

    def __init__(self, patience: Patience, *, from_start: bool = False) -> None:
        self._patience = patience
        self._since = time.monotonic() if from_start else None
        self._count = 0
        self.last: RegistaError | None = None

    def progressed(self) -> None:
        """Start the patience again: the attempt that just failed had a part of its effect."""
        self._since, self._count = None, 0

    async def wait(self, error: RegistaError, began: float, retry_after: str | None = None) -> None:
        """Pause before the next attempt, after the one that began at `began`. Raise `error` at the end."""
        now, self.last = time.monotonic(), error
        if self._since is None or now - began > self._patience.total:
            self._since = now
        pause = self._patience.pause(self._count, retry_after)
        self._count += 1
        if (
            error.code in LASTING
            or self._count == self._patience.attempts
            or now + pause - self._since > self._patience.total
        ):
            if not error.status:  # the detail is the client's own
                error.append(f" in {self._count} attempts, for {now - self._since:.0f} s")
            raise error
        await asyncio.sleep(pause)


@contextmanager
def reported(where: str, limit: float, failures: Failures, silent: float, *, slow: bool) -> Iterator[None]:
    """Log after `silent` seconds, once, what is waited for, for how long at most, and what it answered last.

    A `slow` request takes its time: it is named only after a failure.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        if slow and failures.last is None:
            timer = loop.call_later(silent, look)
            return
        last = failures.last.code if failures.last and failures.last.status else "none"
        left = max(0.0, end - loop.time())
        log.warning("waiting for %s, up to %.0f s more; its last answer: %s", where, left, last)

    timer = loop.call_later(silent, look)
    try:
        yield
    finally:
        timer.cancel()
