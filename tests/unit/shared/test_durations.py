"""Durations as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.deciding.durations import LONGEST, duration_text, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("90s", 90, "90s"),
        ("30m", 1_800, "30m"),
        ("12h", 43_200, "12h"),
        ("7d", 604_800, "7d"),
        (" 24h ", 86_400, "1d"),
        ("1.5s", 1.5, "1.5s"),
        ("0s", 0, "0s"),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float, shown: str) -> None:
    assert parse_duration(text) == seconds
    assert duration_text(seconds) == shown


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 d", "7w", "1e3s", "٣d", "7d7h", "inf"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="as in 90d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["999999d", "115741d", "999999999999d"])
def test_a_duration_that_is_too_long_is_refused_with_the_longest(text: str) -> None:
    with pytest.raises(ValueError, match="write 115740d at most"):
        parse_duration(text)
    assert parse_duration("115740d") <= LONGEST


@given(st.integers(0, int(LONGEST) * 1_000).map(lambda n: n / 1_000))
def test_what_is_shown_is_read_as_the_same_duration(seconds: float) -> None:
    assert parse_duration(duration_text(seconds)) == pytest.approx(seconds, abs=1e-6)
