"""What served at a moment: everywhere, in one environment, and for Home with the decisions before it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from regista.errors import NotFound
from services.console.calls import Part, model_path, part
from services.console.view import Shown, View

Json = Mapping[str, Any]
PAGE_SIZE = 100
DAY = timedelta(days=1)
BEFORE_THE_LOG = "before_first_event"


def serving_report(view: View, page_size: int = PAGE_SIZE) -> Any:
    """Request what served in all models, of the page and the environment that the address names."""
    environment, token = view.query("environment"), view.query("page")
    more = {"environment": environment, "page_size": page_size, "page_token": token}
    return view.calls.get("audit", "/reports/serving", at=view.as_of, **more)


def raise_early(*parts: Part[Any]) -> None:
    """Raise the error of a part that states that the moment is before the log: the page has nothing then."""
    for one in parts:
        if one.error and one.error.code == BEFORE_THE_LOG:
            raise one.error


def people_of(items: Iterable[Json]) -> list[str]:
    """Return who changed what served, and who approved it."""
    found = []
    for item in items:
        found.append(item["changed_by"]["actor"]["subject"])
        found += [a["subject"] for e in item["entries"] for a in (e["promotion"] or {}).get("approvers", ())]
    return found


async def show_rollouts(view: View) -> Shown:
    found = await serving_report(view)
    names = await view.names(people_of(found["items"]))
    content = {"serving": Part(found), "token": found["next_page_token"]}
    cli = f"regista audit serving --at {view.as_of}"
    return Shown("then_rollouts.html", "Rollouts", "Rollouts", content, cli, "", names)


async def show_rollout(view: View) -> Shown:
    name, environment = view.param("model"), view.param("environment")
    path = model_path(name, "rollouts")
    found, evidence = await asyncio.gather(
        view.calls.get("registry", path, as_of=view.as_of),
        part(view.calls.get("audit", "/as-of", model=name, environment=environment, at=view.as_of)),
    )
    rollout = next((one for one in found["items"] if one["environment"] == environment), None)
    if rollout is None:
        raise NotFound(
            "no_rollout",
            f"Nothing had served in {environment} yet.",
            advice="Check the name of the environment, or name a later moment.",
        )
    approvers = [
        a["subject"]
        for e in (evidence.value or {"entries": []})["entries"]
        for a in (e["promotion"] or {}).get("approvers", ())
    ]
    content = {"model": rollout["model"], "environment": environment, "rollout": rollout}
    content["evidence"] = evidence
    title = f"Rollout of {name} in {environment}"
    cli = f"regista as-of {name} --environment {environment} --at {view.as_of}"
    names = await view.names([rollout["changed_by"], *approvers])
    return Shown("then_rollout.html", title, "Rollouts", content, cli, "", names)


async def show_home(view: View) -> Shown:
    since = (datetime.fromisoformat(view.as_of) - DAY).isoformat()
    period = {"since": since, "until": view.as_of, "page_size": 20}
    serving, promotions, denials = await asyncio.gather(
        part(serving_report(view, 20)),
        part(view.calls.get("audit", "/reports/promotions", **period)),
        part(view.calls.get("audit", "/reports/denials", **period)),
    )
    raise_early(serving)
    decided = [
        {"what": what, **one}
        for what, found in (("promoted", promotions), ("denied", denials))
        for one in (found.value or {"items": []})["items"]
    ]
    decided.sort(key=lambda one: str(one["at"]), reverse=True)
    people = [*people_of((serving.value or {"items": []})["items"]), *(d["by"]["subject"] for d in decided)]
    content = {"serving": serving, "decided": decided}
    content["decisions"] = promotions if promotions.error else denials
    cli = f"regista audit serving --at {view.as_of}"
    return Shown("then_home.html", "Home", "Home", content, cli, "", await view.names(people))
