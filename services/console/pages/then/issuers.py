"""The issuers that were trusted at a moment, and the roles of their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.errors import NotFound
from services.console.view import Shown, View

Json = Mapping[str, Any]


async def _issuers(view: View) -> Sequence[Json]:
    found: Json = await view.calls.get("audit", "/reports/issuers", at=view.as_of)
    items: Sequence[Json] = found["items"]
    return items


def _people(issuers: Sequence[Json]) -> list[str]:
    decided = [one[name] for one in issuers for name in ("trusted", "ended") if one[name]]
    decided += [group["mapped"] for one in issuers for group in one["groups"]]
    return [one["by"]["subject"] for one in decided]


async def show_issuers(view: View) -> Shown:
    found = await _issuers(view)
    cli = f"regista audit issuers --at {view.as_of}"
    content = {"issuers": found}
    return Shown("then_issuers.html", "Issuers", "Access", content, cli, "", await view.names(_people(found)))


async def show_issuer(view: View) -> Shown:
    key = view.param("issuer")
    found = next((one for one in await _issuers(view) if one["key"] == key), None)
    if found is None:
        raise NotFound(
            "not_trusted_yet",
            "The issuer had not been trusted yet.",
            advice="Name a later moment, or return to now.",
        )
    cli = f"regista audit issuers --at {view.as_of}"
    names = await view.names(_people([found]))
    return Shown("then_issuer.html", found["issuer"], "Access", {"issuer": found}, cli, "", names)
