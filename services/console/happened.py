"""What happened lately, as a person may read it: read once for a session, later only what is new.

Reading the past costs as much as happened in it. So a page shows what the session has, and what is new is
read beside it; a page that reads itself again because of a change waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from regista.errors import RegistaError
from services.console import feed
from services.console.calls import Calls
from services.console.feed import Json

FRESH = 20.0
"""Seconds for which a page shows what the session has, and reads nothing."""
MOST, DAY = 12, timedelta(days=1)
FIRST = (timedelta(hours=1), DAY)
"""How far back the first reading goes: the second time only where the first found little."""
OVERLAP = timedelta(minutes=1)
"""Events of several topics become readable in another order than that of their times."""


@dataclass(slots=True)
class Happened:
    """The newest events, the newest first. `whole`: nothing of the last day is missing before them.

    `until` is the time up to which all was read, `read_at` when, on the process's own clock.
    """

    events: Sequence[Json]
    whole: bool
    until: datetime
    read_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Recent:
    """What a session has, and the task that reads what is new."""

    known: Happened | None = None
    reading: asyncio.Task[None] | None = field(default=None, repr=False)

    async def newest(self, calls: Calls, *, wait: bool) -> Happened:
        """Return what happened; with `wait` nothing of this moment is missing. Raises RegistaError."""
        known = self.known
        if known is None:
            found = self.known = await _first(calls)
            return found
        if wait or time.monotonic() - known.read_at > FRESH:
            if self.reading is None or self.reading.done():
                self.reading = asyncio.create_task(self._read_on(calls, known))
            if wait:
                await asyncio.shield(self.reading)
        return self.known or known

    async def _read_on(self, calls: Calls, known: Happened) -> None:
        try:
            self.known = await _next(calls, known)
        except RegistaError:
            known.read_at = time.monotonic()  # tried again later; meanwhile the page has what it had


async def _first(calls: Calls) -> Happened:
    now = datetime.now(UTC)
    found, whole = list[Json](), True
    for back in FIRST:
        found, whole = await feed.lately(calls, now - back, MOST)
        if len(found) >= MOST or not whole:
            break
    return _as_read(found, now, whole=whole)


async def _next(calls: Calls, known: Happened) -> Happened:
    now = datetime.now(UTC)
    new, whole = await feed.lately(calls, max(known.until - OVERLAP, now - DAY), MOST)
    ids = {event["id"] for event in new}
    kept = [event for event in known.events if event["id"] not in ids and _time(event) > now - DAY]
    both = sorted([*new, *kept], key=_time, reverse=True)[:MOST]
    return _as_read(both, now, whole=whole)


def _as_read(events: Sequence[Json], now: datetime, *, whole: bool) -> Happened:
    """Return the state after a reading that began now; one that was cut short goes on at its newest event."""
    return Happened(events, whole, now if whole or not events else _time(events[0]))


def _time(event: Json) -> datetime:
    found = datetime.fromisoformat(event["at"])
    return found if found.tzinfo else found.replace(tzinfo=UTC)
