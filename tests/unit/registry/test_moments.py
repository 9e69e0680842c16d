"""Which moments of a model are read and shown, however long its life is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from services.registry.as_of.moments import EVERY, MOST_SHOWN, About, Moment, meaningful, spread, thinned

STORED = Path(__file__).parents[3] / "schemas/stored/registry"
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def moment(revision: int, *, second: int | None = None, kind: str = "VersionRegistered") -> Moment:
    at = BEGIN + timedelta(seconds=revision if second is None else second)
    return msgspec.convert(
        {"type": kind, "revision": revision, "recorded_at": at, "actor": {"subject": "ann"}, "data": {}},
        Moment,
    )


@pytest.mark.parametrize("newest", [0, 1, 2, EVERY - 1, EVERY])
def test_of_a_short_life_every_event_is_read(newest: int) -> None:
    assert list(spread(newest)) == list(range(1, newest + 1))


@pytest.mark.parametrize("newest", [EVERY + 1, 2 * EVERY, 1_000_003])
def test_of_a_long_life_some_are_read_from_the_first_to_the_last(newest: int) -> None:
    found = list(spread(newest))
    assert (found[0], found[-1]) == (1, newest)
    assert len(found) == EVERY
    assert max(b - a for a, b in pairwise(found)) <= newest // (EVERY - 1) + 1


def test_events_of_one_moment_are_shown_by_the_first_and_copies_are_left_out() -> None:
    events = [
        moment(1),
        moment(2, kind="Noted"),
        moment(3, kind="VersionPromoted"),
        moment(4, second=3, kind="RolloutChanged"),
    ]
    assert [one.revision for one in meaningful(events)] == [1, 3]


def test_a_long_life_is_thinned_and_keeps_its_ends_and_what_was_asked_for() -> None:
    many = [moment(n) for n in range(1, 1_001)]
    shown = thinned(many, many[500], None)
    assert (shown[0], shown[-1]) == (many[0], many[-1])
    assert many[500] in shown
    assert len(shown) <= MOST_SHOWN + 1


@pytest.mark.parametrize("stored", sorted(STORED.glob("*.json")), ids=lambda file: file.stem)
def test_what_every_stored_event_names_can_be_read(stored: Path) -> None:
    found, data = msgspec.json.decode(stored.read_bytes(), type=About), json.loads(stored.read_bytes())
    assert (found.number, found.environment) == (data.get("number"), data.get("environment"))
