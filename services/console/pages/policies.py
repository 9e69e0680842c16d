"""The policies: their gates, what they select, and what waits for a second administrator."""

from __future__ import annotations

from services.console.pages.policy_edit import EVERYWHERE, ROLE
from services.console.pages.then import policies as then
from services.console.view import Page, Shown, View


async def show_policies(view: View) -> Shown:
    found = await view.calls.get("approval", "/policies", page_size=100, page_token=view.query("page"))
    names = await view.names(p["published_by"] for p in found["items"])
    content = {
        "policies": found["items"],
        "token": found["next_page_token"],
        "admin": view.may(ROLE, EVERYWHERE),
    }
    return Shown("policies.html", "Policies", "Policies", content, "regista policy list", "any", names)


PAGES = (Page("/policies", show_policies, then.show_policies, audited=EVERYWHERE),)
