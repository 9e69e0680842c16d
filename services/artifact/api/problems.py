"""Problems that several endpoints answer."""

from __future__ import annotations

from services.artifact.stores import StoreFull, StoreUnavailable
from shared.http.problems import Problem


def store_problem(unavailable: StoreUnavailable) -> Problem:
    """Return the 503 for a store that does not answer, the 507 for one that is full."""
    if isinstance(unavailable, StoreFull):
        return Problem(507, "store_full", f"The object store has no room: {unavailable}.")
    return Problem(
        503,
        "store_away",
        f"The object store is unavailable ({unavailable}): repeat the request.",
        {"retry-after": "5"},
    )
