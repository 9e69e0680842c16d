"""Reviews: list, get, approve, reject, comment, after-review."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from services.approval import queries
from services.approval.api import summary
from services.approval.api.decisions import decide, printed_name, shown_name
from services.approval.domain import review
from services.approval.domain.approving import Approve, Reject
from services.approval.domain.review import Comment, ReviewOverride
from services.approval.domain.review_events import (
    ReviewApproved,
    ReviewCommented,
    ReviewExpired,
    ReviewLapsed,
)
from services.approval.domain.sign_in import Authentication
from services.approval.shapes.promotions import ReasonBody
from services.approval.shapes.reviews import (
    AfterReviewBody,
    ApproveBody,
    CommentBody,
    ReviewAnswer,
    ReviewPage,
    ReviewsQuery,
)
from shared.deciding.access import ANY_ROLE, permits
from shared.deciding.decider import RuleBroken, Stale
from shared.deciding.submission import Permission, Submission
from shared.http.problems import Problem
from shared.http.routes import Call, Reply, Route


async def list_reviews(call: Call[None, ReviewsQuery]) -> dict[str, Any]:
    q = call.query
    after = q.after(datetime, str)
    rows = await queries.reviews(
        call.app.searches, q.state, q.model, call.readable(), after, q.page_size, q.id_prefix
    )
    items = [one for one in await summary.for_caller(call, rows) if one["may_decide"] or not q.mine]
    return {"items": items, "next_page_token": q.next_token(rows, "opened_at", "review_id")}


async def get_review(call: Call[Any, Any]) -> Reply:
    row = await _review(call)
    return Reply(await summary.with_summary(call, row), etag=row["revision"])


async def _review(call: Call[Any, Any]) -> dict[str, Any]:
    row = await queries.review(call.app.pool, call.path["review_id"])
    if row is None or not call.may_read_model(row["model_id"], queries.namespace(row)):
        raise review.unknown_review()
    return row


def _texts(row: dict[str, Any], name: str) -> list[str]:
    return msgspec.json.decode(row[name], type=list[str])


def _role(call: Call[Any, Any], row: dict[str, Any]) -> str:
    """Return the first role of those required that the caller has. The transaction checks it again."""
    namespace, roles = queries.namespace(row), _texts(row, "roles")
    return next((role for role in roles if permits(call.access_state, role, namespace)), roles[0])


def _authentication(call: Call[Any, Any]) -> Authentication | None:
    """Return how the caller signed in; None for an API key."""
    if (token := call.token) is None:
        return None
    return Authentication(token.issuer, token.auth_time, token.acr, token.amr)


async def approve_review(call: Call[ApproveBody]) -> Reply:
    """Approve what the caller has read. `If-Match: *` is refused: it names nothing that was read."""
    if call.if_match is None:
        raise Problem(
            428,
            "if_match_required",
            "An approval names a revision: read the review, then send its ETag as If-Match.",
        )
    row = await _review(call)
    role = _role(call, row)
    name = await printed_name(call, role, queries.namespace(row))
    command = Approve(
        promotion_id=row["review_id"],
        model_id=row["model_id"],
        number=row["number"],
        by=call.actor.subject,
        role=role,
        expected=call.if_match,
        name=name,
        comment=call.body.comment,
        conditions=call.body.conditions,
        accepts=call.body.accepts,
        authentication=_authentication(call),
    )
    outcome = await decide(call, row, command, role, _texts(row, "excluded"), _texts(row, "approvers"))
    events = [r.event for r in outcome.events]
    if events and not any(isinstance(e, ReviewApproved | ReviewCommented) for e in events):
        _refuse_not_counted(events)
    return await get_review(call)


def _refuse_not_counted(events: Sequence[Any]) -> NoReturn:
    """Raise RuleBroken: what the approver read is no longer current, and `events` were stored instead."""
    for event in events:
        if isinstance(event, ReviewLapsed):
            raise RuleBroken(
                "review_lapsed", f"the review lapsed: {'; '.join(event.reasons)}; request the promotion again"
            )
        if isinstance(event, ReviewExpired):
            raise RuleBroken("review_expired", "the review has expired; request the promotion again")
    raise Stale("stale_review", "the evidence of the review was just refreshed; read it again, then repeat")


async def reject_review(call: Call[ReasonBody]) -> Reply:
    row = await _review(call)
    role = _role(call, row)
    command = Reject(
        promotion_id=row["review_id"],
        model_id=row["model_id"],
        number=row["number"],
        by=call.actor.subject,
        role=role,
        reason=call.body.reason,
        name=await shown_name(call),
        expected=call.if_match,
    )
    await decide(call, row, command, role)
    return await get_review(call)


async def comment_on_review(call: Call[CommentBody]) -> Reply:
    row = await _review(call)
    await call.app.transactor.submit(
        Submission(
            command=Comment(call.actor.subject, call.body.comment),
            streams=(review.stream_of(row["review_id"]),),
            cause=call.cause(),
            actor=call.actor,
            permission=Permission(ANY_ROLE, queries.namespace(row)),
        )
    )
    return await get_review(call)


async def review_override(call: Call[AfterReviewBody]) -> Reply:
    row = await _review(call)
    await printed_name(call, "approver", queries.namespace(row))
    command = ReviewOverride(
        promotion_id=row["review_id"],
        model_id=row["model_id"],
        number=row["number"],
        by=call.actor.subject,
        justified=call.body.justified,
        comment=call.body.comment,
    )
    overrode = [entry["by"] for entry in row["entries"] if entry["kind"] == "OverrideUsed"]
    await decide(call, row, command, "approver", [*_texts(row, "excluded"), *overrode])
    return await get_review(call)


_REVIEW = "/v1/reviews/{review_id}"
ROUTES = (
    Route(
        "GET",
        "/v1/reviews",
        list_reviews,
        "List reviews by state, oldest first",
        query=ReviewsQuery,
        response=ReviewPage,
        tags=["reviews"],
    ),
    Route(
        "GET", _REVIEW, get_review, "Get a review with its evidence", response=ReviewAnswer, tags=["reviews"]
    ),
    Route(
        "POST",
        _REVIEW + ":approve",
        approve_review,
        "Approve what the review shows",
        body=ApproveBody,
        response=ReviewAnswer,
        tags=["reviews"],
        needs_if_match=True,
    ),
    Route(
        "POST",
        _REVIEW + ":reject",
        reject_review,
        "Reject, with a reason",
        body=ReasonBody,
        response=ReviewAnswer,
        tags=["reviews"],
    ),
    Route(
        "POST",
        _REVIEW + ":comment",
        comment_on_review,
        "Comment on a review",
        body=CommentBody,
        response=ReviewAnswer,
        tags=["reviews"],
    ),
    Route(
        "POST",
        _REVIEW + ":review-override",
        review_override,
        "Review a break-glass override afterwards",
        body=AfterReviewBody,
        response=ReviewAnswer,
        tags=["reviews"],
    ),
)
