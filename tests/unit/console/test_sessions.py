"""Sessions: opaque ids, limited times, and what waits for a sign-in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.console.sessions import MOST_KEPT, Session, Store

CALLER: Any = {"subject": "person:ann", "kind": "person", "name": "Ann", "key": {}, "roles": []}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def store(clock: Clock, most: int = 3) -> Store[str]:
    return Store(most, timedelta(hours=2), timedelta(hours=1), clock)


def test_a_content_is_found_by_its_id_only() -> None:
    kept = store(Clock())
    id_ = kept.put("content")
    assert kept.find(id_) == "content"
    assert kept.find(id_ + "x") is None
    assert kept.find("") is None


def test_the_ids_themselves_are_not_kept() -> None:
    kept = store(Clock())
    id_ = kept.put("content")
    assert id_ not in repr(kept._entries)


def test_an_id_ends_when_it_is_not_used_for_the_idle_time() -> None:
    clock = Clock()
    kept = store(clock)
    id_ = kept.put("content")
    clock.now = 3_601
    assert kept.find(id_) is None


def test_use_prolongs_an_id_but_not_beyond_the_longest_time() -> None:
    clock = Clock()
    kept = store(clock)
    id_ = kept.put("content")
    for clock.now in (3_000, 6_000):
        assert kept.find(id_) == "content"
    clock.now = 7_201
    assert kept.find(id_) is None


def test_the_one_that_is_unused_for_longest_makes_room() -> None:
    kept = store(Clock(), most=2)
    first, second = kept.put("first"), kept.put("second")
    kept.find(first)
    kept.put("third")
    assert kept.find(first) == "first"
    assert kept.find(second) is None


def test_a_dropped_id_finds_nothing() -> None:
    kept = store(Clock())
    id_ = kept.put("content")
    assert kept.drop(id_) == "content"
    assert kept.find(id_) is None


def test_a_session_shows_no_secret_when_it_is_printed() -> None:
    session = Session("rg_abc_secret", CALLER)
    assert "secret" not in repr(session)
    assert session.csrf not in repr(session)


def test_a_session_keeps_a_limited_number_of_forms() -> None:
    session = Session("rg_x", CALLER)
    for at in range(MOST_KEPT + 5):
        session.keep(f"/page/{at}", {"text": ["typed"]})
    assert len(session.kept) == MOST_KEPT
    assert f"/page/{MOST_KEPT + 4}" in session.kept


def test_a_look_at_an_id_changes_nothing() -> None:
    clock = Clock()
    kept = store(clock, most=2)
    first, second = kept.put("first"), kept.put("second")
    clock.now = 3_600
    assert kept.peek(first) == "first"
    assert kept.peek("") is None
    kept.put("third")
    assert (kept.peek(first), kept.peek(second)) == (None, "second")
    clock.now = 3_601
    assert kept.peek(second) is None
    assert len(kept._entries) == 2


def test_a_look_at_an_id_finds_nothing_after_the_longest_time() -> None:
    clock = Clock()
    kept = store(clock)
    id_ = kept.put("content")
    for clock.now in (3_000, 6_000):
        assert kept.find(id_) == "content"
    clock.now = 7_201
    assert kept.peek(id_) is None
