"""What serves where, and changes of it: each with a preview of what will happen, and a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from regista.errors import Invalid, NotFound
from services.console.calls import model_path, part
from services.console.pages.then import serving
from services.console.rendering import url
from services.console.view import SOMEWHERE, Act, Done, Page, Shown, View

Json = Mapping[str, Any]
PAGE_SIZE = 100
ROLES = ("champion", "challenger", "shadow", "standby")
MAY_SERVE = ("Validated", "Production", "Archived")
MOST_CANDIDATES = 50
"""The versions of each stage that a form offers; the command line takes any."""
NONE: Json = {
    "entries": [],
    "previous": [],
    "champion": 0,
    "revision": 0,
    "reason": "",
    "changed_by": "",
    "warning": "",
}


async def show_rollouts(view: View) -> Shown:
    environment, namespace = view.query("environment"), view.query("namespace")
    found, environments = await asyncio.gather(
        view.calls.get(
            "registry",
            "/serving",
            environment=environment,
            namespace=namespace,
            model=view.query("model"),
            page_size=PAGE_SIZE,
            page_token=view.query("page"),
        ),
        part(view.calls.get("registry", "/environments", page_size=200)),
    )
    names = [e["environment"] for e in (environments.value or {"items": []})["items"] if not e["retired"]]
    content = {"rollouts": found["items"], "token": found["next_page_token"], "environments": names}
    people = await view.names(r["changed_by"] for r in found["items"])
    option = f" --environment {environment}" if environment else ""
    return Shown("rollouts.html", "Rollouts", "Rollouts", content, f"regista serving{option}", "any", people)


async def _now(view: View) -> tuple[str, str, Json, Json]:
    """Return the names of model and environment, the model, and its rollout there."""
    name, environment = view.param("model"), view.param("environment")
    model = await view.calls.get("registry", model_path(name))
    try:
        rollout = await view.calls.get("registry", model_path(name, "rollouts", environment))
    except NotFound as missing:
        if missing.code not in {"no_rollout", "unknown_rollout"}:
            raise
        rollout = NONE
    return name, environment, model, rollout


async def show_rollout(view: View) -> Shown:
    name, environment, model, rollout = await _now(view)
    versions = await asyncio.gather(*(part(_of_stage(view, name, stage)) for stage in MAY_SERVE))
    content = {
        "model": model,
        "environment": environment,
        "rollout": rollout,
        "candidates": candidates(rollout, [v for found in versions for v in found.value or ()]),
        "engineer": view.may("engineer", model["namespace"]),
        "roles": ROLES,
    }
    return Shown(
        "rollout.html",
        f"Rollout of {name} in {environment}",
        "Rollouts",
        content,
        f"regista rollout show {name} --environment {environment}",
        f"model:{model['model_id']}",
        await view.names([rollout["changed_by"], model["owner"]]),
    )


async def _of_stage(view: View, name: str, stage: str) -> Sequence[Json]:
    """Return the newest versions of a stage."""
    path = model_path(name, "versions")
    found: Json = await view.calls.get("registry", path, stage=stage, page_size=MOST_CANDIDATES)
    items: Sequence[Json] = found["items"]
    return items


def candidates(rollout: Json, versions: Sequence[Json]) -> list[Json]:
    """Return the versions to choose from, the newest first: those that may serve, and those that do.

    One that serves is among them however old it is: else the form would leave it without its share.
    """
    found = {e["number"]: {"stage": ""} | e for e in rollout["entries"]}
    found |= {v["number"]: v for v in versions if not v["withdrawn"] and not v["retired"]}
    return [found[number] for number in sorted(found, reverse=True)]


def entries_of(query: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the rollout that the parameters `n`, `p` and `r` describe, each repeated. Raises Invalid."""
    columns = {name: [value for key, value in query if key == name] for name in ("n", "p", "r")}
    rows = zip(columns["n"], columns["p"], columns["r"], strict=False)
    chosen = [(number, percent, role) for number, percent, role in rows if number.strip()]
    if not all(
        n.isdigit() and len(n) < 10 and p.isdigit() and len(p) < 4 and r in ROLES for n, p, r in chosen
    ):
        raise Invalid("invalid_rollout", "Write numbers of versions and whole percentages.")
    return [{"number": int(n), "percent": int(p), "role": r} for n, p, r in chosen]


