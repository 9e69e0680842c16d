"""The policies that were in force at a moment."""

from __future__ import annotations

from typing import Any

from services.console.view import Shown, View

PAGE_SIZE = 100


def policies_report(view: View) -> Any:
    """Request the policies that were in force."""
    return view.calls.get("audit", "/reports/policies", at=view.as_of, page_size=PAGE_SIZE)


async def show_policies(view: View) -> Shown:
    found = await policies_report(view)
    names = await view.names(p["published_by"]["subject"] for p in found["items"])
    content = {"policies": found["items"]}
    cli = f"regista audit policy --at {view.as_of}"
    return Shown("then_policies.html", "Policies", "Policies", content, cli, "", names)


async def show_policy(view: View) -> Shown:
    name = view.param("policy")
    found = await view.calls.get("audit", "/reports/policies", at=view.as_of, name=name)
    policy = found["items"][0]
    names = await view.names([policy["published_by"]["subject"]])
    cli = f"regista audit policy {name} --at {view.as_of}"
    return Shown("then_policy.html", name, "Policies", {"policy": policy}, cli, "", names)
