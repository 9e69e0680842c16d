"""Rollouts: which versions serve where, the switch, the rollback; and which version serves a request."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from services.registry import queries
from services.registry.api.calls import model_of, parts, submit
from services.registry.domain.model.events import Entry
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.serving.routing import pick
from services.registry.look_ups import ModelRef
from services.registry.shapes.rollouts import (
    NewRollout,
    Rollback,
    RolloutAnswer,
    Rollouts,
    RouteAnswer,
    RouteQuery,
)
from shared.deciding.decider import NotFound
from shared.http.routes import Call, Reply, Route


async def list_rollouts(call: Call) -> dict[str, Any]:
    model = await model_of(call)
    rows = await call.app.list_rows(queries.ROLLOUTS, model.model_id)
    return {"items": [dict(row) for row in rows]}


async def read_rollout(call: Call) -> Reply:
    return await _answer(call, await model_of(call))


async def change_rollout(call: Call[NewRollout]) -> Reply:
    model, body = await model_of(call), call.body
    shares = tuple(Share(e.number, e.percent, e.role) for e in body.entries)
    command = ChangeRollout(model.model_id, call.path["environment"], shares, call.if_match)
    await submit(call, model, command, role="engineer", reason=body.reason)
    return await _answer(call, model)


async def roll_back(call: Call[Rollback]) -> Reply:
    model, body = await model_of(call), call.body
    command = RollBack(
        model.model_id, call.path["environment"], body.to_number, body.even_if_incompatible, call.if_match
    )
    await submit(call, model, command, role="engineer", reason=body.reason)
    return await _answer(call, model)


async def route_request(call: Call[None, RouteQuery]) -> dict[str, Any]:
    """Return the version that serves this request, by the shares of the rollout.

    Without a key, each request is drawn again.
    """
    model, q = await model_of(call), call.query
    row = await _rollout(call, model, q.environment)
    entry = pick(msgspec.json.decode(row["entries"], type=tuple[Entry, ...]), q.key or secrets.token_hex(8))
    return {
        "model_id": model.model_id,
        "model": row["model"],
        "environment": q.environment,
        "number": entry.number,
        "semver": entry.semver,
        "role": entry.role,
    }


async def _rollout(call: Call, model: ModelRef, environment: str) -> dict[str, Any]:
    row = await parts(call).rollouts.get((model.model_id, environment))
    if row is None:
        raise NotFound(
            "no_rollout", f"Nothing of this model serves in {environment!r:.60}: promote a version there."
        )
    return row


async def _answer(call: Call, model: ModelRef) -> Reply:
    row = await _rollout(call, model, call.path["environment"])
    return Reply(row, etag=row["revision"])


_ONE = "/v1/models/{model}/rollouts/{environment}"
ROUTES = (
    Route(
        "GET",
        "/v1/models/{model}/rollouts",
        list_rollouts,
        "Who serves, in every environment",
        response=Rollouts,
        tags=["rollouts"],
    ),
    Route(
        "GET", _ONE, read_rollout, "Who serves in an environment", response=RolloutAnswer, tags=["rollouts"]
    ),
    Route(
        "POST",
        _ONE,
        change_rollout,
        "Set who serves: one atomic change",
        body=NewRollout,
        response=RolloutAnswer,
        needs_if_match=True,
        tags=["rollouts"],
    ),
    Route(
        "POST",
        _ONE + ":rollback",
        roll_back,
        "Back to what served before",
        body=Rollback,
        response=RolloutAnswer,
        tags=["rollouts"],
    ),
    Route(
        "GET",
        "/v1/models/{model}/route",
        route_request,
        "Which version serves this request",
        query=RouteQuery,
        response=RouteAnswer,
        tags=["rollouts"],
    ),
)
