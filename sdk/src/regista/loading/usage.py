"""Count how often each version is used, and report the counts once per time window.

A lost window changes little; a version without reported usage may be cleaned up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from regista.errors import RegistaError, Unavailable

log = logging.getLogger("regista")

MODEL_USED = "regista.ModelUsed.v1"
TOPIC = "regista.usage.v1"
CLOSE_SECONDS = 5.0
KEPT = 1000
"""Unsent reports kept while the service is unreachable; beyond that the oldest are dropped."""


class Used(NamedTuple):
    """The version that was used, and the environment."""

    model: str
    model_id: str
    number: int
    environment: str


class Report(NamedTuple):
    """The uses of one version in one window. Every attempt to send it has the same message id."""

    message_id: str
    data: dict[str, Any]


class Usage:
    """Count uses, and call `send(data, message_id)` for each version and window until it succeeds."""

    def __init__(
        self, send: Callable[[dict[str, Any], str], Awaitable[None]], window: float, new_id: Callable[[], str]
    ) -> None:
        self._send = send
        self._window = window
        self._new_id = new_id
        self._lock = threading.Lock()
        self._counts: Counter[Used] = Counter()
        self._since = datetime.now(UTC)
        self._unsent: deque[Report] = deque(maxlen=KEPT)
        self._sending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def record(self, used: Used, count: int = 1) -> None:
        """Count uses, from any thread. With a window of 0 nothing is counted. Raises ValueError below 0."""
        count = int(count)  # JSON encoders refuse NumPy's integers
        if count < 0:
            raise ValueError(f"uses are counted from 0 up, not {count}")
        if self._window > 0 and count:
            with self._lock:
                self._counts[used] += count

    @property
    def reporting(self) -> bool:
        """True when reports are sent each window, or nothing is counted."""
        return self._window <= 0 or self._task is not None

    def start(self) -> None:
        """Start to report each window, on the running loop."""
        if self._window > 0 and self._task is None:
            self._task = asyncio.create_task(self._report())

    async def close(self) -> None:
        """Stop, and report what was counted, in CLOSE_SECONDS at most."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
        except TimeoutError:
            log.warning("usage of %d versions was not reported in %.0f s", len(self._unsent), CLOSE_SECONDS)

    async def flush(self) -> None:
        """Report what was counted so far.

        Reports are kept while the service is unreachable, and dropped when it refuses them.
        """
        self._end_window()
        async with self._sending:
            while self._unsent:
                report = self._unsent[0]
                try:
                    await self._send(report.data, report.message_id)
                except Unavailable as e:
                    log.warning("usage of %s was not reported and is kept: %s", report.data["model"], e)
                    return
                except RegistaError as e:
                    log.warning("usage of %s is not reported: %s", report.data["model"], e)
                except Exception:  # one bad report must not stop the others
                    log.exception("usage of %s is not reported", report.data["model"])
                if self._unsent and self._unsent[0] is report:  # else newer reports pushed it out
                    self._unsent.popleft()

    def take_unsent(self) -> list[Report]:
        """Return the unsent reports and drop them here: the caller sends them."""
        self._end_window()
        reports = list(self._unsent)
        self._unsent.clear()
        return reports

    def _end_window(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, Counter()
            since, self._since = self._since, datetime.now(UTC)
        self._unsent.extend(
            Report(self._new_id(), _data(used, count, since, self._since))
            for used, count in sorted(counts.items())
        )

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._window)
            await self.flush()


def _data(used: Used, count: int, since: datetime, until: datetime) -> dict[str, Any]:
    data = {
        "model": used.model,
        "number": used.number,
        "count": count,
        "window_start": _time(since),
        "window_end": _time(until),
        "environment": used.environment,
    }
    return data | ({"model_id": used.model_id} if used.model_id else {})


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
