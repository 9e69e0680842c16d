"""The policies that were in force at a moment."""

from __future__ import annotations

from services.console.view import Shown, View


async def show_policies(view: View) -> Shown:
    found = await view.calls.get("audit", "/reports/policies", at=view.as_of, page_size=100)
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
