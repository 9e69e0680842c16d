"""Waits of an import that keep no pause. `PAUSES` has the seconds that each would have been."""

from __future__ import annotations

from regista.importing.requests import Waits

PAUSES: list[float] = []


async def at_once(seconds: float) -> None:
    """Note a pause, and go on."""
    PAUSES.append(seconds)


QUICK = Waits(attempts=3, sleep=at_once)
