"""HTTP → command → transact; GET → queries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from services.approval import queries
from services.approval.domain import gate, policy, review
from services.approval.domain.policy import PublishPolicy
from services.approval.domain.promotion import Approve, Override, Reject
from services.approval.domain.review import (
    Comment,
    ReviewApproved,
    ReviewExpired,
    ReviewLapsed,
    ReviewOverride,
)
from services.approval.look_ups import evaluation
from services.approval.shapes import (
    ApproveBody,
    CommentBody,
    GatesAnswer,
    LookBackBody,
    PolicyAnswer,
    PolicyBody,
    PolicyPage,
    PolicyQuery,
    PromotionAnswer,
    ReasonBody,
    ReviewAnswer,
    ReviewPage,
    ReviewsQuery,
)
from shared.deciding.access import ANY_ROLE, permits
from shared.deciding.decider import NotFound, RuleBroken, Stale, Unprocessable
from shared.deciding.submission import Outcome, Permission, Submission
from shared.http.problems import Problem
from shared.http.routes import Call, PageQuery, Reply, Route
from shared.identity import directory
from shared.log.transact import routed


async def put_policy(call: Call) -> Reply:
    """Only who is admin everywhere writes policies: a policy may select any model.

    One that is there is changed by who has read it.
    """
    name, admin, unseen = call.path["name"], Permission("admin", ""), "if-match" not in call.headers
    document = msgspec.convert(call.body.model_dump(mode="json"), policy.Policy)
    command = PublishPolicy(name, document, 0 if unseen else call.if_match)
    try:
        await call.app.transactor.submit(
            Submission(
                command, (policy.stream_of(name), policy.ALL), call.cause(), call.actor, permission=admin
            )
        )
    except Stale:
        if unseen:
            raise Problem(
                428,
                "if_match_required",
                f"There is a policy {name}: read it, then send its ETag as If-Match.",
            ) from None
        raise
    return await _policy(call, name)


async def get_policy(call: Call) -> Reply:
    return await _policy(call, call.path["name"], call.query.revision)


async def _policy(call: Call, name: str, revision: int | None = None) -> Reply:
    call.require_any_role()
    args = (queries.POLICY_NOW, name) if revision is None else (queries.POLICY_AT, name, revision)
    row = await call.app.pool.fetchrow(*args)
    if row is None:
        raise NotFound("unknown_policy", f"there is no policy {name}; GET /v1/policies lists them")
    return Reply(dict(row), etag=row["revision"])


async def get_policies(call: Call) -> dict[str, Any]:
    call.require_any_role()
    after = call.query.after(str)
    rows = await call.app.pool.fetch(queries.POLICIES_PAGE, after[0] if after else "", call.query.page_size)
    return {"items": [dict(r) for r in rows], "next_page_token": call.query.next_token(rows, "name")}


async def get_reviews(call: Call) -> dict[str, Any]:
    q: ReviewsQuery = call.query
    after = q.after(datetime, str)
    rows = await queries.reviews(call.app.pool, q.state, q.model, call.readable(), after, q.page_size)
    return {"items": rows, "next_page_token": q.next_token(rows, "opened_at", "review_id")}


async def get_review(call: Call) -> Reply:
    row = await _review(call)
    call.require(ANY_ROLE, queries.namespace(row))
    return Reply(row, etag=row["revision"])


async def _review(call: Call) -> dict[str, Any]:
    row = await queries.review(call.app.pool, call.path["review_id"])
    if row is None:
        raise NotFound(
            "unknown_review", "there is no such review; GET /v1/reviews?state=open lists the open ones"
        )
    return row


def _role(call: Call, row: dict[str, Any]) -> str:
    """The first of the roles asked for that the caller has; the transaction checks it again."""
    namespace, roles = queries.namespace(row), msgspec.json.decode(row["roles"], type=list[str])
    return next((role for role in roles if permits(call.access_state, role, namespace)), roles[0])


async def approve(call: Call) -> Reply:
    """Whatever the review shows now (`If-Match: *`) is nothing that somebody has seen."""
    if call.if_match is None:
        raise Problem(
            428,
            "if_match_required",
            "An approval is of what was seen: read the review first, then send its ETag as If-Match.",
        )
    row, signed = await _review(call), await _signed(call)
    role = _role(call, row)
    command = Approve(
        row["review_id"],
        row["model_id"],
        row["number"],
        call.actor.subject,
        role,
        call.if_match,
        signed.name,
        call.body.comment,
        call.body.conditions,
        signed.former,
    )
    outcome = await _decide(call, row, command, role)
    events = [r.event for r in outcome.events]
    if events and not any(isinstance(e, ReviewApproved) for e in events):
        _not_counted(events)
    return await get_review(call)


async def _signed(call: Call) -> directory.StoredName:
    """The caller's name, as it is printed under what they sign.

    Nobody signs without one: it also tells whether they made the version.
    """
    found = await directory.stored_name(call.app.pool, call.actor.subject)
    if not found.name:
        raise RuleBroken(
            "no_printed_name",
            "a signature shows a name, and the directory has none for you; an admin sets it (`regista access set-name`)",
            subject=call.actor.subject,
        )
    return found


async def _shown(call: Call) -> str:
    """The caller's name where it is only shown; without one, who they are."""
    return (await directory.stored_name(call.app.pool, call.actor.subject)).name or call.actor.subject


