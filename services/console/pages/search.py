"""One search over models, versions, digests and people: what is named exactly is opened."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from services.console.calls import part
from services.console.view import Page, Shown, View

DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
REFERENCE = re.compile(r"([A-Za-z0-9_.-]+)[@#](\d{1,9})")


async def show_search(view: View) -> Shown:
    text = view.query("q")
    reference = REFERENCE.fullmatch(text)
    digest = DIGEST.fullmatch(text)
    found_models, found_versions, found_data, found_people = await asyncio.gather(
        part(view.calls.get("registry", "/models", search=reference[1] if reference else text, page_size=20)),
        part(_versions(view, text if digest else "", reference)),
        part(view.calls.get("registry", "/versions", trained_on=text, page_size=5)),
        part(view.calls.get("registry", "/access/names", subjects=text if " " not in text else "")),
    )
    versions = (found_versions.value or {"items": []})["items"]
    content = {
        "text": text,
        "models": found_models,
        "versions": versions,
        "data": (found_data.value or {"items": []})["items"] if text else [],
        "people": (found_people.value or {"names": {}})["names"] if text else {},
    }
    return Shown("search.html", f"Search for “{text}”" if text else "Search", "", content)


async def _versions(view: View, digest: str, reference: re.Match[str] | None) -> Any:
    if digest:
        whole = digest if digest.startswith("sha256:") else f"sha256:{digest}"
        return await view.calls.get("registry", "/versions:search", artifact_digest=whole, page_size=20)
    if reference:
        name, number = reference.groups()
        one = await view.calls.get("registry", f"/models/{name}/versions/{number}")
        return {"items": [one]}
    return {"items": []}


PAGES = (Page("/search", show_search, show_search),)
