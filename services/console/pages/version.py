"""One version: where it stands and why, what it was made of, and how it differs from others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from services.console.calls import model_path, part, segment
from services.console.stepper import held, steps
from services.console.view import Page, Shown, View

Json = Mapping[str, Any]


async def show_version(view: View) -> Shown:
    name, number = view.param("model"), view.param("number")
    path = model_path(name, "versions", number)
    version, model = await asyncio.gather(
        view.calls.get("registry", path), view.calls.get("registry", model_path(name))
    )
    against = view.query("against") or _compared_with(model, version)
    gates, reviews, diff, artifact, lineage, environments = await asyncio.gather(
        part(_gates(view, path, version)),
        part(view.calls.get("approval", "/reviews", model=name, page_size=50)),
        part(_diff(view, name, against, number)),
        part(_artifact(view, version)),
        part(view.calls.get("registry", f"{path}/lineage")),
        part(view.calls.get("registry", "/environments", namespace=model["namespace"], page_size=100)),
    )
    open_reviews = [r for r in (reviews.value or {"items": []})["items"] if r["number"] == version["number"]]
    content = {
        "version": version,
        "model": model,
        "steps": steps(version),
        "held": held(version, gates.value, open_reviews),
        "gates": gates,
        "reviews": open_reviews,
        "diff": diff,
        "against": against,
        "artifact": artifact,
        "lineage": lineage,
        "environments": [e for e in (environments.value or {"items": []})["items"] if not e["retired"]],
        "engineer": view.may("engineer", model["namespace"]),
        "admin": view.may("admin", model["namespace"]),
    }
    title = f"{name} #{version['number']}"
    return Shown(
        "version.html",
        title,
        "Models",
        content,
        f"regista versions show {name}@{version['number']}",
        f"model:{model['model_id']}",
        await view.names(_people(version, model)),
    )


def _people(version: Json, model: Json) -> list[Any]:
    """Return the subjects that the page names."""
    return [
        version["creator"],
        version["registered_by"],
        model["owner"],
        *(n["by"] for n in version["notes"]),
        *(e["by"] for e in version["evaluations"]),
        *(p["requester"] for p in version["promotions"]),
        *(a for p in version["promotions"] for a in p["approvers"] or ()),
        *((version["training"] or {}).get(key) for key in ("creator", "on_behalf_of")),
    ]


def _compared_with(model: Json, version: Json) -> str:
    """Return the number that differences are shown against: the champion's, else the one of its bump."""
    champion = model["production"]
    if champion and champion != version["number"]:
        return str(champion)
    base = (version["bump"] or {}).get("compared_with") or 0
    return str(base or "")


async def _diff(view: View, name: str, against: str, number: str) -> Json | None:
    if not against.isdigit() or against == number:
        return None
    query = {"from": against, "to": number}
    found: Json = await view.calls.get("registry", model_path(name, "diff"), **query)
    return found


async def _gates(view: View, path: str, version: Json) -> Json | None:
    """Return what the gates wait for. Approval has no drafts."""
    if version["stage"] == "Draft":
        return None
    found: Json = await view.calls.get("approval", f"{path}/gates")
    return found


async def _artifact(view: View, version: Json) -> Json | None:
    digest = version["artifact_digest"]
    if not digest:
        return None
    found: Json = await view.calls.get("artifact", f"/artifacts/{segment(digest)}")
    return found


async def show_version_then(view: View) -> Shown:
    name, number = view.param("model"), view.param("number")
    version, model = await asyncio.gather(
        view.calls.get("registry", model_path(name, "versions", number), as_of=view.as_of),
        view.calls.get("registry", model_path(name), as_of=view.as_of),
    )
    content = {"version": version, "model": model, "steps": steps(version)}
    names = await view.names(_people(version, model))
    cli = f"regista versions show {name}@{version['number']} --at {view.as_of}"
    return Shown("then_version.html", f"{name} #{version['number']}", "Models", content, cli, "", names)


VERSION = Page("/models/{model}/versions/{number}", show_version, show_version_then)
PAGES = (VERSION,)
