"""Publish nothing: the standing of a target is read by HTTP."""

from __future__ import annotations

from shared.deciding.events import Recorded
from shared.deciding.service import PublicEvent

PUBLIC: dict[str, type] = {}
"""Every public type and the shape of its data."""


def publish(_recorded: Recorded) -> PublicEvent | None:
    """Return None: no event of this service is public."""
    return None
