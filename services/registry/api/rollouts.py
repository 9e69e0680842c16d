"""Rollouts: which versions serve where, the switch, the rollback; and which version serves a request."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from regista.wire.routing import pick
from services.registry.api.calls import model_of, parts, submit
from services.registry.api.environments import not_serving
from services.registry.api.past import model_then
from services.registry.as_of import answers
from services.registry.domain.serving.environment import ENVIRONMENTS
from services.registry.domain.serving.rollback import DryRun, RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.serving.stop import StopRollout
from services.registry.lineage import queries as lineage
from services.registry.look_ups import ModelRef
from services.registry.serving import queries as serving_queries
from services.registry.shapes.common import AsOfQuery
from services.registry.shapes.rollouts import (
    NewRollout,
    Rollback,
    RolloutAnswer,
    Rollouts,
    RouteAnswer,
    RouteQuery,
    Stop,
)
from shared.deciding.decider import RuleBroken
from shared.http.routes import Call, Reply, Route


class ServingEntry(msgspec.Struct, frozen=True):
    """An entry of a rollout. `withdrawn` states why its version must not be loaded, None for a good one.

    `conditions`: those under which it was approved. `grant_withdrawn`: its override was not justified.
    """

    number: int
    semver: str
    percent: int
    role: str
    withdrawn: str | None = None
    conditions: tuple[str, ...] = ()
    grant_withdrawn: bool = False


async def list_rollouts(call: Call[None, AsOfQuery]) -> dict[str, Any]:
    if call.query.as_of is not None:
        return {"items": answers.rollouts(await model_then(call, call.query.as_of))}
    model = await model_of(call)
    rows = await call.app.list_rows(serving_queries.ROLLOUTS, model.model_id)
    return {"items": [dict(row) for row in rows]}


async def read_rollout(call: Call) -> Reply:
    return await _answer(call, await model_of(call))


async def change_rollout(call: Call[NewRollout]) -> Reply:
    model, body = await model_of(call), call.body
    shares = tuple(Share(e.number, e.percent, e.role) for e in body.entries)
    command = ChangeRollout(model.model_id, call.path["environment"], shares, call.if_match, body.from_number)
    await submit(call, model, command, role="engineer", reason=body.reason, depends_on=(ENVIRONMENTS,))
    return await _answer(call, model)


async def roll_back(call: Call[Rollback]) -> Reply:
    """End a split, or go back to what served before. A dry run returns the rollout as it would be."""
    model, body = await model_of(call), call.body
    command = RollBack(
        model.model_id,
        call.path["environment"],
        body.to_number,
        body.even_if_incompatible,
        call.if_match,
        body.from_number,
        doubts=await lineage.doubts(call.app.pool, model.model_id),
        dry_run=body.dry_run,
    )
    try:
        await submit(call, model, command, role="engineer", reason=body.reason, depends_on=(ENVIRONMENTS,))
    except DryRun as planned:
        return await _planned(call, model, planned)
    return await _answer(call, model)


async def stop_rollout(call: Call[Stop]) -> Reply:
    model, body = await model_of(call), call.body
    command = StopRollout(model.model_id, call.path["environment"], call.if_match, body.from_number)
    await submit(call, model, command, role="engineer", reason=body.reason, depends_on=(ENVIRONMENTS,))
    return await _answer(call, model)


async def route_request(call: Call[None, RouteQuery]) -> dict[str, Any]:
    """Return the version that serves this request, by the shares of the rollout.

    Without a key, each request is drawn again.
    """
    model, q = await model_of(call), call.query
    row = await _rollout(call, model, q.environment)
    entries = msgspec.json.decode(row["entries"], type=tuple[ServingEntry, ...])
    if not entries:
        raise stopped(row["model"], q.environment)
    entry = pick(entries, q.key or secrets.token_hex(8))
    if entry.withdrawn:
        raise RuleBroken(
            "version_withdrawn",
            f"Version {entry.number} of {row['model']} serves in {q.environment} and is withdrawn "
            f"({entry.withdrawn}): roll back, or stop the rollout.",
            number=entry.number,
        )
    return {
        "model_id": model.model_id,
        "model": row["model"],
        "environment": q.environment,
        "number": entry.number,
        "semver": entry.semver,
        "role": entry.role,
        "conditions": entry.conditions,
    }


def stopped(model: str, environment: str) -> RuleBroken:
    """Return the error for a client that needs the champion of a stopped rollout."""
    return RuleBroken(
        "rollout_stopped",
        f"The rollout of {model} in {environment} is stopped, so no version serves there: switch to a "
        "promoted version, or roll back to one by its number.",
    )


async def _rollout(call: Call, model: ModelRef, environment: str) -> dict[str, Any]:
    row = await parts(call).rollouts.get((model.model_id, environment))
    if row is None:
        raise await not_serving(call, model.namespace, environment)
    return row


async def _answer(call: Call, model: ModelRef) -> Reply:
    row = await _rollout(call, model, call.path["environment"])
    return Reply(row, etag=row["revision"])


async def _planned(call: Call, model: ModelRef, planned: DryRun) -> Reply:
    row, back = await _rollout(call, model, call.path["environment"]), planned.rolled_back
    left = back.from_number if back.from_number != back.to_number else None
    changes = {
        "champion": back.to_number,
        "entries": [ServingEntry(e.number, e.semver, e.percent, e.role) for e in back.entries],
        "previous": back.previous,
        "rolled_back_from": left or None,
        "skipped": back.skipped,
        "warning": back.warning,
        "revision": planned.revision,
        "dry_run": True,
    }
    return Reply({**row, **changes})


_ONE = "/v1/models/{model}/rollouts/{environment}"
ROUTES = (
    Route(
        "GET",
        "/v1/models/{model}/rollouts",
        list_rollouts,
        "Who serves, in every environment",
        query=AsOfQuery,
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
        "POST",
        _ONE + ":stop",
        stop_rollout,
        "Stop: no version serves any more",
        body=Stop,
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
        also=(409,),
        tags=["rollouts"],
    ),
)
