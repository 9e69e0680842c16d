"""Who the callers are: the registry states it, and this replica keeps it for a short time."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

from services.mlflow.upstream import Upstream

KEPT = 10_000
KEPT_FOR = 60.0
"""Seconds in which a key's owner is not asked for again."""


class Callers:
    """The subjects of keys, by the digest of the key."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._subjects: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def known(self, key: str) -> str:
        """Return who has the key, "" when the registry was not asked for it."""
        return self._subjects.get(_digest(key), ("", 0.0))[0]

    async def subject(self, key: str) -> str:
        """Return who has the key. Raises MlflowError."""
        digest = _digest(key)
        subject, until = self._subjects.get(digest, ("", 0.0))
        if time.monotonic() < until:
            return subject
        subject = str((await self._upstream.call(key, "GET", "/access/me"))["subject"])
        self._subjects[digest] = (subject, time.monotonic() + KEPT_FOR)
        self._subjects.move_to_end(digest)
        if len(self._subjects) > KEPT:
            self._subjects.popitem(last=False)
        return subject


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
