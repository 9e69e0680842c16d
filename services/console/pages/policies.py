"""The policies: their gates, what they select, what waits for a second administrator, revisions."""

from __future__ import annotations

from services.console.calls import part, segment
from services.console.view import Page, Shown, View


async def show_policies(view: View) -> Shown:
    found = await view.calls.get("approval", "/policies", page_size=100, page_token=view.query("page"))
    names = await view.names(p["published_by"] for p in found["items"])
    content = {"policies": found["items"], "token": found["next_page_token"]}
    return Shown("policies.html", "Policies", "Policies", content, "regista policy list", "any", names)


async def show_policy(view: View) -> Shown:
    name, revision = view.param("policy"), view.query("revision")
    wanted = revision if revision.isdigit() else None
    policy = await view.calls.get("approval", f"/policies/{segment(name)}", revision=wanted)
    newest = await part(view.calls.get("approval", f"/policies/{segment(name)}"))
    content = {"policy": policy, "newest": newest.value["revision"] if newest.value else policy["revision"]}
    people = [policy["published_by"], (policy["proposal"] or {}).get("proposed_by")]
    cli = f"regista policy show {name}"
    return Shown("policy.html", name, "Policies", content, cli, "any", await view.names(people))


PAGES = (Page("/policies", show_policies), Page("/policies/{policy}", show_policy))
