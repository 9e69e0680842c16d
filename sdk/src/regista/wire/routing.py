"""Which version serves a request, by the shares of a rollout (docs/routing.md)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Protocol, TypeVar


class Share(Protocol):
    """An entry of a rollout: a version, and its percent of the requests."""

    @property
    def number(self) -> int: ...

    @property
    def percent(self) -> int: ...


E = TypeVar("E", bound=Share)


def pick(entries: Sequence[E], key: str) -> E:
    """Return the entry that serves the request of this key, by weighted rendezvous hashing.

    The same key gets the same entry while the shares stay. Raising one version's share moves keys to that
    version only. Raises ValueError when no entry has a share.
    """
    return max((e for e in entries if e.percent), key=lambda e: score(e.number, e.percent, key))


def score(number: int, percent: int, key: str) -> float:
    """Return the score of a version for a key: the highest one serves."""
    return percent / -math.log(_uniform(f"{number}\n{key}"))


def _uniform(text: str) -> float:
    """Return a number between 0 and 1, both excluded."""
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") + 0.5) / 2**48
