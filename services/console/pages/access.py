"""People, publishers, services and groups: who there is, and a new one."""

from __future__ import annotations

from services.console.pages.then import rights
from services.console.rendering import url
from services.console.view import Act, Done, Page, Shown, View

KINDS = ("person", "publisher", "group")
ADMIN, EVERYWHERE = "admin", "*"


async def show_access(view: View) -> Shown:
    found = await view.calls.get(
        "registry", "/access/identities", page_size=100, page_token=view.query("page")
    )
    content = {
        "identities": found["items"],
        "token": found["next_page_token"],
        "kinds": KINDS,
        "admin": view.may(ADMIN, EVERYWHERE),
    }
    names = await view.names(
        [*(i["created_by"] for i in found["items"]), *(m for i in found["items"] for m in i["members"] or ())]
    )
    return Shown("access.html", "Access", "Access", content, "regista access list", "", names)


async def create(view: View) -> Done:
    body = {"kind": view.text("kind"), "name": view.text("name"), "reason": view.text("reason")}
    if subject := view.text("subject"):
        body["subject"] = subject
    made = await view.calls.send("POST", "registry", "/access/identities", body, key=view.text("key"))
    return Done(url("people", made["subject"]), "You created the identity. It has no role and no key yet.")


ACCESS = Page("/access", show_access, rights.show_access, audited=EVERYWHERE)
PAGES = (ACCESS,)
ACTS = (Act("/access/create", create, ACCESS),)
