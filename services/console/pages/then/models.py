"""The models that there were at a moment, as they were."""

from __future__ import annotations

from services.console.view import Shown, View

PAGE_SIZE = 50


async def show_models_then(view: View) -> Shown:
    page = {"page_size": PAGE_SIZE, "page_token": view.query("page")}
    found = await view.calls.get("registry", "/models", as_of=view.as_of, **page)
    content = {"models": found["items"], "token": found["next_page_token"], "too_long": found["too_long"]}
    content["filtered"] = any(view.query(name) for name in ("q", "kind", "tier", "owner", "tag"))
    names = await view.names(m["owner"] for m in found["items"])
    cli = f"regista models list --at {view.as_of}"
    return Shown("then_models.html", "Models", "Models", content, cli, "", names)
