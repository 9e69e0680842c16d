"""One identity: its roles, keys and members, what may be changed of them, and what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from services.console.calls import part, segment
from services.console.pages.access import ADMIN, EVERYWHERE
from services.console.pages.then import rights
from services.console.rendering import url
from services.console.view import Act, Done, Page, Shown, View

Json = Mapping[str, Any]
ROLES = ("publisher", "engineer", "approver", "auditor", "admin", "override")


def _path(view: View, *more: str) -> str:
    return "/".join(("/access/identities", segment(view.param("subject")), *map(segment, more)))


async def show_person(view: View) -> Shown:
    subject = view.param("subject")
    identity, acts = await asyncio.gather(
        part(view.calls.get("registry", _path(view))),
        part(
            view.calls.get(
                "audit", f"/reports/acts/{segment(subject)}", page_size=50, page_token=view.query("page")
            )
        ),
    )
    found = identity.value or {"members": None}
    names = await view.names([subject, *(found["members"] or ())])
    administered = sorted(h["namespace"] for h in view.session.caller["roles"] if h["role"] == ADMIN)
    content = {
        "subject": subject,
        "identity": identity,
        "acts": acts,
        "token": acts.value["next_page_token"] if acts.value else "",
        "roles": ROLES,
        "admin": view.may(ADMIN, EVERYWHERE),
        "administered": administered,
        "own": subject == view.session.subject,
        "named": names.get(subject) or subject,
    }
    title = names.get(subject) or subject
    return Shown("person.html", title, "Access", content, f"regista audit person {subject}", "", names)


def _done(view: View, notice: str) -> Done:
    return Done(url("people", view.param("subject")), notice)


async def grant(view: View) -> Done:
    role, namespace = view.text("role"), view.text("namespace")
    body = {"role": role, "namespace": namespace, "reason": view.text("reason")}
    got = await view.calls.send("PUT", "registry", _path(view, "roles"), body, key=view.text("key"))
    notes = "".join(f" Note: {note}." for note in got["notes"])
    return _done(view, f"You granted the role {role} {_where(namespace)}.{notes}")


async def revoke(view: View) -> Done:
    role, namespace = view.text("role"), view.text("namespace")
    query = {"role": role, "namespace": namespace, "reason": view.text("reason")}
    await view.calls.send("DELETE", "registry", _path(view, "roles"), key=view.text("key"), query=query)
    return _done(view, f"You took the role {role} {_where(namespace)} back.")


def _where(namespace: str) -> str:
    return "everywhere" if namespace == EVERYWHERE else f"in {namespace}"


async def suspend(view: View) -> Done:
    body = {"reason": view.text("reason")}
    await view.calls.send("POST", "registry", f"{_path(view)}:disable", body, key=view.text("key"))
    return _done(view, "You suspended the identity: its keys and roles have no effect.")


async def enable(view: View) -> Done:
    body = {"reason": view.text("reason")}
    await view.calls.send("POST", "registry", f"{_path(view)}:enable", body, key=view.text("key"))
    return _done(view, "You enabled the identity: its keys and roles have their effect again.")


async def issue_key(view: View) -> Shown:
    """Issue an API key and show it: this answer is the only one that has it."""
    body = {"reason": view.text("reason")}
    issued = await view.calls.send("POST", "registry", _path(view, "keys"), body, key=view.text("key"))
    return Shown(
        "issued_key.html", "New API key", "Access", {"issued": issued, "subject": view.param("subject")}
    )


async def revoke_key(view: View) -> Done:
    query = {"reason": view.text("reason"), "compromised": bool(view.text("compromised"))}
    path = _path(view, "keys", view.text("key_id"))
    await view.calls.send("DELETE", "registry", path, key=view.text("key"), query=query)
    return _done(view, f"You revoked the key {view.text('key_id')}.")


async def add_member(view: View) -> Done:
    body = {"member": view.text("member"), "reason": view.text("reason")}
    await view.calls.send("PUT", "registry", _path(view, "members"), body, key=view.text("key"))
    return _done(view, f"You added {body['member']}: it has every role of the group.")


async def remove_member(view: View) -> Done:
    query = {"member": view.text("member"), "reason": view.text("reason")}
    await view.calls.send("DELETE", "registry", _path(view, "members"), key=view.text("key"), query=query)
    return _done(view, f"You removed {query['member']}: it has no role of the group any more.")


PERSON = Page("/people/{subject}", show_person, rights.show_person, audited=EVERYWHERE)
PAGES = (PERSON,)
ACTS = tuple(
    Act(f"{PERSON.path}/{name}", do, PERSON)
    for name, do in (
        ("grant", grant),
        ("revoke", revoke),
        ("suspend", suspend),
        ("enable", enable),
        ("issue-key", issue_key),
        ("revoke-key", revoke_key),
        ("add-member", add_member),
        ("remove-member", remove_member),
    )
)
