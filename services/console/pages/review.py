"""One review: the request, what callers notice, the evidence, the conversation, and the person's decision."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from services.console.calls import part, segment
from services.console.pages.then import decisions
from services.console.rendering import url
from services.console.view import OF_TIMELINES, SOMEWHERE, Act, Done, Page, Shown, View

Json = Mapping[str, Any]
KINDS: Mapping[str, str] = {
    "ReviewApproved": "approved",
    "ReviewRejected": "rejected",
    "ReviewCommented": "commented",
    "ReviewLapsed": "the review lapsed",
    "ReviewExpired": "the review expired",
    "ReviewRefreshed": "the evidence was assessed again; the review goes on",
    "OverrideUsed": "overrode the policy",
    "OverrideReviewed": "reviewed the override",
    "AfterReviewOverdue": "the after-review is overdue",
}


async def show_review(view: View) -> Shown:
    review_id = view.param("review")
    review = await view.calls.get("approval", f"/reviews/{segment(review_id)}")
    summary, subject = review["summary"] or {}, view.session.subject
    mine = next((d for d in summary.get("deciders") or () if d["subject"] == subject), None)
    changes = dict(summary.get("changes") or {})
    last = view.session.seen.get(review_id, review["revision"])
    if view.problem is None:
        view.session.seen[review_id] = review["revision"]
    content = {
        "review": review,
        "summary": summary,
        "mine": mine,
        "why_not": _why_not(review, mine, view.session.caller["name"] or subject),
        "metrics": changes.pop("metrics", []),
        "changes": changes,
        "kinds": KINDS,
        "last_seen": last,
    }
    people = [
        summary.get("creator"),
        (summary.get("requested") or {}).get("by"),
        review["requester"],
        *(d["subject"] for d in summary.get("deciders") or ()),
        *review["approvers"],
        *(e["by"] for e in review["entries"]),
    ]
    policy, names = await asyncio.gather(_policy(view, review["policy"]), view.names(people))
    title = f"Review of {review['model']} #{review['number']} for {review['environment']}"
    live = f"review:{review_id} model:{review['model_id']}"
    content["policy"] = policy
    cli = f"regista reviews show {review_id}"
    return Shown("review.html", title, "Reviews", content, cli, live, names)


async def _policy(view: View, named: Json) -> Json | None:
    """Return the text of the policy at the revision of the review, None where it cannot be read."""
    if not named.get("name"):  # an override without a review
        return None
    path = f"/policies/{segment(named['name'])}"
    found = await part(view.calls.get("approval", path, revision=named["revision"]))
    return found.value["policy"] if found.value else None


def _why_not(review: Json, mine: Json | None, name: str) -> str:
    """Return why the person may not decide, "" for one who may."""
    if review["state"] != "open":
        return f"The review is {review['state']}: there is nothing to decide."
    if mine is None:
        roles = " or ".join(review["roles"])
        namespace = review["model"].rpartition(".")[0] or "everywhere"
        return f"You need the role {roles} in {namespace}. An administrator grants it."
    return "" if mine["may_decide"] else f"You may not decide: {name} {mine['why_not']}."


def _path(view: View) -> tuple[str, str]:
    review_id = view.param("review")
    return f"/reviews/{segment(review_id)}", url("reviews", review_id)


async def approve(view: View) -> Done:
    path, page = _path(view)
    body = {
        "comment": view.text("comment"),
        "conditions": [line.strip() for line in view.text("conditions").splitlines() if line.strip()],
        "accepts": view.texts("accepts"),
    }
    got = await view.calls.send(
        "POST", "approval", f"{path}:approve", body, revision=view.number("revision"), key=view.text("key")
    )
    return Done(page, f"You approved. {_how_far(got)}")


def _how_far(review: Json) -> str:
    if review["state"] == "approved":
        return "It was the last approval: the promotion is granted."
    return f"{len(review['approvers'])} of {review['needs']} approvals are there."


async def reject(view: View) -> Done:
    path, page = _path(view)
    await view.calls.send(
        "POST",
        "approval",
        f"{path}:reject",
        {"reason": view.text("reason")},
        revision=view.number("revision"),
        key=view.text("key"),
    )
    return Done(page, "You rejected the promotion. The version stays in its stage.")


async def comment(view: View) -> Done:
    path, page = _path(view)
    await view.calls.send(
        "POST", "approval", f"{path}:comment", {"comment": view.text("comment")}, key=view.text("key")
    )
    return Done(page, "Your comment is recorded.")


async def review_override(view: View) -> Done:
    path, page = _path(view)
    body = {"justified": view.text("verdict") == "justified", "comment": view.text("comment")}
    await view.calls.send("POST", "approval", f"{path}:review-override", body, key=view.text("key"))
    return Done(page, "You closed the after-review.")


REVIEW = Page(
    "/reviews/{review}", show_review, decisions.show_review, audited=SOMEWHERE, auditors=OF_TIMELINES
)
PAGES = (REVIEW,)
ACTS = (
    Act("/reviews/{review}/approve", approve, REVIEW),
    Act("/reviews/{review}/reject", reject, REVIEW),
    Act("/reviews/{review}/comment", comment, REVIEW),
    Act("/reviews/{review}/after-review", review_override, REVIEW),
)
