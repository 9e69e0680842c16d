"""Send the public events to one caller: from a position in the past, then as they come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client import Gauge

from regista.wire.event_feed import Position, cursor_of, is_behind, merged
from regista.wire.event_types import name_of
from services.audit.public_events.locating import Item, located
from services.audit.public_events.response import RETRY, end_frame, frame
from services.audit.public_events.tail import Tail
from services.audit.public_events.topics import Topics
from shared.deciding.access import AccessState
from shared.deciding.events import Actor
from shared.foundation.outages import KAFKA, POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.http.app import App
from shared.http.problems import Problem
from shared.messaging.kafka_errors import KAFKA_ERRORS

log = logging.getLogger(__name__)

HEARTBEAT = 15.0
"""Seconds after which a feed without events sends the cursor alone."""
SILENCE = 15.0
"""Seconds after which a feed that waits for Kafka, and is not at the present, ends as unavailable."""
LOOK_EVERY = 2.0
"""Seconds between two looks whether the caller's key is still valid, while there is no event."""
PAGE = 100
READ_MS = 500
AT_A_TIME = 4
"""Feeds of a process that read the past at the same time; each has a client of Kafka. Others wait."""

OPEN = Gauge("regista_audit_event_feeds", "Feeds of public events that are open in this process")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller wants.

    Events of a model (its id), of a namespace and those below it, of types (names), recorded since a time;
    each "" or None for all. `position` is where to begin, None: at the present. Without `follow` the feed
    ends at the present.
    """

    position: Position | None = None
    since: datetime | None = None
    model_id: str = ""
    namespace: str = ""
    types: frozenset[str] = frozenset()
    follow: bool = True

    def includes(self, item: Item) -> bool:
        """Return whether the caller asked for the event."""
        return (
            (self.since is None or item.recorded_at >= self.since)
            and (not self.model_id or self.model_id in item.models)
            and (not self.namespace or item.audience.is_within(self.namespace))
            and (not self.types or name_of(item.type) in self.types)
        )


class Ended(Exception):  # noqa: N818 - how a feed ends, not a fault
    """The feed ends. `code` and `detail` state why, and what the caller does next."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


CAUGHT_UP = ("caught_up", "These were all events up to now.")
STOPPING = ("stopping", "The service stops: connect again with the last id.")
TOO_SLOW = ("too_slow", "Events came faster than they were taken: connect again with the last id.")
UNAVAILABLE = ("unavailable", "Kafka or the database is unavailable: connect again with the last id.")
UNKNOWN_CURSOR = (
    "cursor_unknown",
    (
        "The position is behind the newest event: it is of another log, or the topics were replaced. Start"
        " again with `since` and a time."
    ),
)
KEY_ENDED = (
    "key_ended",
    "The key is revoked, the token's issuer is not trusted, one of them has expired, or you are disabled.",
)


@dataclass(slots=True)
class Limits:
    """The open feeds, in all and by caller."""

    most: int
    most_of_caller: int
    open: Counter[str] = field(default_factory=Counter)

    def enter(self, subject: str) -> None:
        """Count one more feed. Raises Problem 429 when there are too many."""
        if self.open[subject] >= self.most_of_caller:
            raise Problem(
                429,
                "too_many_feeds",
                f"You have {self.most_of_caller} feeds of events open here: close one, then connect again.",
                {"retry-after": "5"},
            )
        if self.open.total() >= self.most:
            raise Problem(
                429,
                "too_many_feeds",
                f"{self.most} feeds of events are open here: connect again later.",
                {"retry-after": "5"},
            )
        self.open[subject] += 1
        OPEN.set(self.open.total())

    def leave(self, subject: str) -> None:
        """Count one less."""
        self.open[subject] -= 1
        self.open += Counter()
        OPEN.set(self.open.total())


@dataclass(slots=True)
class PublicEvents:
    """The feeds of this process. `past`: who reads the past waits for one of AT_A_TIME turns."""

    limits: Limits
    tail: Tail = field(default_factory=Tail)
    past: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))


