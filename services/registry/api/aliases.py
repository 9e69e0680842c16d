"""Aliases, and what they resolve to. Every load of a model resolves one."""

from __future__ import annotations

from typing import Any

from services.registry import queries
from services.registry.api.calls import look_ups, model_of, own_role, parts, submit, why_none
from services.registry.api.rollouts import stopped
from services.registry.domain.serving.alias import RemoveAlias, SetAlias
from services.registry.domain.serving.environment import ENVIRONMENTS
from services.registry.look_ups import ModelRef
from services.registry.serving import queries as serving_queries
from services.registry.shapes.aliases import AliasAnswer, Aliases, NewAlias, Resolved
from shared.deciding.decider import NotFound
from shared.http.routes import Call, Reply, Route


async def resolve_alias(call: Call) -> Reply:
    key = (call.path["model"], call.path["alias"])
    found = await parts(call).resolver.get(key)
    if found is None:
        row = await call.app.pool.fetchrow(serving_queries.STOPPED, *key)
        if row is not None and call.may_read(row["namespace"]):
            raise stopped(row["model"], key[1])
    if found is None or not call.may_read(found[0]):
        model = await look_ups(call).models.find(key[0])
        why = await why_none(call, model, key[1]) if model and call.may_read(model.namespace) else ""
        raise NotFound(
            "unknown_alias",
            f"{key[0]:.210}@{key[1]:.80} names no version that you may read: see the model's aliases and "
            f"rollouts.{why}",
        )
    _, body, revision = found
    return Reply(body, etag=revision)


async def list_aliases(call: Call) -> dict[str, Any]:
    model = await model_of(call)
    return {"items": [dict(row) for row in await call.app.list_rows(queries.ALIASES, model.model_id)]}


async def read_alias(call: Call) -> Reply:
    return await _answer(call, await model_of(call))


async def set_alias(call: Call[NewAlias]) -> Reply:
    model, body = await model_of(call), call.body
    role, own_only = own_role(call, model, "admin", "engineer")
    command = SetAlias(
        model.model_id,
        call.path["alias"],
        body.number,
        body.protected,
        as_admin=role == "admin",
        expected=call.if_match,
        by=call.actor.subject,
        own_only=own_only,
    )
    await submit(call, model, command, role=role, depends_on=(ENVIRONMENTS,))
    return await _answer(call, model)


async def remove_alias(call: Call) -> None:
    model = await model_of(call)
    role, own_only = own_role(call, model, "admin", "engineer")
    command = RemoveAlias(
        model.model_id,
        call.path["alias"],
        as_admin=role == "admin",
        expected=call.if_match,
        by=call.actor.subject,
        own_only=own_only,
    )
    await submit(call, model, command, role=role)


async def _answer(call: Call, model: ModelRef) -> Reply:
    row = await parts(call).aliases.get((model.model_id, call.path["alias"]))
    if row is None:
        raise NotFound(
            "unknown_alias", f"The model has no alias {call.path['alias']!r:.80}: see its list of aliases."
        )
    return Reply(row, etag=row["revision"])


_ONE = "/v1/models/{model}/aliases/{alias}"
ROUTES = (
    Route(
        "GET",
        "/v1/resolve/{model}@{alias}",
        resolve_alias,
        "Which version an alias, an environment or `latest` means now",
        response=Resolved,
        tags=["aliases"],
    ),
    Route(
        "GET",
        "/v1/models/{model}/aliases",
        list_aliases,
        "The aliases of a model",
        response=Aliases,
        tags=["aliases"],
    ),
    Route("GET", _ONE, read_alias, "One alias", response=AliasAnswer, tags=["aliases"]),
    Route(
        "PUT",
        _ONE,
        set_alias,
        "Point an alias at a version",
        body=NewAlias,
        response=AliasAnswer,
        tags=["aliases"],
    ),
    Route("DELETE", _ONE, remove_alias, "Remove an alias", tags=["aliases"]),
)
