"""How long versions are kept: a rule is tried out on the use until now, then set with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from regista.errors import Invalid
from services.console.calls import Part, part, segment
from services.console.pages.policy_edit import seen
from services.console.rendering import url
from services.console.view import Act, Done, Page, Shown, View

Json = Mapping[str, Any]
FIELDS: Mapping[str, str] = {
    "unused": "Retire after no use for",
    "left_production": "and after it left Production for",
    "unknown": "Retire, when no use was ever reported, after",
    "draft": "Retire a draft after",
    "rejected": "Retire a rejected version after",
    "grace": "Wait between the mark and the proposal for",
}
EVERYWHERE = "*"
OFF = {"keep_newest": 3, "grace": "14d"}
SHOWN = 100


async def _found(view: View) -> tuple[str, str, str, Json, int]:
    """Return the path at cleanup, the model, its namespace or the namespace, the rule and its revision.

    The rule of a model is the one in force for it; revision 0: it is not the model's own.
    """
    if name := view.request.path_params.get("model"):
        path = f"/retention/{segment(name)}"
        found = await view.calls.get("cleanup", path, page_size=1)
        return path, found["model"], found["model"].rpartition(".")[0], found["policy"], found["revision"]
    namespace = view.param("namespace")
    path = f"/retention-defaults/{segment(namespace)}"
    listed = await view.calls.get("cleanup", "/retention-defaults")
    own = next((d for d in listed["items"] if d["namespace"] == namespace), None)
    return path, "", namespace, own["policy"] if own else OFF, own["revision"] if own else 0


def rule_of(view: View) -> dict[str, Any]:
    """Return the rule that the form states; what is empty keeps versions permanently. Raises Invalid."""
    newest = view.text("keep_newest")
    if not newest.isdigit():
        raise Invalid("invalid_rule", "Write how many of the newest versions are always kept, as a number.")
    return {name: view.text(name) or None for name in FIELDS} | {"keep_newest": view.number("keep_newest")}


def _as_text(rule: Json) -> str:
    return msgspec.json.encode(rule, order="sorted").decode()


async def show_retention(view: View) -> Shown:
    _, model, namespace, rule, revision = await _found(view)
    typed = view.text("act") == "retention"
    needed = "engineer" if model else "admin"
    scope = (
        "everywhere" if namespace == EVERYWHERE else f"in {namespace}" if namespace else "in its namespace"
    )
    content: dict[str, Any] = {
        "model": model,
        "scope": scope,
        "fields": FIELDS,
        "rule": {name: view.text(name) for name in (*FIELDS, "keep_newest")} if typed else rule,
        "revision": revision,
        "moved": typed and view.number("revision") != revision,
        "may": view.may(needed, "" if namespace == EVERYWHERE else namespace),
        "needed": needed,
        "then": None,
        "now": Part(None),
        "seen": "",
        "own": revision > 0,
        "here": _here(model, namespace),
        "before": rule,
    }
    if typed and view.text("keep_newest"):
        content |= await _simulated(view, model, namespace)
    title = f"How long versions of {model} are kept" if model else f"How long versions are kept {scope}"
    cli = f"regista cleanup plan {model}" if model else "regista cleanup plan"
    return Shown("retention.html", title, "Cleanup", content, cli)


def _here(model: str, namespace: str) -> str:
    return url("models", model, "retention") if model else url("retention", namespace)


async def _simulated(view: View, model: str, namespace: str) -> dict[str, Any]:
    """Return what a cleanup run would mark now, under the rule in force and under the one that was typed."""
    try:
        rule = rule_of(view)
    except Invalid as wrong:
        view.problem = view.problem or wrong
        return {}
    scope = {"model": model} if model else {"namespace": "" if namespace == EVERYWHERE else namespace}
    body = {"dry_run": True, **scope}
    then, now = await asyncio.gather(
        part(view.calls.send("POST", "cleanup", "/cleanup-runs", body | {"policy": rule})),
        part(view.calls.send("POST", "cleanup", "/cleanup-runs", body)),
    )
    if then.error and view.problem is None:
        view.problem = then.error
    marked_now = {_version(v) for v in (now.value or {"items": []})["items"] if v["verdict"] == "marked"}
    marked = [v for v in (then.value or {"items": []})["items"] if v["verdict"] == "marked"]
    return {
        "then": then.value,
        "now": now,
        "marked": [v | {"new": _version(v) not in marked_now} for v in marked[:SHOWN]],
        "seen": seen(_as_text(rule)) if then.value else "",
    }


def _version(verdict: Json) -> tuple[str, int]:
    return verdict["model_id"], verdict["number"]


async def simulate(view: View) -> Shown:
    """Show the page again with what the rule would mark. Nothing is recorded."""
    rule_of(view)
    return await show_retention(view)


async def change(view: View) -> Done:
    rule = rule_of(view)
    if view.text("seen") != seen(_as_text(rule)):
        raise Invalid(
            "not_previewed",
            "The rule differs from the one whose effect you saw, so nothing was sent.",
            advice="Read below what it would mark, then set it.",
        )
    return await _sent(view, "PUT", rule, "You set how long versions are kept.")


async def remove(view: View) -> Done:
    return await _sent(view, "DELETE", None, "You removed the rule: the one that is inherited applies.")


async def _sent(view: View, method: str, body: Json | None, notice: str) -> Done:
    path, model, namespace, _, _ = await _found(view)
    revision, reason = view.number("revision"), view.text("reason")
    if not reason:
        raise Invalid("no_reason", "State why: auditors read it.")
    await view.calls.send(
        method,
        "cleanup",
        path,
        body,
        revision=revision,
        any_revision=False,
        key=view.text("key"),
        query={"reason": reason},
    )
    return Done(_here(model, namespace), notice)


OF_MODEL = Page("/models/{model}/retention", show_retention)
OF_NAMESPACE = Page("/retention/{namespace}", show_retention)
PAGES = (OF_MODEL, OF_NAMESPACE)
ACTS = tuple(
    Act(f"{page.path}/{name}", do, page)
    for page in PAGES
    for name, do in (("simulate", simulate), ("change", change), ("remove", remove))
)
