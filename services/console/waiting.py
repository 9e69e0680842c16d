"""Count the reviews that wait for the person: every page shows the number."""

from __future__ import annotations

import time

from regista.errors import RegistaError
from services.console.pages.reviews import waits_for
from services.console.view import View

COUNTED_FOR = 20.0
"""Seconds for which the number is not counted again, unless the person changes something."""


async def count(view: View) -> None:
    """Bring the number of the session up to date. It stays as it was while approval does not answer."""
    counted_at, _ = view.session.waiting
    if time.monotonic() - counted_at < COUNTED_FOR and view.request.method == "GET":
        return
    try:
        found = await view.calls.get("approval", "/reviews", state="open", page_size=100)
    except RegistaError:
        return
    view.session.waiting = (time.monotonic(), sum(1 for review in found["items"] if waits_for(view, review)))