def _not_counted(events: Sequence[Any]) -> NoReturn:
    """What the approver saw is not what is there: that was recorded instead of the approval."""
    for event in events:
        if isinstance(event, ReviewLapsed):
            raise RuleBroken(
                "review_lapsed", f"the review lapsed: {'; '.join(event.reasons)}; request the promotion again"
            )
        if isinstance(event, ReviewExpired):
            raise RuleBroken("review_expired", "the review's time was up; request the promotion again")
    raise Stale("stale_review", "what the review shows was just refreshed; read it again, then repeat")


async def reject(call: Call) -> Reply:
    row = await _review(call)
    role = _role(call, row)
    name = await _shown(call)
    command = Reject(
        row["review_id"],
        row["model_id"],
        row["number"],
        call.actor.subject,
        role,
        call.body.reason,
        name,
        call.if_match,
    )
    await _decide(call, row, command, role)
    return await get_review(call)


async def comment(call: Call) -> Reply:
    row = await _review(call)
    stream, permission = review.stream_of(row["review_id"]), Permission(ANY_ROLE, queries.namespace(row))
    command = Comment(call.actor.subject, call.body.comment)
    await call.app.transactor.submit(
        Submission(command, (stream,), call.cause(), call.actor, permission=permission)
    )
    return await get_review(call)


async def review_override(call: Call) -> Reply:
    row, signed = await _review(call), await _signed(call)
    promotion_id, model_id, number = row["review_id"], row["model_id"], row["number"]
    streams, permission = (
        (review.stream_of(promotion_id), gate.stream_of(model_id, number)),
        Permission("approver", queries.namespace(row)),
    )
    command = ReviewOverride(
        promotion_id, model_id, number, call.actor.subject, call.body.justified, call.body.comment, signed.all
    )
    await call.app.transactor.submit(
        Submission(command, streams, call.cause(), call.actor, permission=permission)
    )
    return await get_review(call)


async def get_promotion(call: Call) -> dict[str, Any]:
    row = await _promotion(call)
    call.require(ANY_ROLE, queries.namespace(row))
    return row


async def override(call: Call) -> dict[str, Any]:
    row = await _promotion(call)
    command = Override(
        row["promotion_id"],
        row["model_id"],
        row["number"],
        call.actor.subject,
        call.body.reason,
        await _shown(call),
    )
    await _decide(call, row, command, "override")
    return await _promotion(call)


async def _promotion(call: Call) -> dict[str, Any]:
    row = await queries.promotion(call.app.pool, call.path["promotion_id"])
    if row is None:
        raise NotFound(
            "unknown_promotion",
            "there is no such promotion (yet); registry answers its id when one is requested",
        )
    return row


async def _decide(
    call: Call, row: dict[str, Any], command: Approve | Reject | Override, role: str
) -> Outcome:
    """A decision about one promotion: the role is checked in the transaction; the streams are looked up again when they changed."""
    cause, permission = call.cause(), Permission(role, queries.namespace(row))

    async def build() -> Submission:
        named = await queries.streams_for(
            call.app.pool, command.model_id, command.number, [command.promotion_id]
        )
        return Submission(
            command,
            named.writes,
            cause,
            call.actor,
            named.depends_on,
            permission,
            getattr(command, "reason", ""),
        )

    return await routed(call.app.transactor, build)