def problem_of(entries: Sequence[Json]) -> str:
    """Return what is wrong with a rollout, "" for one that may be sent."""
    if sum(e["percent"] for e in entries) != 100:
        return f"The percentages add up to {sum(e['percent'] for e in entries)}, not to 100."
    if sum(e["role"] == "champion" for e in entries) != 1:
        return "One version is the champion."
    return ""


async def show_change(view: View) -> Shown:
    name, environment, model, rollout = await _now(view)
    entries = entries_of(view.request.query_params.multi_items())
    named = await asyncio.gather(
        *(view.calls.get("registry", model_path(name, "versions", e["number"])) for e in entries[:8])
    )
    after = [
        e | {"semver": v["semver"], "withdrawn": v["withdrawn"]} for e, v in zip(entries, named, strict=False)
    ]
    content = {"model": model, "environment": environment, "rollout": rollout, "after": after}
    content |= {"wrong": problem_of(entries), "leaving": _leaving(rollout, entries), "act": "change"}
    return Shown("rollout_change.html", f"Change who serves {name} in {environment}", "Rollouts", content)


def _leaving(rollout: Json, entries: Sequence[Json]) -> list[Json]:
    stay = {e["number"] for e in entries}
    return [e for e in rollout["entries"] if e["number"] not in stay]


async def show_rollback(view: View) -> Shown:
    name, environment, model, rollout = await _now(view)
    to = view.query("to")
    body = {"reason": "preview", "dry_run": True, "to_number": int(to) if to.isdigit() else None}
    path = model_path(name, "rollouts", environment) + ":rollback"
    preview = await part(view.calls.send("POST", "registry", path, body, revision=0))
    after = preview.value["entries"] if preview.value else []
    content = {
        "model": model,
        "environment": environment,
        "rollout": rollout,
        "after": after,
        "act": "rollback",
    }
    content |= {"preview": preview, "leaving": _leaving(rollout, after), "wrong": "", "to": to}
    return Shown("rollout_change.html", f"Roll back {name} in {environment}", "Rollouts", content)


async def show_stop(view: View) -> Shown:
    name, environment, model, rollout = await _now(view)
    content = {"model": model, "environment": environment, "rollout": rollout, "after": [], "act": "stop"}
    content |= {"wrong": "", "leaving": rollout["entries"]}
    return Shown("rollout_change.html", f"Stop {name} in {environment}", "Rollouts", content)


async def change(view: View) -> Done:
    entries = entries_of(view.request.query_params.multi_items())
    return await _carried_out(view, "", {"entries": entries}, "You changed who serves {}.")


async def roll_back(view: View) -> Done:
    to = view.query("to")
    more = {
        "to_number": int(to) if to.isdigit() else None,
        "even_if_incompatible": bool(view.text("incompatible")),
    }
    return await _carried_out(view, ":rollback", more, "You rolled {} back.")


async def stop(view: View) -> Done:
    return await _carried_out(view, ":stop", {}, "You stopped {}: no version serves.")


async def _carried_out(view: View, act: str, more: Json, notice: str) -> Done:
    """Send a change that is refused when another champion serves than the person saw."""
    name, environment = view.param("model"), view.param("environment")
    body = {"reason": view.text("reason"), "from_number": view.number("from_number"), **more}
    path = model_path(name, "rollouts", environment) + act
    await view.calls.send(
        "POST", "registry", path, body, revision=view.number("revision"), key=view.text("key")
    )
    return Done(url("rollouts", name, environment), notice.format(f"{name} in {environment}"))


_ONE = "/rollouts/{model}/{environment}"
NOTHING_CHANGES = "What served is not changed afterwards."
CHANGE = Page(f"{_ONE}/change", show_change, NOTHING_CHANGES)
ROLLBACK = Page(f"{_ONE}/rollback", show_rollback, NOTHING_CHANGES)
STOP = Page(f"{_ONE}/stop", show_stop, NOTHING_CHANGES)
PAGES = (
    Page("/rollouts", show_rollouts, serving.show_rollouts, audited=SOMEWHERE),
    Page(_ONE, show_rollout, serving.show_rollout),
    CHANGE,
    ROLLBACK,
    STOP,
)
ACTS = (Act(CHANGE.path, change, CHANGE), Act(ROLLBACK.path, roll_back, ROLLBACK), Act(STOP.path, stop, STOP))
