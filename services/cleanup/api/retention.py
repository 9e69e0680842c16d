"""How long versions are kept: the policies of models, the defaults that others inherit, and the verdicts."""

from __future__ import annotations

from typing import Any

from regista.wire.names import may_exist
from services.cleanup import queries
from services.cleanup.api.calls import model_of
from services.cleanup.domain import defaults
from services.cleanup.domain.defaults import ChangeDefault, Inherited, inherited
from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention import stream_of
from services.cleanup.domain.retention_commands import ChangeRetention
from services.cleanup.queries import Model
from services.cleanup.shapes import (
    DefaultChanged,
    Defaults,
    Policy,
    Retention,
    RetentionChanged,
    WhyQuery,
    policy_shown,
)
from shared.deciding.access import EVERYWHERE, namespace_of
from shared.deciding.decider import Unprocessable
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, PageQuery, Reply, Route

MODEL = "model"


async def _in_force(call: Call[Any, Any], model: Model) -> tuple[Inherited, int]:
    """Return the policy of a model, where it comes from, and the revision of its own policy (0: none)."""
    if own := await queries.policy(call.app.pool, model.model_id):
        return Inherited(own[0], MODEL), own[1]
    found = await queries.defaults(call.app.pool)
    return inherited({name: policy for name, (policy, _) in found.items()}, model.name), 0


async def read_retention(call: Call[None, PageQuery]) -> Reply:
    model = await model_of(call, call.path["model"])
    found, revision = await _in_force(call, model)
    (after,) = call.query.after(int) or (0,)
    versions = await queries.standings(call.app.pool, model.model_id, after, call.query.page_size)
    body = {
        "model_id": model.model_id,
        "model": model.name,
        "policy": policy_shown(found.policy),
        "source": found.source,
        "revision": revision,
        "versions": versions,
        "next_page_token": call.query.next_token(versions, "number"),
    }
    return Reply(body, headers={"etag": f'"{revision}"'})


async def change_retention(call: Call[Policy, WhyQuery]) -> Reply:
    return await _change(call, call.body.to_domain())


async def remove_retention(call: Call[None, WhyQuery]) -> Reply:
    """Remove the model's own policy: it inherits one again."""
    return await _change(call, None)


async def _change(call: Call[Any, Any], policy: RetentionPolicy | None) -> Reply:
    model = await model_of(call, call.path["model"])
    permission = Permission("engineer", namespace_of(model.name))
    call.require(permission.role, permission.namespace)
    before, _ = await _in_force(call, model)
    command = ChangeRetention(model.model_id, policy, call.if_match)
    outcome = await call.app.transactor.submit(
        Submission(
            command,
            (stream_of(model.model_id),),
            call.cause(),
            call.actor,
            permission=permission,
            reason=call.query.reason,
        )
    )
    after, revision = await _in_force(call, model)
    body = {
        "model_id": model.model_id,
        "model": model.name,
        "before": policy_shown(before.policy),
        "policy": policy_shown(after.policy),
        "source": after.source,
        "revision": revision,
        "changed": bool(outcome.events),
    }
    return Reply(body, etag=revision)


async def list_defaults(call: Call[None, None]) -> dict[str, Any]:
    """List the defaults of namespaces that the caller may read, and that of everything."""
    call.require_any_role()
    found = await queries.defaults(call.app.pool)
    items = [
        {"namespace": name, "policy": policy_shown(policy), "revision": revision}
        for name, (policy, revision) in found.items()
        if name == EVERYWHERE or call.may_read(name)
    ]
    return {"items": items}


async def change_default(call: Call[Policy, WhyQuery]) -> Reply:
    return await _change_default(call, call.body.to_domain())


async def remove_default(call: Call[None, WhyQuery]) -> Reply:
    return await _change_default(call, None)


async def _change_default(call: Call[Any, Any], policy: RetentionPolicy | None) -> Reply:
    namespace = call.path["namespace"]
    if namespace != EVERYWHERE and not may_exist(namespace):
        raise Unprocessable(
            "invalid_namespace", f"{namespace!r:.60} is no namespace: name one, such as fraud, or * for all."
        )
    permission = Permission("admin", "" if namespace == EVERYWHERE else namespace)
    call.require(permission.role, permission.namespace)
    before = (await queries.defaults(call.app.pool)).get(namespace)
    command = ChangeDefault(namespace, policy, call.if_match)
    outcome = await call.app.transactor.submit(
        Submission(
            command,
            (defaults.STREAM,),
            call.cause(),
            call.actor,
            permission=permission,
            reason=call.query.reason,
        )
    )
    after = (await queries.defaults(call.app.pool)).get(namespace)
    revision = after[1] if after else 0
    body = {
        "namespace": namespace,
        "before": policy_shown(before[0]) if before else None,
        "policy": policy_shown(after[0]) if after else None,
        "revision": revision,
        "changed": bool(outcome.events),
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
        query=WhyQuery,
        needs_if_match=True,
        tags=["retention"],
    ),
    Route(
        "DELETE",
        "/v1/retention/{model}",
        remove_retention,
        "Remove a model's own policy, so that it inherits one",
        response=RetentionChanged,
        query=WhyQuery,
        needs_if_match=True,
        tags=["retention"],
    ),
    Route(
        "GET",
        "/v1/retention-defaults",
        list_defaults,
        "The policies that models of a namespace inherit",
        response=Defaults,
        tags=["retention"],
    ),
    Route(
        "PUT",
        "/v1/retention-defaults/{namespace}",
        change_default,
        "Set the policy that the models of a namespace inherit (* for all models)",
        body=Policy,
        response=DefaultChanged,
        query=WhyQuery,
        needs_if_match=True,
        tags=["retention"],
    ),
    Route(
        "DELETE",
        "/v1/retention-defaults/{namespace}",
        remove_default,
        "Remove the policy that the models of a namespace inherit",
        response=DefaultChanged,
        query=WhyQuery,
        needs_if_match=True,
        tags=["retention"],
    ),
)
