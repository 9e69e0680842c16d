"""Links: which identities, and which logins of jobs, count as one person; a new one, and the end of one."""

from __future__ import annotations

from typing import Any

from services.console.calls import Part, part, segment
from services.console.pages.access import ADMIN, EVERYWHERE
from services.console.pages.then import rights
from services.console.view import Act, Done, Page, Shown, View

ADDRESS = "/access/links"
PAGE_SIZE = 100


async def show_links(view: View) -> Shown:
    """Show all links to admins and auditors, and to everyone their own."""
    page = {"page_size": PAGE_SIZE, "page_token": view.query("page")}
    found: Part[Any] = await part(view.calls.get("registry", "/access/links", **page))
    if found.error and found.error.status != 403:
        raise found.error
    links = found.value["items"] if found.value else await _own(view)
    me, admin = view.session.subject, view.may(ADMIN, EVERYWHERE)
    content = {"links": links, "all": found.value is not None, "admin": admin, "me": me}
    content["token"] = found.value["next_page_token"] if found.value else ""
    content["removable"] = [one for one in links if admin and me not in {one["subject"], one["other"]}]
    people = [one[name] for one in links for name in ("subject", "linked_by")]
    names = await view.names([me, *people, *(one["other"] for one in links if not one["login"])])
    return Shown("links.html", "Links", "Access", content, "regista access links", "", names)


async def _own(view: View) -> list[dict[str, Any]]:
    """Return the links of the person, who may not read those of others."""
    me = view.session.subject
    found = await view.calls.get("registry", f"/access/identities/{segment(me)}")
    return [{"subject": me, "reason": "", **one} for one in found["links"]]


async def link(view: View) -> Done:
    """Link two identities, or an identity and a login, as an admin."""
    login = view.text("kind") == "login"
    subject, other = view.text("subject"), view.text("other")
    body = {"other": other, "login": login, "reason": view.text("reason")}
    await view.calls.send("PUT", "registry", _path(subject), body, key=view.text("key"))
    return Done(ADDRESS, f"You linked {subject} and {other}: they count as one person from now on.")


async def link_own(view: View) -> Done:
    """Link another identity of the person, who proves that it is theirs by a credential of it."""
    body = {"proof": view.text("proof"), "reason": view.text("reason")}
    await view.calls.send("PUT", "registry", _path(view.session.subject), body, key=view.text("key"))
    return Done(ADDRESS, "You linked your other identity: the two count as one person from now on.")


async def unlink(view: View) -> Done:
    subject, other = view.text("subject"), view.text("other")
    query = {"other": other, "login": view.text("kind") == "login", "reason": view.text("reason")}
    await view.calls.send("DELETE", "registry", _path(subject), key=view.text("key"), query=query)
    return Done(ADDRESS, f"You removed the link: {subject} and {other} count as two people from now on.")


def _path(subject: str) -> str:
    return f"/access/identities/{segment(subject)}/links"


LINKS = Page(ADDRESS, show_links, rights.show_links, audited=EVERYWHERE)
PAGES = (LINKS,)
ACTS = (
    Act(f"{ADDRESS}/link", link, LINKS),
    Act(f"{ADDRESS}/link-own", link_own, LINKS),
    Act(f"{ADDRESS}/unlink", unlink, LINKS),
)