async def get_gates(call: Call) -> dict[str, Any]:
    return await _gates(call, await _model(call))


async def evaluate(call: Call) -> dict[str, Any]:
    """Asks again; says nothing new where nothing changed."""
    model = await _model(call)
    await _gates(call, model)
    cause, permission = call.cause(), Permission("engineer", queries.namespace(model))

    async def build() -> Submission:
        asked = await evaluation(call.app, model["model_id"], _number(call), lambda _: cause)
        return Submission(asked.command, asked.streams, cause, call.actor, asked.depends_on, permission)

    await routed(call.app.transactor, build)
    return await _gates(call, model)


async def _model(call: Call) -> dict[str, Any]:
    model = await queries.find_model(call.app.pool, call.path["model"])
    if model is None:
        raise NotFound(
            "unknown_model",
            f"approval knows no model {call.path['model']} (yet); name it by its id or its full name",
        )
    call.require(ANY_ROLE, queries.namespace(model))
    return model


def _number(call: Call) -> int:
    text = call.path["number"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Unprocessable("not_a_number", "name the version by its running number")
    return int(text)


async def _gates(call: Call, model: dict[str, Any]) -> dict[str, Any]:
    found = await queries.gates_of(call.app.pool, model, _number(call))
    if found is None:
        raise NotFound(
            "unknown_version", f"approval knows no version {call.path['number']} of {model['model']} (yet)"
        )
    return found


_REVIEW, _PROMOTION, _GATES = (
    "/v1/reviews/{review_id}",
    "/v1/promotions/{promotion_id}",
    "/v1/models/{model}/versions/{number}/gates",
)

ROUTES = (
    Route(
        "PUT",
        "/v1/policies/{name}",
        put_policy,
        "Publish the next revision of a policy",
        body=PolicyBody,
        response=PolicyAnswer,
        tags=["policies"],
    ),
    Route(
        "GET",
        "/v1/policies",
        get_policies,
        "The policies",
        query=PageQuery,
        response=PolicyPage,
        tags=["policies"],
    ),
    Route(
        "GET",
        "/v1/policies/{name}",
        get_policy,
        "A policy, now or as of a revision",
        query=PolicyQuery,
        response=PolicyAnswer,
        tags=["policies"],
    ),
    Route(
        "GET",
        "/v1/reviews",
        get_reviews,
        "The inbox: reviews by state",
        query=ReviewsQuery,
        response=ReviewPage,
        tags=["reviews"],
    ),
    Route("GET", _REVIEW, get_review, "A review with what it shows", response=ReviewAnswer, tags=["reviews"]),
    Route(
        "POST",
        _REVIEW + ":approve",
        approve,
        "Approve what the review shows",
        body=ApproveBody,
        response=ReviewAnswer,
        tags=["reviews"],
        needs_if_match=True,
    ),
    Route(
        "POST",
        _REVIEW + ":reject",
        reject,
        "Reject, with a reason",
        body=ReasonBody,
        response=ReviewAnswer,
        tags=["reviews"],
    ),
    Route(
        "POST",
        _REVIEW + ":comment",
        comment,
        "Say something",
        body=CommentBody,
        response=ReviewAnswer,
        tags=["reviews"],
    ),
    Route(
        "POST",
        _REVIEW + ":review-override",
        review_override,
        "Look back at a break-glass grant",
        body=LookBackBody,
        response=ReviewAnswer,
        tags=["reviews"],
    ),
    Route(
        "GET",
        _PROMOTION,
        get_promotion,
        "What became of a promotion",
        response=PromotionAnswer,
        tags=["promotions"],
    ),
    Route(
        "POST",
        _PROMOTION + ":override",
        override,
        "Break the glass",
        body=ReasonBody,
        response=PromotionAnswer,
        tags=["promotions"],
    ),
    Route("GET", _GATES, get_gates, "What the gates of a version said", response=GatesAnswer, tags=["gates"]),
    Route(
        "POST",
        _GATES + ":evaluate",
        evaluate,
        "Ask the gates of a version again",
        response=GatesAnswer,
        tags=["gates"],
    ),
)
