"""What happened lately is read once for a session, and then only what is new."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx

from services.console.happened import MOST, Recent
from tests.unit.console.console_at import at


class Feed:
    """The feed of audit: what is in it, and since when each reader asked for it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, datetime]] = []
        self.asked: list[timedelta] = []
        self.unavailable = False

    def happens(self, id_: str, ago: timedelta = timedelta(0)) -> None:
        self.events.append((id_, datetime.now(UTC) - ago))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.unavailable:
            return httpx.Response(503, json={})
        since = datetime.fromisoformat(request.url.params["since"])
        self.asked.append(datetime.now(UTC) - since)
        found = [
            {
                "id": id_,
                "type": "regista.VersionPromoted.v1",
                "time": when.isoformat(),
                "data": {"model": id_},
            }
            for id_, when in self.events
            if when >= since
        ]
        lines = "".join(f"data: {json.dumps(one)}\n\n" for one in found)
        return httpx.Response(200, content=lines.encode(), headers={"content-type": "text/event-stream"})


async def shown(recent: Recent, feed: Feed, *, wait: bool = False) -> list[str]:
    console, browser = at(feed)
    async with console.http, browser:
        found = await recent.newest(console.calls("rg_key"), wait=wait)
        if recent.reading is not None:
            await recent.reading
    return [str(event["model"]) for event in found.events]


async def test_a_second_page_reads_nothing() -> None:
    feed, recent = Feed(), Recent()
    feed.happens("a", timedelta(hours=3))
    assert await shown(recent, feed) == ["a"]
    asked = len(feed.asked)
    feed.happens("b")
    assert await shown(recent, feed) == ["a"]
    assert len(feed.asked) == asked


async def test_a_page_that_reads_itself_again_has_what_is_new() -> None:
    feed, recent = Feed(), Recent()
    feed.happens("a", timedelta(hours=3))
    await shown(recent, feed)
    feed.happens("b")
    assert await shown(recent, feed, wait=True) == ["b", "a"]
    assert feed.asked[-1] < timedelta(minutes=5)


async def test_an_old_page_is_shown_at_once_and_the_next_one_has_what_is_new() -> None:
    feed, recent = Feed(), Recent()
    await shown(recent, feed)
    assert recent.known is not None
    recent.known.read_at -= 60
    feed.happens("b")
    assert await shown(recent, feed) == []
    assert await shown(recent, feed) == ["b"]


async def test_a_day_is_read_only_where_the_last_hour_has_little() -> None:
    busy, quiet = Feed(), Feed()
    for number in range(MOST + 3):
        busy.happens(f"m{number}", timedelta(minutes=30 - number))
    assert await shown(Recent(), busy) == [f"m{number}" for number in reversed(range(3, MOST + 3))]
    assert len(busy.asked) == 1
    quiet.happens("a", timedelta(hours=20))
    assert await shown(Recent(), quiet) == ["a"]


async def test_the_newest_are_shown_in_whatever_order_topics_are_read() -> None:
    feed = Feed()
    feed.happens("b", timedelta(minutes=10))
    feed.happens("a", timedelta(minutes=5))
    for number in range(MOST):
        feed.happens(f"old-{number}", timedelta(minutes=20))
    assert (await shown(Recent(), feed))[:2] == ["a", "b"]


async def test_what_is_read_twice_is_shown_once() -> None:
    feed, recent = Feed(), Recent()
    feed.happens("a")
    await shown(recent, feed)
    assert await shown(recent, feed, wait=True) == ["a"]


async def test_while_audit_is_unavailable_a_page_shows_what_it_had() -> None:
    feed, recent = Feed(), Recent()
    feed.happens("a")
    await shown(recent, feed)
    feed.unavailable = True
    assert await shown(recent, feed, wait=True) == ["a"]
