"""For those who run it: which services are ready, dead letters, seals and the invariants of the log."""

from __future__ import annotations

import asyncio

from services.console.calls import part
from services.console.view import Page, Shown, View

SERVICES = ("registry", "approval", "artifact", "cleanup", "audit")
WITH_DEAD_LETTERS = ("registry", "approval", "artifact", "cleanup")


async def show_operations(view: View) -> Shown:
    calls = view.calls
    ready = await asyncio.gather(*(calls.ready(name) for name in SERVICES))
    groups = await asyncio.gather(*(part(calls.get(name, "/dlq/groups")) for name in WITH_DEAD_LETTERS))
    invariants, seals = await asyncio.gather(
        part(calls.get("audit", "/invariants")), part(calls.get("audit", "/log-checkpoints", page_size=3))
    )
    content = {
        "services": list(zip(SERVICES, ready, strict=True)),
        "dead_letters": list(zip(WITH_DEAD_LETTERS, groups, strict=True)),
        "invariants": invariants,
        "seals": seals,
    }
    return Shown("operations.html", "Operations", "Operations", content, "regista status")


PAGES = (Page("/operations", show_operations),)
