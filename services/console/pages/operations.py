"""For those who run it: which services are ready and how far they are, dead letters, seals, invariants."""

from __future__ import annotations

import asyncio

from regista.errors import Unavailable
from services.console.backlog import Backlog, backlog
from services.console.calls import part
from services.console.pages.dead_letters import WITH_DEAD_LETTERS
from services.console.view import Page, Shown, View

SERVICES = ("registry", "approval", "artifact", "cleanup", "audit")


async def _backlog(view: View, service: str) -> Backlog:
    try:
        return backlog(await view.calls.metrics(service))
    except ValueError as unreadable:
        raise Unavailable("no_metrics", f"The metrics of {service} cannot be read.") from unreadable


async def show_operations(view: View) -> Shown:
    calls = view.calls
    ready, behind, groups, (invariants, seals) = await asyncio.gather(
        asyncio.gather(*(calls.ready(name) for name in SERVICES)),
        asyncio.gather(*(part(_backlog(view, name)) for name in SERVICES)),
        asyncio.gather(*(part(calls.get(name, "/dlq/groups")) for name in WITH_DEAD_LETTERS)),
        asyncio.gather(
            part(calls.get("audit", "/invariants", verify="false")),
            part(calls.get("audit", "/log-checkpoints", page_size=3)),
        ),
    )
    content = {
        "services": list(zip(SERVICES, ready, behind, strict=True)),
        "dead_letters": list(zip(WITH_DEAD_LETTERS, groups, strict=True)),
        "invariants": invariants,
        "seals": seals,
    }
    return Shown("operations.html", "Operations", "Operations", content, "regista status")


PAGES = (Page("/operations", show_operations),)
