"""Which version serves a request, by the shares of a rollout."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from services.registry.domain.model.events import Entry


def pick(entries: Sequence[Entry], key: str) -> Entry:
    """Return the entry that serves the request of this key, by weighted rendezvous hashing.

    The same key gets the same entry while the shares stay. Raising one version's share moves keys to that
    version only.
    """
    return max(
        (e for e in entries if e.percent), key=lambda e: e.percent / -math.log(_uniform(f"{e.number}\n{key}"))
    )


def _uniform(text: str) -> float:
    """Return a number between 0 and 1, both excluded."""
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") + 0.5) / 2**48
