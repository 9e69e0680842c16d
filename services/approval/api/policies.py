"""Policies: publish, get, list."""

from __future__ import annotations

from typing import Any

import msgspec

from services.approval import queries
from services.approval.domain import policy
from services.approval.domain.policy import PublishPolicy
from services.approval.shapes import PolicyAnswer, PolicyBody, PolicyPage, PolicyQuery
from shared.deciding.decider import NotFound, Stale
from shared.deciding.submission import Permission, Submission
from shared.http.problems import Problem
from shared.http.routes import Call, PageQuery, Reply, Route


async def put_policy(call: Call[PolicyBody]) -> Reply:
    """Publish the next revision of a policy.

    The caller needs the role admin everywhere, because a policy may select any model. To change a policy that
    exists, the caller sends its ETag.
    """
    name, is_new = call.path["name"], "if-match" not in call.headers
    document = msgspec.convert(call.body.model_dump(mode="json"), policy.Policy)
    submission = Submission(
        command=PublishPolicy(name, document, 0 if is_new else call.if_match),
        streams=(policy.stream_of(name), policy.ALL),
        cause=call.cause(),
        actor=call.actor,
        permission=Permission("admin", ""),
    )
    try:
        await call.app.transactor.submit(submission)
    except Stale:
        if is_new:
            raise Problem(
                428,
                "if_match_required",
                f"There is a policy {name}: read it, then send its ETag as If-Match.",
            ) from None
        raise
    return await _policy(call, name)


async def get_policy(call: Call[None, PolicyQuery]) -> Reply:
    return await _policy(call, call.path["name"], call.query.revision)


async def _policy(call: Call[Any, Any], name: str, revision: int | None = None) -> Reply:
    call.require_any_role()
    row = await queries.policy(call.app.pool, name, revision)
    if row is None:
        raise NotFound("unknown_policy", f"there is no policy {name}; GET /v1/policies lists them")
    return Reply(row, etag=row["revision"])


async def list_policies(call: Call[None, PageQuery]) -> dict[str, Any]:
    call.require_any_role()
    after = call.query.after(str)
    rows = await queries.policies(call.app.pool, after[0] if after else "", call.query.page_size)
    return {"items": rows, "next_page_token": call.query.next_token(rows, "name")}


ROUTES = (
    Route(
        "PUT",
        "/v1/policies/{name}",
        put_policy,
        "Publish the next revision of a policy",
        body=PolicyBody,
        response=PolicyAnswer,
        also=(428,),
        tags=["policies"],
    ),
    Route(
        "GET",
        "/v1/policies",
        list_policies,
        "List the policies",
        query=PageQuery,
        response=PolicyPage,
        tags=["policies"],
    ),
    Route(
        "GET",
        "/v1/policies/{name}",
        get_policy,
        "Get a policy as it is now, or as of a revision",
        query=PolicyQuery,
        response=PolicyAnswer,
        tags=["policies"],
    ),
)