class Feed:
    """One feed. `frames` is what is sent; it ends with an event `end` that states why.

    `until` is when the caller's token ends, None for an API key.
    """

    def __init__(
        self, app: App, events: PublicEvents, actor: Actor, wanted: Wanted, until: datetime | None = None
    ) -> None:
        self._app, self._events, self._tail = app, events, events.tail
        self._actor, self._wanted, self._until = actor, wanted, until
        self._position: Position = dict(wanted.position or {})
        self._begun = wanted.position is not None
        """Whether the position is where the caller wants to begin."""
        self._sent_at = _now()

    async def frames(self) -> AsyncGenerator[bytes]:
        """Yield the frames. The caller's rights are looked up for each event and every LOOK_EVERY seconds."""
        yield RETRY
        with self._tail.followed():
            try:
                async for one in self._all():
                    yield one
            except Ended as ended:
                end = ended
            except (*KAFKA_ERRORS, *CONNECTION_ERRORS, Unavailable) as error:
                raise_if_cancelled()
                (POSTGRES if isinstance(error, CONNECTION_ERRORS) else KAFKA).report(error)
                end = Ended(*UNAVAILABLE)
            yield end_frame(self._cursor(), end.code, end.detail)

    async def _all(self) -> AsyncGenerator[bytes]:
        if not self._begun and self._wanted.since is None:
            async for one in self._until_tail():
                yield one
            self._position, self._begun = dict(self._tail.newest.end), True
        yield self._heartbeat()
        while True:
            async for one in self._newest():
                yield one
            async for one in self._past():
                yield one

    async def _until_tail(self) -> AsyncGenerator[bytes]:
        """Wait until the newest items are read: they are where the present is."""
        since = _now()
        while True:
            changed = self._tail.changed
            self._check()
            if self._tail.newest.start is not None:
                return
            _end_after_silence(since)
            async for one in self._idle(changed):
                yield one

    async def _newest(self) -> AsyncGenerator[bytes]:
        """Send the newest items behind the position, then wait for others.

        Return where they do not cover the position: what is missing is read from Kafka.
        """
        newest, number = self._tail.newest, self._tail.newest.base
        if not self._wanted.follow or not self._begun or not newest.covers(self._position):
            return
        while True:
            changed = self._tail.changed
            self._check()
            if number < newest.base:
                raise Ended(*TOO_SLOW)
            items = newest.after(number, PAGE)
            number += len(items)
            for one in self._sent(items):
                yield one
            if not items:
                self._position = merged(self._position, newest.end)
                async for one in self._idle(changed):
                    yield one

    async def _past(self) -> AsyncGenerator[bytes]:
        """Read Kafka from the position until the newest items cover it, or without `follow` to its end."""
        async for one in self._turn():
            yield one
        try:
            topics = await Topics.opened(self._app.settings, self._app.access)
            try:
                end = await self._begin(topics)
                async for one in self._read_past(topics, end):
                    yield one
            finally:
                await topics.close()
        finally:
            self._events.past.release()

    async def _turn(self) -> AsyncGenerator[bytes]:
        while True:
            self._check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._events.past.acquire()
                    return
            if self._is_due():
                yield self._heartbeat()

    async def _begin(self, topics: Topics) -> Position:
        """Go to where the caller wants to begin. Return the present end."""
        end = await topics.ends()
        if not self._begun and self._wanted.since is not None:
            self._position, self._begun = await topics.at(self._wanted.since), True
        if is_behind(end, self._position):
            raise Ended(*UNKNOWN_CURSOR)
        topics.seek(merged(await topics.beginnings(), self._position))
        return end

    async def _read_past(self, topics: Topics, end: Position) -> AsyncGenerator[bytes]:
        since = _now()
        while True:
            if self._wanted.follow and self._tail.newest.covers(self._position):
                return
            if not self._wanted.follow and not is_behind(self._position, end):
                raise Ended(*CAUGHT_UP)
            messages = await topics.read(READ_MS)
            if not messages:
                _end_after_silence(since)
            while (items := await located(self._app.pool, messages)) is None:
                async for one in self._idle(None):
                    yield one
            for one in self._sent(items):
                yield one
            self._position = merged(self._position, topics.position)
            if messages:
                since = _now()  # how long a reader takes for them is no silence of Kafka
            self._check()
            if self._is_due():
                yield self._heartbeat()

    def _sent(self, items: list[Item]) -> Iterator[bytes]:
        """Yield the frames of those items that are behind the position, wanted and allowed.

        The caller's rights are read for each: they may have changed while an earlier one was sent.
        """
        for item in items:
            if item.offset < self._position.get(item.partition, 0):
                continue
            if self._wanted.includes(item) and item.audience.includes(self._check()):
                self._position[item.partition] = item.offset + 1
                self._sent_at = _now()
                yield frame(self._cursor(), item.json)
            else:
                self._position[item.partition] = item.offset + 1

    async def _idle(self, changed: asyncio.Event | None) -> AsyncGenerator[bytes]:
        """Wait a moment, or until something changed. Yield a heartbeat when nothing was sent for long."""
        await (asyncio.sleep(READ_MS / 1000) if changed is None else _wait(changed, LOOK_EVERY))
        self._check()
        if self._is_due():
            yield self._heartbeat()

    def _is_due(self) -> bool:
        return _now() - self._sent_at >= HEARTBEAT

    def _heartbeat(self) -> bytes:
        self._sent_at = _now()
        return frame(self._cursor())

    def _cursor(self) -> str:
        return cursor_of(self._position) if self._begun else ""

    def _check(self) -> AccessState:
        """Return the caller's present roles. Raises Ended when the feed must end."""
        if self._tail.stopping:
            raise Ended(*STOPPING)
        if reason := self._app.standing.reason:
            raise Ended("log_stopped", f"The log is stopped: {reason}")
        state = self._app.access.identities.present(self._actor)
        if state is None or (self._until is not None and self._until <= datetime.now(UTC)):
            raise Ended(*KEY_ENDED)
        return state


def _now() -> float:
    return asyncio.get_running_loop().time()


def _end_after_silence(since: float) -> None:
    if _now() - since > SILENCE:
        raise Ended(*UNAVAILABLE)


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()
