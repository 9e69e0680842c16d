"""Durations as text: a number and one of s, m, h, d, as in `90s`, `30m`, `12h`, `7d`, `1.5s`. Pure."""

from __future__ import annotations

import re

UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
LONGEST = 1e10
"""Seconds of the longest duration, about 317 years."""
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([smhd])", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration. Raises ValueError for another form, and above LONGEST."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r:.40} is no duration: write a number and one of s, m, h, d, as in 90d")
    seconds = float(found[1]) * UNITS[found[2]]
    if seconds > LONGEST:
        raise ValueError(f"{text!r:.40} is too long: write {LONGEST // UNITS['d']:.0f}d at most")
    return seconds


def duration_text(seconds: float) -> str:
    """Return a duration in the largest unit of which it is a whole number."""
    for unit, length in UNITS.items():
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"
