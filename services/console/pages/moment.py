"""Everything, or one model, as of a moment that a slider moves: what served, who could do what, and rules."""

from __future__ import annotations

import asyncio

from services.console import slider
from services.console.calls import model_path, part
from services.console.pages.model import applying
from services.console.pages.then.policies import policies_report
from services.console.pages.then.rights import rights_report
from services.console.pages.then.serving import people_of, raise_early, serving_report
from services.console.view import Page, Shown, View

AREA, PAGE_SIZE = "History", 100


async def show_moment(view: View) -> Shown:
    """Show the moment of the address, or now, of the model that it names, or of everything."""
    if not view.as_of:
        view.slider = await slider.of_page(view)
    return await (_of_model(view, model) if (model := view.query("model")) else _of_everything(view))


async def _of_everything(view: View) -> Shown:
    serving, rights, policies = await asyncio.gather(
        part(serving_report(view)), part(rights_report(view)), part(policies_report(view))
    )
    raise_early(serving, rights, policies)
    served = (serving.value or {"items": []})["items"]
    people = [*people_of(served), *(i["subject"] for i in (rights.value or {"items": []})["items"])]
    content = {"serving": serving, "rights": rights, "policies": policies, "model": ""}
    content["in_force"] = (policies.value or {"items": []})["items"]
    content["token"] = serving.value["next_page_token"] if serving.value else ""
    cli = f"regista audit serving --at {view.as_of}" if view.as_of else "regista audit serving"
    return Shown("as_of.html", "As of a moment", AREA, content, cli, "", await view.names(people))


async def _of_model(view: View, name: str) -> Shown:
    model = await view.calls.get("registry", model_path(name), as_of=view.as_of)
    more = {"as_of": view.as_of, "page_size": PAGE_SIZE, "page_token": view.query("page")}
    versions, rollouts, rights, policies = await asyncio.gather(
        part(view.calls.get("registry", model_path(name, "versions"), **more)),
        part(view.calls.get("registry", model_path(name, "rollouts"), as_of=view.as_of)),
        part(rights_report(view, namespace=model["namespace"])),
        part(policies_report(view)),
    )
    content = {"model": model["model"], "versions": versions, "rollouts": rollouts, "rights": rights}
    content |= {"policies": policies, "in_force": applying(policies, model)}
    content["token"] = versions.value["next_page_token"] if versions.value else ""
    people = [i["subject"] for i in (rights.value or {"items": []})["items"]]
    people += [r["changed_by"] for r in (rollouts.value or {"items": []})["items"]]
    at = f" --at {view.as_of}" if view.as_of else ""
    cli = f"regista models show {name}{at}"
    return Shown("as_of.html", f"{name} as of a moment", AREA, content, cli, "", await view.names(people))


PAGES = (Page("/history/as-of", show_moment, show_moment),)
