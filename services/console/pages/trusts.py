"""Trusts: which jobs act as which publisher, without a stored secret; a new one, and the end of one."""

from __future__ import annotations

from regista.errors import Invalid
from services.console.calls import segment
from services.console.pages.access import ADMIN, EVERYWHERE
from services.console.pages.then import rights
from services.console.view import Act, Done, Page, Shown, View

ADDRESS = "/access/trusts"
FIELDS = ("issuer", "audience", "publisher", "starter_claim", "reason")


async def show_trusts(view: View) -> Shown:
    found = await view.calls.get("registry", "/trusts")
    names = await view.names(one for t in found["items"] for one in (t["publisher"], t["added_by"]))
    content = {"trusts": found["items"], "admin": view.may(ADMIN, EVERYWHERE)}
    return Shown("trusts.html", "Trusts", "Access", content, "regista access trust list", "", names)


def claims_of(text: str) -> list[dict[str, str]]:
    """Return the claims of lines `NAME=VALUE`. Raises Invalid for a line that is none."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, sign, value = line.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise Invalid(
                "invalid_claim",
                f"{line!r:.80} is no claim.",
                advice="Write NAME=VALUE, one claim on a line, such as `repository=acme/fraud`.",
            )
        found.append({"name": name.strip(), "value": value.strip()})
    return found


async def add(view: View) -> Done:
    body = {name: view.text(name) for name in FIELDS if view.text(name)}
    lists = {"claims": claims_of(view.text("claims")), "namespaces": view.text("namespaces").split()}
    if algorithms := view.text("algorithms").split():
        lists |= {"algorithms": algorithms}
    made = await view.calls.send("POST", "registry", "/trusts", body | lists, key=view.text("key"))
    return Done(ADDRESS, f"You added {made['trust_id']}: jobs with its claims act as {made['publisher']}.")


async def remove(view: View) -> Done:
    trust, query = view.text("trust_id"), {"reason": view.text("reason")}
    await view.calls.send(
        "DELETE", "registry", f"/trusts/{segment(trust)}", key=view.text("key"), query=query
    )
    return Done(ADDRESS, f"You removed {trust}: the keys that its jobs had have ended.")


TRUSTS = Page(ADDRESS, show_trusts, rights.show_trusts, audited=EVERYWHERE)
PAGES = (TRUSTS,)
ACTS = (Act(f"{ADDRESS}/add", add, TRUSTS), Act(f"{ADDRESS}/remove", remove, TRUSTS))
