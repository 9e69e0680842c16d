"""One feed of public events: what it sends of the newest events, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncGenerator, MutableMapping
from datetime import UTC, datetime
from typing import Any

import pytest

from regista.wire.cloudevents import CloudEvent
from regista.wire.event_feed import Position, position_of
from services.audit.domain.audience import Audience
from services.audit.public_events import response
from services.audit.public_events.feeds import READ_MS, Ended, Feed, Limits, PublicEvents, Wanted
from services.audit.public_events.locating import Item
from services.audit.public_events.response import EventStream, frame
from services.audit.public_events.tail import Newest
from services.audit.public_events.topics import Topics
from shared.deciding.access import (
    IdentityCreated,
    IdentityDisabled,
    KeyIssued,
    KeyRevoked,
    RoleGranted,
    RoleRevoked,
)
from shared.deciding.events import Actor
from shared.foundation.postgres import WakeUp
from shared.foundation.settings import Settings
from shared.http.app import App
from shared.http.connection import ABORT
from shared.http.problems import Problem
from shared.identity.access_view import AccessView
from shared.messaging.kafka import Received

PARTITION = ("registry", 0)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class House:
    """The newest events of a process, and one person who may read `fraud`."""

    def __init__(self, most_items: int = 100) -> None:
        self.app = App("audit", Settings())
        self.app.access = AccessView(None, "pepper", WakeUp("", "access"))
        self.events = PublicEvents(Limits(2, 1))
        self.newest = self.events.tail.newest = Newest(most_items, 1_000_000)
        self.newest.begin({PARTITION: 0})
        for event in (
            IdentityCreated("ann", "person"),
            KeyIssued("ann", "k1", "hmac-sha256", "ab"),
            RoleGranted("ann", "viewer", "fraud"),
        ):
            self.happens(event)

    def happens(self, event: Any) -> None:
        self.app.access.identities.apply(event, NOW)

    def add(self, *namespaces: str, type_: str = "regista.registry.AliasSet.v1") -> None:
        first = self.newest.end[PARTITION]
        items = [
            Item(
                PARTITION,
                first + n,
                type_,
                NOW,
                frozenset(),
                Audience(frozenset({one})),
                b'{"n":%d}' % (first + n),
            )
            for n, one in enumerate(namespaces)
        ]
        self.newest.add(items, {PARTITION: first + len(items)})

    def feed(self, **wanted: Any) -> AsyncGenerator[bytes]:
        return Feed(self.app, self.events, Actor("ann", method="api-key:k1"), Wanted(**wanted)).frames()


async def numbers(frames: AsyncGenerator[bytes], count: int) -> list[Any]:
    """Return the numbers of the next events, and the code of an end."""
    found: list[Any] = []
    async for one in frames:
        fields = dict(line.split(b": ", 1) for line in one.strip().split(b"\n") if b": " in line)
        if data := fields.get(b"data"):
            content = json.loads(data)
            found.append(content.get("n", content.get("code")))
        if len(found) == count:
            break
    return found


async def begun(frames: AsyncGenerator[bytes]) -> Position:
    assert (await anext(frames)).startswith(b"retry: ")
    return position_of((await anext(frames)).decode().split("\n")[0].removeprefix("id: "))


async def test_a_stream_begins_at_the_present_and_names_its_position() -> None:
    house = House()
    house.add("fraud", "fraud")
    frames = house.feed()
    assert await begun(frames) == {PARTITION: 2}
    house.add("fraud")
    assert await numbers(frames, 1) == [2]
    await frames.aclose()


async def test_a_position_in_the_newest_events_needs_no_kafka() -> None:
    house = House()
    house.add("fraud", "crm", "fraud", "fraud")
    frames = house.feed(position={PARTITION: 1})
    await begun(frames)
    assert await numbers(frames, 2) == [2, 3]
    await frames.aclose()


async def test_a_role_that_is_revoked_hides_what_is_kept_already() -> None:
    house = House()
    house.happens(RoleGranted("ann", "viewer", "crm"))
    house.add("crm", "fraud", "crm", "fraud")
    frames = house.feed(position={PARTITION: 0})
    await begun(frames)
    assert await numbers(frames, 1) == [0]
    house.happens(RoleRevoked("ann", "viewer", "crm"))
    assert await numbers(frames, 2) == [1, 3]
    await frames.aclose()


@pytest.mark.parametrize("event", [KeyRevoked("ann", "k1", "left"), IdentityDisabled("ann")])
async def test_a_key_that_ended_ends_the_stream_before_the_next_event(event: Any) -> None:
    house = House()
    house.add("fraud", "fraud")
    frames = house.feed(position={PARTITION: 0})
    await begun(frames)
    assert await numbers(frames, 1) == [0]
    house.happens(event)
    assert await numbers(frames, 9) == ["key_ended"]


async def test_a_feed_that_ended_is_not_kept_in_memory() -> None:
    house = House()
    feed = Feed(house.app, house.events, Actor("ann", method="api-key:k1"), Wanted())
    kept = weakref.ref(feed)
    house.happens(KeyRevoked("ann", "k1", "root"))
    assert b"key_ended" in [frame async for frame in feed.frames()][-1]
    del feed
    gc.collect()
    assert kept() is None


async def test_a_stream_that_falls_behind_ends_with_the_position_of_what_was_sent() -> None:
    house = House(most_items=3)
    house.add("fraud", "fraud")
    frames = house.feed(position={PARTITION: 0})
    await begun(frames)
    assert await numbers(frames, 1) == [0]
    house.add(*["fraud"] * 10)
    assert await numbers(frames, 1) == [1]
    last = await anext(frames)
    assert b'"too_slow"' in last
    assert position_of(last.decode().split("\n")[1].removeprefix("id: ")) == {PARTITION: 2}


async def test_a_stopping_process_and_a_stopped_log_end_streams() -> None:
    house = House()
    for stop, code in ((_stops, "stopping"), (_log_stops, "log_stopped")):
        frames = house.feed()
        await begun(frames)
        stop(house)
        assert await numbers(frames, 1) == [code]
        house.events.tail.stopping = False


def _stops(house: House) -> None:
    house.events.tail.stopping = True


def _log_stops(house: House) -> None:
    house.app.standing.stop("events are lost")


async def test_types_are_selected() -> None:
    house = House()
    house.add("fraud")
    house.add("fraud", type_="regista.registry.RolledBack.v1")
    frames = house.feed(position={PARTITION: 0}, types=frozenset({"RolledBack"}))
    await begun(frames)
    assert await numbers(frames, 1) == [1]
    await frames.aclose()


def test_streams_are_limited_by_caller_and_in_all() -> None:
    limits = Limits(most=2, most_of_caller=1)
    limits.enter("ann")
    with pytest.raises(Problem, match="You have 1 feeds"):
        limits.enter("ann")
    limits.enter("bob")
    with pytest.raises(Problem, match="2 feeds of events are open"):
        limits.enter("eve")
    limits.leave("ann")
    limits.enter("eve")


async def test_a_caller_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "SEND_WITHIN", 0.01)
    closed, left = asyncio.Event(), list[str]()

    async def frames() -> AsyncGenerator[bytes]:
        while True:
            yield frame("c", b"{}")

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive() -> MutableMapping[str, Any]:
        await closed.wait()
        return {"type": "http.disconnect"}

    scope = {"type": "http", "extensions": {ABORT: {"close": closed.set}}}
    await EventStream(frames(), lambda: left.append("left"))(scope, receive, send)
    assert closed.is_set()
    assert left == ["left"]


async def test_frames_end_when_the_caller_leaves() -> None:
    ended, left = list[str](), list[str]()

    async def frames() -> AsyncGenerator[bytes]:
        try:
            yield frame("c")
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    sent, taken = list[MutableMapping[str, Any]](), asyncio.Event()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)
        if len(sent) == 2:
            taken.set()

    async def receive() -> MutableMapping[str, Any]:
        await taken.wait()
        return {"type": "http.disconnect"}

    await EventStream(frames(), lambda: left.append("left"))({"type": "http"}, receive, send)
    assert (ended, left) == (["ended"], ["left"])
    assert sent[1]["body"] == b"id: c\n: waiting\n\n"


class Kafka(Topics):
    """Topics of which Kafka sends so much at each read; `seconds` pass until the feed reads again."""

    def __init__(self, *reads: int, seconds: float = 0.0) -> None:
        self.position = {PARTITION: 0}
        self.reads, self.seconds, self.now = list(reads), seconds, 0.0

    async def read(self, wait_ms: int) -> list[Received]:
        self.now += wait_ms / 1000
        offset, count = self.position[PARTITION], self.reads.pop(0)
        self.position = {PARTITION: offset + count}
        self.now += self.seconds if count else 0.0
        event = CloudEvent("none", "/regista/registry", "AliasSet", "model-m", "2026-03-01T00:00:00Z", b"{}")
        return [Received(event, "service:registry", "service", "t", 0, offset + n) for n in range(count)]


@pytest.mark.parametrize(
    ("reads", "seconds", "code"),
    [
        ((0, 0, 0, 0), 0.0, "unavailable"),
        ((1, 0, 1), 100.0, "caught_up"),
        ((1, 0, 0, 0, 0), 0.0, "unavailable"),
    ],
)
async def test_a_feed_of_the_past_ends_when_kafka_is_silent_and_not_when_its_reader_is_slow(
    monkeypatch: pytest.MonkeyPatch, reads: tuple[int, ...], seconds: float, code: str
) -> None:
    house, kafka = House(), Kafka(*reads, seconds=seconds)
    house.app.pool = None  # no event has an id by which one would look it up
    monkeypatch.setattr("services.audit.public_events.feeds.SILENCE", 2 * READ_MS / 1000)
    monkeypatch.setattr("services.audit.public_events.feeds._now", lambda: kafka.now)
    wanted = Wanted(follow=False, position={PARTITION: 0})
    feed = Feed(house.app, house.events, Actor("ann", method="api-key:k1"), wanted)
    with pytest.raises(Ended) as ended:
        _ = [one async for one in feed._read_past(kafka, {PARTITION: 2})]
    assert ended.value.code == code


async def test_a_feed_that_does_not_learn_where_the_present_is_ends_and_names_kafka(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a job that reads up to the present would wait as long as Kafka is unreachable."""
    monkeypatch.setattr("services.audit.public_events.feeds.SILENCE", -1.0)
    house = House()
    house.newest.start = None
    assert await numbers(house.feed(follow=False), 9) == ["unavailable"]
