"""Which ranges of names a caller may read."""

from __future__ import annotations

import pytest

from services.registry.readable import MOST_RANGES, ranges, within


@pytest.mark.parametrize(
    ("namespaces", "namespace", "shown"),
    [
        (None, None, None),
        (None, "a", ["a"]),
        (["a", "b"], None, ["a", "b"]),
        (["a", "b"], "a.x", ["a.x"]),
        (["a.x", "a.y", "b"], "a", ["a.x", "a.y"]),
        (["a"], "ab", []),
    ],
)
def test_a_namespace_narrows_what_a_caller_may_read(namespaces, namespace, shown):
    assert within(namespaces, namespace) == shown


def test_a_namespace_inside_another_one_has_no_range_of_its_own():
    [one, other] = ranges(["a", "a.x", "ab"], "$2")
    assert "[1]" in one
    assert "[3]" in other


@pytest.mark.parametrize("namespaces", [None, [], [f"n{n}" for n in range(MOST_RANGES + 1)]])
def test_who_may_read_all_or_nothing_or_very_many_namespaces_has_one_condition(namespaces):
    assert ranges(namespaces, "$2") == ["log.covers($2::text[], m.name)"]
