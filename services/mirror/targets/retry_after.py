"""How long a target wants to be left alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def seconds(headers: Mapping[str, str]) -> float | None:
    """Return what a Retry-After states as a number."""
    stated = headers.get("retry-after") or ""
    return float(stated) if stated.isascii() and stated.isdigit() else None
