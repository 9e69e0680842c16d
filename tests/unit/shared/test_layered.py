"""A layered mapping behaves like a dict, and former mappings stay unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from shared.log.layered_map import LayeredMap

keys = st.integers(0, 9)
values = st.none() | st.integers(0, 3)
steps = st.lists(
    st.tuples(st.just("set"), keys, values) | st.tuples(st.just("delete"), keys, st.none()), max_size=30
)


def _same(layered: LayeredMap[int, int | None], expected: dict[int, int | None]) -> None:
    assert layered == expected
    assert layered == Map(expected)
    assert (len(layered), bool(layered)) == (len(expected), bool(expected))
    assert sorted(layered) == sorted(expected)
    assert dict(layered.items()) == layered.whole() == expected
    assert sorted(map(repr, layered.values())) == sorted(map(repr, expected.values()))
    for key in range(10):
        assert (key in layered, layered.get(key, -1)) == (key in expected, expected.get(key, -1))


@given(st.dictionaries(keys, values), steps)
def test_it_changes_as_a_dict_does_and_former_mappings_stay(base, steps):
    layered, expected = LayeredMap(base), dict(base)
    history = [(layered, dict(expected))]
    for what, key, value in steps:
        if what == "set":
            layered, expected = layered.set(key, value), expected | {key: value}
        elif key in expected:
            layered, expected = layered.delete(key), {k: v for k, v in expected.items() if k != key}
        else:
            with pytest.raises(KeyError):
                layered.delete(key)
        history.append((layered, dict(expected)))
    for then, was in history:
        _same(then, was)


def test_an_update_sets_each_of_its_entries() -> None:
    _same(LayeredMap({1: 1, 2: 2}).update({2: 3, 4: 4}), {1: 1, 2: 3, 4: 4})


def test_a_deleted_key_does_not_exist() -> None:
    with pytest.raises(KeyError):
        LayeredMap({1: 1}).delete(1)[1]
