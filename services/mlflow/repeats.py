"""Recognise a request that a client repeats because no answer reached it.

MLflow's clients repeat a POST for four minutes, with nothing that names the request. The Idempotency-Key of a
new version is therefore made from the caller and the body. This replica counts the answers that were
delivered, so that the same request again, after its answer, makes the next version. Losing the counts is
harmless: then a request that is equal in all fields gets the version of the last five minutes.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

import msgspec

KEPT = 10_000
REPEATED_FOR = 300.0
"""Seconds in which an equal request may be a repetition: longer than clients repeat one."""


class Repeats:
    """How often each request was answered by this replica."""

    def __init__(self) -> None:
        self._answered: OrderedDict[str, int] = OrderedDict()

    def first(self, digest: str) -> int:
        """Return the number of the next request that is equal to those with this digest."""
        return self._answered.get(digest, 0)

    def answered(self, digest: str, number: int) -> None:
        """Record that the answer to this request was delivered."""
        self._answered[digest] = number + 1
        self._answered.move_to_end(digest)
        if len(self._answered) > KEPT:
            self._answered.popitem(last=False)


def digest_of(key: str, *parts: object) -> str:
    """Return the digest of a request of a caller."""
    content = msgspec.json.encode([key, *parts], order="deterministic")
    return hashlib.sha256(content).hexdigest()


def is_old(millis: int) -> bool:
    """Return whether the version was made too long ago to be the answer to a repeated request."""
    return time.time() - millis / 1000 > REPEATED_FOR
