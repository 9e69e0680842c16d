"""The models that the person may read, and versions over all models: searched, filtered, paged by URL."""

from __future__ import annotations

from services.console.pages.then.models import show_models_then
from services.console.view import Page, Shown, View

PAGE_SIZE = 50
KINDS = ("model", "adapter", "embedding", "preprocessing", "prompt")
TIERS = ("low", "medium", "high")
STAGES = ("Draft", "Staging", "Validated", "Production", "Archived", "Rejected")


async def show_models(view: View) -> Shown:
    search, kind, tier = view.query("q"), view.query("kind"), view.query("tier")
    owner, tag = view.query("owner"), view.query("tag")
    found = await view.calls.get(
        "registry",
        "/models",
        search=search,
        kind=kind if kind in KINDS else None,
        tier=tier if tier in TIERS else None,
        owner=owner,
        tag=tag,
        page_size=PAGE_SIZE,
        page_token=view.query("page"),
    )
    names = await view.names(m["owner"] for m in found["items"])
    options = "".join(
        f" --{name} {value}"
        for name, value in (
            ("search", search),
            ("kind", kind),
            ("tier", tier),
            ("owner", owner),
            ("tag", tag),
        )
        if value
    )
    content = {
        "models": found["items"],
        "token": found["next_page_token"],
        "kinds": KINDS,
        "tiers": TIERS,
        "filtered": bool(search or kind or tier or owner or tag),
    }
    return Shown("models.html", "Models", "Models", content, f"regista models list{options}", "any", names)


async def show_versions(view: View) -> Shown:
    stage, dataset, tag, metric = (view.query(name) for name in ("stage", "dataset", "tag", "metric"))
    digest, creator = view.query("digest"), view.query("creator")
    found = await view.calls.get(
        "registry",
        "/versions:search",
        stage=stage if stage in STAGES else None,
        dataset=dataset,
        tag=tag,
        metric=metric,
        artifact_digest=digest,
        created_by=creator,
        page_size=PAGE_SIZE,
        page_token=view.query("page"),
    )
    names = await view.names(v["creator"] for v in found["items"])
    options = "".join(
        f" --{name} '{value}'"
        for name, value in (("stage", stage), ("dataset", dataset), ("tag", tag), ("metric", metric))
        if value
    )
    content = {"versions": found["items"], "token": found["next_page_token"], "stages": STAGES}
    return Shown(
        "versions.html",
        "Versions of all models",
        "Models",
        content,
        f"regista versions search{options}",
        "any",
        names,
    )


NOT_THEN = "Versions of all models are found by what they are now. Models lists each model as it was."
PAGES = (Page("/models", show_models, show_models_then), Page("/versions", show_versions, NOT_THEN))
