"""Documents in memory: up to a total size, and those that are used stay."""

from __future__ import annotations

from shared.foundation.bounded_cache import ENTRY, BoundedCache

SIZE = 100
THREE = 3 * (ENTRY + SIZE)


def filled(*keys: str) -> BoundedCache[str, str]:
    """Documents with room for three of this size."""
    cache: BoundedCache[str, str] = BoundedCache(THREE)
    for key in keys:
        cache.put(key, key.upper(), SIZE)
    return cache


def test_what_is_kept_is_found_and_nothing_else():
    cache = filled("a", "b")
    assert [cache.get(key) for key in ("a", "b", "c")] == ["A", "B", None]


def test_a_full_cache_drops_what_was_used_the_longest_time_ago():
    cache = filled("a", "b", "c")
    assert cache.get("a") == "A"
    cache.put("d", "D", SIZE)
    assert [cache.get(key) for key in ("a", "b", "c", "d")] == ["A", None, "C", "D"]


def test_a_document_in_the_place_of_another_takes_no_more_room_than_itself():
    cache = filled("a", "b", "c")
    for _ in range(10):
        cache.put("a", "new", SIZE)
    assert [cache.get(key) for key in ("a", "b", "c")] == ["new", "B", "C"]


def test_a_document_that_is_larger_than_everything_is_not_kept_and_the_others_stay():
    cache = filled("a", "b")
    cache.put("large", "x", THREE)
    assert [cache.get(key) for key in ("large", "a")] == [None, "A"]
