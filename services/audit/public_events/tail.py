"""Read the newest public events once in a process, for all of its feeds.

While no caller follows the events, nothing is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

import asyncpg
from prometheus_client import Gauge

from regista.wire.event_feed import Position, is_behind
from services.audit.public_events.locating import Item, located
from services.audit.public_events.topics import Topics
from shared.foundation.outages import KAFKA, POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.http.app import App
from shared.messaging.kafka import Received
from shared.messaging.kafka_errors import KAFKA_ERRORS

log = logging.getLogger(__name__)

MOST_ITEMS, MOST_BYTES = 5_000, 16 * 1024 * 1024
"""Newest events that a process keeps for its feeds. A feed that is further behind reads Kafka itself."""
WAIT_MS = 500
IDLE = 30.0
"""Seconds without a feed after which the reader is closed."""
HELD = 10.0
"""Seconds between tries at a message that fails for an unforeseen reason."""
FIRST_WAIT, LONGEST_WAIT = 0.02, 0.5
"""Seconds between two looks into the index for an event that is not there yet, then ever longer."""

BEHIND = Gauge(
    "regista_audit_public_events_waiting", "Messages that wait until their event is indexed, in this process"
)


class Newest:
    """The newest items in the order in which they were read, and the positions before and behind them.

    Items have numbers that never change: `base` is that of the oldest one.
    """

    def __init__(self, most_items: int = MOST_ITEMS, most_bytes: int = MOST_BYTES) -> None:
        self._most_items, self._most_bytes = most_items, most_bytes
        self._items: list[Item] = []
        self._bytes = 0
        self.base = 0
        self.start: Position | None = None
        self.end: Position = {}

    def begin(self, position: Position) -> None:
        """Keep nothing, and begin at a position."""
        self.base += len(self._items)
        self._items, self._bytes = [], 0
        self.start, self.end = dict(position), dict(position)

    def add(self, items: list[Item], end: Position) -> None:
        """Add items. The oldest ones leave when there are too many."""
        self._items += items
        self._bytes += sum(len(item.json) for item in items)
        self.end = dict(end)
        gone = 0
        while len(self._items) - gone > self._most_items or self._bytes > self._most_bytes:
            item = self._items[gone]
            self._bytes -= len(item.json)
            assert self.start is not None
            self.start[item.partition] = item.offset + 1
            gone += 1
        del self._items[:gone]
        self.base += gone

    def covers(self, position: Position) -> bool:
        """Return whether every item behind the position is here."""
        return self.start is not None and not is_behind(position, self.start)

    def after(self, number: int, most: int) -> list[Item]:
        """Return up to `most` items from a number on."""
        first = number - self.base
        return self._items[first : first + most]


class Tail:
    """Fills `newest` while there is a feed. `stopping` is true when the process ends."""

    def __init__(self) -> None:
        self.newest = Newest()
        self.stopping = False
        self._feeds = 0
        self._wanted = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """The event that is set at the next change. Get it before you look at what there is."""
        return self._changed

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Read for as long as the block lasts."""
        self._feeds += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._feeds -= 1

    async def run(self, app: App) -> None:
        """Read for the life of the process. Wait while Kafka is unavailable."""
        try:
            while True:
                await self._wanted.wait()
                try:
                    await self._read(app)
                except (*KAFKA_ERRORS, TimeoutError, Unavailable) as error:
                    raise_if_cancelled()
                    KAFKA.report(error)
                    await asyncio.sleep(1)
                except Exception:  # feeds wait; the seal must not
                    raise_if_cancelled()
                    log.exception("the newest public events cannot be read: tried again")
                    await asyncio.sleep(HELD)
        finally:
            self.stopping = True
            self._notify()

    async def _read(self, app: App) -> None:
        topics = await Topics.opened(app.settings, app.access)
        try:
            if self.newest.start is None:
                self.newest.begin(await topics.ends())
            topics.seek(self.newest.end)
            self._notify()
            await self._read_on(app, topics)
        finally:
            await topics.close()

    async def _read_on(self, app: App, topics: Topics) -> None:
        loop = asyncio.get_running_loop()
        unused_since: float | None = None
        while True:
            if self._feeds:
                unused_since = None
            elif unused_since is None:
                unused_since = loop.time()
            elif loop.time() - unused_since > IDLE:
                self._wanted.clear()
                self.newest.begin({})
                self.newest.start = None
                return
            messages = await topics.read(WAIT_MS)
            KAFKA.answered()
            if messages:
                self.newest.add(await _indexed(app.pool, messages), topics.position)
                self._notify()
            elif topics.position != self.newest.end:
                self.newest.end = dict(topics.position)


async def _indexed(pool: asyncpg.Pool, messages: list[Received]) -> list[Item]:
    """Return the items of messages as soon as all of their events are indexed."""
    wait = FIRST_WAIT
    try:
        while True:
            try:
                if (items := await located(pool, messages)) is not None:
                    return items
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)
                wait = LONGEST_WAIT
            BEHIND.set(len(messages))
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
    finally:
        BEHIND.set(0)
