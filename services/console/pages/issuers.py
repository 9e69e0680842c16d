"""Trusted issuers, and the roles of their groups."""

from __future__ import annotations

from regista.errors import NotFound
from services.console.calls import segment
from services.console.pages.access import ADMIN, EVERYWHERE
from services.console.pages.person import ROLES
from services.console.pages.then import issuers as then
from services.console.rendering import url
from services.console.view import Act, Done, Page, Shown, View


async def show_issuers(view: View) -> Shown:
    found = await view.calls.get("registry", "/issuers")
    content = {"issuers": found["items"], "admin": view.may(ADMIN, EVERYWHERE)}
    names = await view.names(i["trusted_by"] for i in found["items"])
    return Shown("issuers.html", "Issuers", "Access", content, "regista access issuer list", "", names)


async def show_issuer(view: View) -> Shown:
    key = view.param("issuer")
    found = await view.calls.get("registry", "/issuers")
    issuer = next((one for one in found["items"] if one["key"] == key), None)
    if issuer is None:
        raise NotFound(
            "unknown_issuer",
            f"There is no issuer {key}: choose one that was trusted.",
            facts={"listed_at": "/v1/issuers"},
        )
    content = {
        "issuer": issuer,
        "roles": ROLES,
        "admin": view.may(ADMIN, EVERYWHERE),
        "maps": any(held["role"] == ADMIN for held in view.session.caller["roles"]),
    }
    names = await view.names([issuer["trusted_by"], *(g["mapped_by"] for g in issuer["groups"])])
    cli = "regista access issuer list"
    return Shown("issuer.html", issuer["issuer"], "Access", content, cli, "", names)


async def trust(view: View) -> Done:
    given = {name: view.text(name) for name in ("issuer", "audience", "client_id", "groups_claim", "reason")}
    body = {name: value for name, value in given.items() if value}
    made = await view.calls.send("POST", "registry", "/issuers", body, key=view.text("key"))
    return Done(url("access", "issuers", made["key"]), "You trust the issuer. No group of it has a role yet.")


async def distrust(view: View) -> Done:
    path, reason = f"/issuers/{segment(view.param('issuer'))}", view.text("reason")
    await view.calls.send("DELETE", "registry", path, key=view.text("key"), query={"reason": reason})
    return Done(url("access", "issuers"), "You ended the trust: no token of the issuer counts any more.")


def _mapped(view: View) -> dict[str, str]:
    return {name: view.text(name) for name in ("group", "role", "namespace", "reason")}


async def map_group(view: View) -> Done:
    key, body = view.param("issuer"), _mapped(view)
    path = f"/issuers/{segment(key)}/groups"
    await view.calls.send("POST", "registry", path, body, key=view.text("key"))
    return Done(url("access", "issuers", key), f"Members of {body['group']} have the role {body['role']}.")


async def unmap_group(view: View) -> Done:
    key, query = view.param("issuer"), _mapped(view)
    path = f"/issuers/{segment(key)}/groups"
    await view.calls.send("DELETE", "registry", path, key=view.text("key"), query=query)
    return Done(url("access", "issuers", key), f"You took the role {query['role']} from {query['group']}.")


ISSUERS = Page("/access/issuers", show_issuers, then.show_issuers, audited=EVERYWHERE)
ISSUER = Page("/access/issuers/{issuer}", show_issuer, then.show_issuer, audited=EVERYWHERE)
PAGES = (ISSUERS, ISSUER)
ACTS = (
    Act("/access/trust-issuer", trust, ISSUERS),
    Act(f"{ISSUER.path}/distrust", distrust, ISSUER),
    Act(f"{ISSUER.path}/map", map_group, ISSUER),
    Act(f"{ISSUER.path}/unmap", unmap_group, ISSUER),
)
