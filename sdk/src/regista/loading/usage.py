"""How often which version was used: counted here, reported by window.

Losing a window loses no model; not reporting may lose one.
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
KEPT = 1000  # reports that wait for a service that is away; then the oldest go


class Used(NamedTuple):
    """Which version was used, and where."""

    model: str
    model_id: str
    number: int
    environment: str


class Report(NamedTuple):
    """One version's uses in one window, under the id that it is sent and sent again with."""

    message_id: str
    data: dict[str, Any]


class Usage:
    """Counts uses; `send(data, message_id)` is called once for each version and window, and again with the same id until it worked."""

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
        """Counts; safe from any thread.

        Does nothing when the window is 0, or the count: an empty batch is no use. Raises ValueError below 0.
        """
        count = int(count)  # NumPy's integers, too: no JSON encoder takes them
        if count < 0:
            raise ValueError(f"uses are counted from 0 up, not {count}")
        if self._window > 0 and count:
            with self._lock:
                self._counts[used] += count

    @property
    def reporting(self) -> bool:
        """Reports go out each window, or nothing is counted at all."""
        return self._window <= 0 or self._task is not None

    def start(self) -> None:
        """Begins to report each window, on the running loop."""
        if self._window > 0 and self._task is None:
            self._task = asyncio.create_task(self._report())

    async def close(self) -> None:
        """Stops, and reports what was counted, as far as that is possible in CLOSE_SECONDS."""
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
        """Reports what was counted so far.

        What no service can take now is kept for the next time, what it refuses is not.
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
                except Exception:  # one report that cannot be sent must not end all others
                    log.exception("usage of %s is not reported", report.data["model"])
                if self._unsent and self._unsent[0] is report:  # else so many came meanwhile that it fell out
                    self._unsent.popleft()

    def rest(self) -> list[Report]:
        """Takes away what was counted and not yet reported: whoever asks reports it."""
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
