"""People, publishers, services and groups: their roles and keys; and what one identity did."""

from __future__ import annotations

import asyncio

from services.console.calls import part, segment
from services.console.view import Page, Shown, View


async def show_access(view: View) -> Shown:
    found = await view.calls.get(
        "registry", "/access/identities", page_size=100, page_token=view.query("page")
    )
    content = {"identities": found["items"], "token": found["next_page_token"]}
    names = await view.names(
        [*(i["created_by"] for i in found["items"]), *(m for i in found["items"] for m in i["members"] or ())]
    )
    return Shown("access.html", "Access", "Access", content, "regista access list", "", names)


async def show_person(view: View) -> Shown:
    subject = view.param("subject")
    identity, acts = await asyncio.gather(
        part(view.calls.get("registry", f"/access/identities/{segment(subject)}")),
        part(
            view.calls.get(
                "audit", f"/reports/acts/{segment(subject)}", page_size=50, page_token=view.query("page")
            )
        ),
    )
    names = await view.names([subject])
    content = {
        "subject": subject,
        "identity": identity,
        "acts": acts,
        "token": acts.value["next_page_token"] if acts.value else "",
    }
    title = names.get(subject) or subject
    return Shown("person.html", title, "Access", content, f"regista audit acts {subject}", "", names)


PAGES = (Page("/access", show_access), Page("/people/{subject}", show_person))
