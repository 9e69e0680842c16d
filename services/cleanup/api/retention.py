"""How long versions of a model are kept, and the newest verdict on each."""

from __future__ import annotations

from msgspec import to_builtins

from services.cleanup import queries
from services.cleanup.api.calls import model_of
from services.cleanup.domain.policy import DEFAULT_POLICY
from services.cleanup.domain.retention import stream_of
from services.cleanup.domain.retention_commands import ChangeRetention
from services.cleanup.shapes import Policy, Retention, RetentionChanged
from shared.deciding.access import namespace_of
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, PageQuery, Reply, Route


async def read_retention(call: Call[None, PageQuery]) -> Reply:
    model = await model_of(call, call.path["model"])
    own = await queries.policy(call.app.pool, model.model_id)
    policy, revision = own or (to_builtins(DEFAULT_POLICY), 0)
    (after,) = call.query.after(int) or (0,)
    versions = await queries.standings(call.app.pool, model.model_id, after, call.query.page_size)
    body = {
        "model_id": model.model_id,
        "model": model.name,
        "policy": policy,
        "is_default": own is None,
        "revision": revision,
        "versions": versions,
        "next_page_token": call.query.next_token(versions, "number"),
    }
    return Reply(body, headers={"etag": f'"{revision}"'})


async def change_retention(call: Call[Policy, None]) -> Reply:
    model = await model_of(call, call.path["model"])
    permission = Permission("engineer", namespace_of(model.name))
    call.require(permission.role, permission.namespace)
    policy, stream = call.body.to_domain(), stream_of(model.model_id)
    command = ChangeRetention(model.model_id, policy, call.if_match)
    outcome = await call.app.transactor.submit(
        Submission(command, (stream,), call.cause(), call.actor, permission=permission)
    )
    changed = bool(outcome.events)
    if changed:
        revision = outcome.events[0].revision
    else:
        _, revision = await queries.policy(call.app.pool, model.model_id) or ({}, 0)
    body = {
        "model_id": model.model_id,
        "model": model.name,
        "policy": to_builtins(policy),
        "revision": revision,
        "changed": changed,
    }
    return Reply(body, etag=revision)


ROUTES = (
    Route(
        "GET",
        "/v1/retention/{model}",
        read_retention,
        "How long versions of a model are kept, and the newest verdict on each",
        query=PageQuery,
        response=Retention,
        tags=["retention"],
    ),
    Route(
        "PUT",
        "/v1/retention/{model}",
        change_retention,
        "Change how long versions of a model are kept",
        body=Policy,
        response=RetentionChanged,
        needs_if_match=True,
        tags=["retention"],
    ),
)
