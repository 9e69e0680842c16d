"""Home: what waits for the person, what serves now, and what happened lately."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from services.console.calls import BY_SCRIPT, Part, part
from services.console.pages.reviews import waits_for
from services.console.pages.then.serving import show_home as show_then
from services.console.view import SOMEWHERE, Page, Shown, View

Json = Mapping[str, Any]


async def show_home(view: View) -> Shown:
    calls, subject = view.calls, view.session.subject
    pending, mine, serving, happened = await asyncio.gather(
        part(calls.get("approval", "/reviews", state="pending", page_size=100)),
        part(calls.get("registry", "/versions:search", created_by=subject, page_size=50)),
        part(calls.get("registry", "/serving", production=True, page_size=20)),
        part(view.session.recent.newest(calls, wait=BY_SCRIPT in view.request.headers)),
    )
    reviews = _items(pending)
    content = {
        "pending": pending,
        "waiting": [r for r in reviews if waits_for(view, r)],
        "others": sum(1 for r in reviews if r["state"] == "open" and not waits_for(view, r)),
        "after_reviews": [r for r in reviews if r["state"] == "overridden"],
        "blocked": [v for v in _items(mine) if _is_blocked(v)],
        "serving": serving,
        "happened": happened,
        "events": happened.value.events if happened.value else [],
        "whole": happened.value.whole if happened.value else True,
    }
    people = [
        *(r["requester"] for r in reviews),
        *(r["changed_by"] for r in _items(serving)),
    ]
    return Shown("home.html", "Home", "Home", content, "regista reviews", "any", await view.names(people))


def _items(found: Part[Any]) -> Sequence[Json]:
    return found.value["items"] if found.value else []


def _is_blocked(version: Json) -> bool:
    """Return whether a version of the person waits for something."""
    stopped = version["withdrawn"] or version["retired"]
    return not stopped and (
        version["stage"] == "Draft" or (version["stage"] == "Staging" and version["gates_passed"] is False)
    )


PAGES = (Page("/", show_home, show_then, audited=SOMEWHERE),)
