"""Folded states and their snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from shared.deciding.decider import Fold
from shared.deciding.events import Actor, Recorded
from shared.log.layered_map import LARGE, LayeredMap
from shared.log.snapshots import SnapshotCodec
from shared.log.states import CachedState, States


@dataclass(frozen=True, slots=True)
class Item:
    price: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shop:
    KIND: ClassVar[str] = "shop"
    name: str = ""
    items: Map[int, Item] = field(default_factory=Map)
    sold: Map[str, int] = field(default_factory=Map)


def _evolve(state: Shop, _event: Any) -> Shop:
    return state


SHOP: Fold[Any, Shop] = Fold("shop", Shop(), _evolve)

items = st.builds(Item, st.integers(-(2**60), 2**60), st.lists(st.text(max_size=5), max_size=3).map(tuple))
shops = st.builds(
    Shop,
    st.text(),
    st.dictionaries(st.integers(0, 99), items).map(Map),
    st.dictionaries(st.text(max_size=5), st.integers(0, 9)).map(Map),
)


@given(shops)
def test_a_snapshot_gives_the_state_back(state: Shop) -> None:
    codec = SnapshotCodec(SHOP)
    restored = codec.load(codec.dump(state))
    assert restored == state
    assert isinstance(restored.items, Map)


def test_a_large_map_of_a_snapshot_goes_on_as_one_of_its_own_would() -> None:
    codec = SnapshotCodec(SHOP)
    state = Shop("large", Map({n: Item(n) for n in range(LARGE)}))
    restored = codec.load(codec.dump(state))
    assert isinstance(restored.items, LayeredMap)
    assert restored == state
    changed, again = (
        replace(s, items=s.items.delete(3).set(LARGE, Item(0)).set(5, Item(1))) for s in (state, restored)
    )
    assert changed == again
    assert codec.load(codec.dump(again)) == changed


def test_a_fold_in_other_source_has_another_fingerprint() -> None:
    other: Fold[Any, CachedState] = Fold("held", CachedState(None), States.get)  # type: ignore[arg-type]
    assert SnapshotCodec(SHOP).fingerprint != SnapshotCodec(other).fingerprint


def test_the_least_used_stream_leaves_a_full_cache_first() -> None:
    states = States("s", [SHOP], capacity=60)
    for n in range(3):
        states.put(f"shop-{n}", CachedState(Shop(name=str(n)), revision=10))
    states.get("shop-0")
    states.put("shop-3", CachedState(Shop(name="3"), revision=10))
    assert [states.get(f"shop-{n}").revision for n in range(4)] == [10, 0, 10, 10]


def test_a_stream_longer_than_the_cache_is_still_held() -> None:
    states = States("s", [SHOP], capacity=60)
    states.put("shop-1", CachedState(Shop(), revision=1000))
    assert states.get("shop-1").revision == 1000


def test_snapshots_come_ever_more_seldom_as_a_stream_grows() -> None:
    assert CachedState(Shop(), revision=500).wants_keeping
    assert not CachedState(Shop(), revision=100_000, kept=98_000).wants_keeping
    assert CachedState(Shop(), revision=100_000, kept=96_875).wants_keeping


def test_a_stream_is_behind_from_its_first_events_on_until_a_snapshot_was_kept_or_it_left_the_cache() -> None:
    states = States("s", [SHOP], capacity=500)
    states.put("shop-1", CachedState(Shop(), revision=199))
    assert states.behind() == ()
    states.put("shop-1", CachedState(Shop(), revision=200))
    assert states.behind() == ("shop-1",)
    states.put("shop-1", CachedState(Shop(), revision=200, kept=200))
    assert states.behind() == ()
    states.put("shop-1", CachedState(Shop(), revision=400, kept=200))
    states.put("shop-2", CachedState(Shop(), revision=450))
    assert states.behind() == ("shop-2",)


def test_clearing_the_states_also_clears_the_recent_events_that_share_them() -> None:
    states = States("s", [SHOP])
    shared = states.recent
    states.put("shop-1", CachedState(Shop(), revision=300))
    shared.put(
        Recorded(
            "s",
            "shop-1",
            1,
            UUID(int=1),
            "Sold",
            1,
            datetime(2026, 1, 1, tzinfo=UTC),
            Actor("a"),
            object(),
            b"",
        )
    )
    states.clear()
    assert (states.get("shop-1").revision, states.behind(), shared.get(("shop-1", 1))) == (0, (), None)
    assert states.recent is shared
