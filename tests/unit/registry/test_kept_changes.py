"""Which differences an event keeps, in which order, and how long values are shortened."""

from __future__ import annotations

import hashlib
from itertools import permutations

import pytest

from services.registry.domain.versioning.bump import LONGEST_VALUE, most_important
from services.registry.domain.versioning.diff import Change
from shared.deciding.events import encode


def change(level: str | None = "minor", path: str = "training.config.depth", **values: object) -> Change:
    return Change("config", path, "changed", level=level, **values)  # type: ignore[arg-type]


def test_higher_levels_come_first_and_differences_without_a_level_last():
    for levels in permutations(["major", "minor", "patch", None]):
        kept, omitted = most_important([change(level) for level in levels])
        assert [c.level for c in kept] == ["major", "minor", "patch", None]
        assert omitted == 0


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "x" * 127, "x" * (LONGEST_VALUE - 2), ["x", {"y": 1}]])
def test_a_short_value_is_kept_as_it_is(value: object):
    (kept,), _ = most_important([change(before=value, after=value)])
    assert (kept.before, kept.after) == (value, value)


@pytest.mark.parametrize("value", ["x" * (LONGEST_VALUE - 1), "\n" * 200, "ä" * 200, ["x"] * 100])
def test_a_long_value_is_kept_as_twelve_digits_of_its_digest_and_its_size(value: object):
    encoded = encode(value)
    shown = f"sha256:{hashlib.sha256(encoded).hexdigest()[:12]}… ({len(encoded)} bytes)"
    (kept,), _ = most_important([change(before=value, after="new")])
    assert (kept.before, kept.after) == (shown, "new")
    (kept,), _ = most_important([change(before="old", after=value)])
    assert (kept.before, kept.after) == ("old", shown)


@pytest.mark.parametrize(
    ("length", "kept_length"), [(LONGEST_VALUE, LONGEST_VALUE), (LONGEST_VALUE + 1, LONGEST_VALUE + 1)]
)
def test_a_path_is_cut_behind_its_longest_form(length: int, kept_length: int):
    (kept,), _ = most_important([change(path="p" * length)])
    assert kept.path == ("p" * length if length <= LONGEST_VALUE else "p" * LONGEST_VALUE + "…")
    assert len(kept.path) == kept_length
