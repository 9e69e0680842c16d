"""Who could do what at a moment: everyone, jobs, and one identity with what it had done until then."""

from __future__ import annotations

import asyncio
from typing import Any

from regista.errors import NotFound
from services.console.calls import part, segment
from services.console.view import Shown, View

PAGE_SIZE = 100


def rights_report(view: View, **more: Any) -> Any:
    """Request the identities as they were, with their roles, keys and trusts."""
    return view.calls.get("audit", "/reports/rights", at=view.as_of, page_size=PAGE_SIZE, **more)


async def show_access(view: View) -> Shown:
    found = await rights_report(view, page_token=view.query("page"))
    content = {"identities": found["items"], "token": found["next_page_token"]}
    names = await view.names(i["subject"] for i in found["items"])
    cli = f"regista audit rights --at {view.as_of}"
    return Shown("then_access.html", "Access", "Access", content, cli, "", names)


async def show_trusts(view: View) -> Shown:
    found = await rights_report(view, page_token=view.query("page"))
    publishers = [one for one in found["items"] if one["trusts"]]
    people = [p["subject"] for p in publishers]
    people += [t["added"]["by"]["subject"] for p in publishers for t in p["trusts"]]
    content = {"publishers": publishers, "token": found["next_page_token"]}
    cli = f"regista audit rights --at {view.as_of} --json"
    return Shown("then_trusts.html", "Trusts", "Access", content, cli, "", await view.names(people))


async def show_links(view: View) -> Shown:
    """Show each link of a page of identities once, under the first of two."""
    found = await rights_report(view, page_token=view.query("page"))
    links = [
        (identity["subject"], one)
        for identity in found["items"]
        for one in identity["links"]
        if one["login"] or identity["subject"] < one["other"]
    ]
    people = [s for subject, one in links for s in (subject, one["linked"]["by"]["subject"])]
    people += [one["other"] for _, one in links if not one["login"]]
    content = {"links": links, "token": found["next_page_token"]}
    cli = f"regista audit rights --at {view.as_of} --json"
    return Shown("then_links.html", "Links", "Access", content, cli, "", await view.names(people))


async def show_person(view: View) -> Shown:
    subject = view.param("subject")
    path, page = f"/reports/acts/{segment(subject)}", view.query("page")
    found, acts = await asyncio.gather(
        rights_report(view, subject=subject),
        part(view.calls.get("audit", path, until=view.as_of, page_size=50, page_token=page)),
    )
    if not found["items"]:
        raise NotFound(
            "no_identity_then",
            f"There was no identity {subject} then.",
            advice="Check the id, or name a later moment.",
        )
    identity = found["items"][0]
    names = await view.names([subject, *(r["granted"]["by"]["subject"] for r in identity["roles"])])
    content = {"subject": subject, "identity": identity, "acts": acts}
    content["token"] = acts.value["next_page_token"] if acts.value else ""
    title = names.get(subject) or subject
    cli = f"regista audit person {subject} --until {view.as_of}"
    return Shown("then_person.html", title, "Access", content, cli, "", names)
