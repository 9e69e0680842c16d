"""The reviews that the person may read, by state; those that wait for the person first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.console.pages.then import decisions
from services.console.view import SOMEWHERE, Page, Shown, View

Json = Mapping[str, Any]
STATES = ("pending", "open", "approved", "rejected", "lapsed", "expired", "overridden", "closed", "all")
PAGE_SIZE = 50


def waits_for(view: View, review: Json) -> bool:
    """Return whether the person may probably decide. The review's own page states it for certain."""
    subject = view.session.subject
    namespace = review["model"].rpartition(".")[0]
    return (
        review["state"] == "open"
        and subject not in review["excluded"]
        and subject not in review["approvers"]
        and subject != review["requester"]
        and any(view.may(role, namespace) for role in review["roles"])
    )


async def show_reviews(view: View) -> Shown:
    state = view.query("state", "pending")
    state = state if state in STATES else "pending"
    found = await view.calls.get(
        "approval",
        "/reviews",
        state=None if state == "all" else state,
        model=view.query("model"),
        page_size=PAGE_SIZE,
        page_token=view.query("page"),
    )
    reviews = found["items"]
    mine = [r for r in reviews if waits_for(view, r)]
    people = [one for r in reviews for one in (r["requester"], *r["approvers"])]
    content = {
        "mine": mine,
        "others": [r for r in reviews if r not in mine],
        "token": found["next_page_token"],
        "state": state,
        "states": STATES,
    }
    cli = f"regista reviews list --state {state}" if state != "pending" else "regista reviews"
    return Shown("reviews.html", "Reviews", "Reviews", content, cli, "any", await view.names(people))


PAGES = (Page("/reviews", show_reviews, decisions.show_reviews, audited=SOMEWHERE),)
