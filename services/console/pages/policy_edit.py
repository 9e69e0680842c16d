"""Edit a policy: its text, what publishing it would change, and the next revision; confirm a proposal."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from regista.errors import Invalid, NotFound
from services.console.calls import part, segment
from services.console.differences import differences
from services.console.pages.then import policies as then
from services.console.rendering import pretty, url
from services.console.view import Act, Done, Page, Shown, View

Json = Mapping[str, Any]
NEW = {
    "description": "",
    "applies_to": {"namespaces": []},
    "stages": {"Production": [{"kind": "manual", "params": {"approvers": 1, "roles": ["approver"]}}]},
}
SHOWN = 12
"""Numbers of revisions that the history of a policy looks at."""
ROLE, EVERYWHERE = "admin", "*"


async def _newest(view: View, name: str) -> Json | None:
    """Return the policy as it is now, None for one that does not exist."""
    try:
        found: Json = await view.calls.get("approval", f"/policies/{segment(name)}")
    except NotFound:
        return None
    return found


def document_of(text: str) -> Json:
    """Return the policy that the text states. Raises Invalid, with the line that cannot be read."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as wrong:
        raise Invalid(
            "unreadable_policy",
            f"The text is not JSON: {wrong}.",
            advice="Check commas, quotes and brackets. Nothing was sent.",
        ) from None
    if not isinstance(found, dict):
        raise Invalid("unreadable_policy", "The text is not a policy: it begins with { and names stages.")
    return found


def seen(text: str) -> str:
    """Return what a form has when the effect of exactly this text was shown."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def show_edit(view: View) -> Shown:
    name = view.request.path_params.get("policy") or view.query("name")
    if not name:
        raise Invalid("no_name", "Name the policy.", advice="Write its name at Policies, then New policy.")
    newest = await _newest(view, name)
    base = newest["policy"] if newest and newest["revision"] else {}
    text = view.text("text") or pretty(base or NEW)
    asked = view.number("revision") if view.text("text") else None
    content: dict[str, Any] = {
        "name": name,
        "newest": newest,
        "revision": newest["revision"] if newest else 0,
        "text": text,
        "admin": view.may(ROLE, EVERYWHERE),
        "moved": newest is not None and asked not in {None, newest["revision"]},
        "changes": [],
        "preview": None,
        "seen": "",
    }
    if view.text("text"):
        content |= await _effect(view, name, base, text)
    cli = f"regista policy publish {name} policy.yaml --dry-run"
    return Shown(
        "policy_edit.html", f"Edit {name}" if newest else f"New policy {name}", "Policies", content, cli
    )


async def _effect(view: View, name: str, base: Json, text: str) -> dict[str, Any]:
    """Return what publishing the text would change, as far as it can be read."""
    try:
        document = document_of(text)
    except Invalid as wrong:
        view.problem = view.problem or wrong
        return {}
    preview = await part(view.calls.send("POST", "approval", f"/policies/{segment(name)}:preview", document))
    if preview.error and view.problem is None:
        view.problem = preview.error
    return {
        "changes": differences(base, document),
        "preview": preview.value,
        "seen": seen(text) if preview.value else "",
    }


async def preview(view: View) -> Shown:
    """Show the page again with what the text would change. Nothing is sent that changes something."""
    document_of(view.text("text"))
    return await show_edit(view)


async def publish(view: View) -> Done:
    text, name = view.text("text"), view.request.path_params.get("policy") or view.query("name")
    document = document_of(text)
    if view.text("seen") != seen(text):
        raise Invalid(
            "not_previewed",
            "The text differs from the one whose effect you saw, so nothing was sent.",
            advice="Read below what it changes, then publish it.",
        )
    revision = view.number("revision") or None
    got = await view.calls.send(
        "PUT",
        "approval",
        f"/policies/{segment(name)}",
        document,
        revision=revision,
        key=view.text("key"),
        query={"reason": view.text("reason")},
    )
    proposal = got["proposal"]
    notice = f"You published revision {got['revision']} of {name}."
    if proposal:
        notice = (
            f"You proposed revision {proposal['revision']} of {name}. A second administrator confirms it."
        )
    return Done(url("policies", name), notice)


async def confirm(view: View) -> Done:
    name = view.param("policy")
    body = {"revision": view.number("revision"), "reason": view.text("reason")}
    got = await view.calls.send(
        "POST", "approval", f"/policies/{segment(name)}:confirm", body, key=view.text("key")
    )
    return Done(url("policies", name), f"You confirmed revision {got['revision']} of {name}: it is in force.")


async def show_policy(view: View) -> Shown:
    name, revision = view.param("policy"), view.query("revision")
    path = f"/policies/{segment(name)}"
    policy = await view.calls.get("approval", path, revision=revision if revision.isdigit() else None)
    found = await part(view.calls.get("approval", path))
    at, newest = policy["revision"], found.value["revision"] if found.value else policy["revision"]
    revisions = await _revisions(view, path, {*range(newest, newest - SHOWN, -1), *range(at - 1, at - 4, -1)})
    before = next((one for one in revisions if one["revision"] < at), None)
    proposal = policy["proposal"] or {}
    content = {
        "policy": policy,
        "newest": newest,
        "revisions": revisions,
        "before": before,
        "changes": differences(before["policy"], policy["policy"]) if before else [],
        "proposed": differences(policy["policy"], proposal["policy"]) if proposal else [],
        "admin": view.may(ROLE, EVERYWHERE),
        "mine": proposal.get("proposed_by") == view.session.subject,
    }
    people = [proposal.get("proposed_by"), *(one["published_by"] for one in [policy, *revisions])]
    cli = f"regista policy show {name}"
    return Shown("policy.html", name, "Policies", content, cli, "any", await view.names(people))


async def _revisions(view: View, path: str, numbers: set[int]) -> list[Json]:
    """Return those of the revisions that exist, the newest first. Proposals take numbers, too."""
    wanted = sorted((n for n in numbers if n > 0), reverse=True)
    found = await asyncio.gather(*(part(view.calls.get("approval", path, revision=n)) for n in wanted))
    return [one.value for one in found if one.value]


POLICY = Page("/policies/{policy}", show_policy, then.show_policy, audited=EVERYWHERE)
NOT_EDITED = "A text that was in force is not edited afterwards."
EDIT = Page("/policies/{policy}/edit", show_edit, NOT_EDITED)
NEW_ONE = Page("/new-policy", show_edit, NOT_EDITED)
PAGES = (EDIT, NEW_ONE, POLICY)
ACTS = (
    Act(f"{POLICY.path}/confirm", confirm, POLICY),
    *(
        Act(f"{page.path}/{name}", do, page)
        for page in (EDIT, NEW_ONE)
        for name, do in (("preview", preview), ("publish", publish))
    ),
)
