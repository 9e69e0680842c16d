"""Rollouts: who serves where, the switch, the way back; and which version serves a request."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import msgspec
from pydantic import Field

from services.registry import queries
from services.registry.api.calls import LARGEST, Because, Reason, model_of, send
from services.registry.domain.model.events import Entry, Role
from services.registry.domain.serving.rollout import ChangeRollout, RollBack, Share
from services.registry.domain.serving.routing import pick
from services.registry.look_ups import Place
from shared.deciding.decider import NotFound
from shared.http.routes import Body, Call, Reply, Route


class NewEntry(Body):
    number: int = Field(ge=1, le=LARGEST)
    percent: int = Field(ge=0, le=100)
    role: Role


class NewRollout(Reason):
    """The whole rollout: one champion, percentages that add up to 100."""

    entries: Annotated[list[NewEntry], Field(min_length=1, max_length=20)]


class Rollback(Because):
    """Without `to_number`: to what served before.

    `even_if_incompatible`: in spite of a signature that does not serve today's callers.
    """

    to_number: int | None = Field(default=None, ge=1, le=LARGEST)
    even_if_incompatible: bool = False


class RouteQuery(Body):
    """The same `key` (a user, say) is always sent to the same version while the rollout stays."""

    environment: str = Field(default="production", max_length=40)
    key: str = Field(default="", max_length=500)


class SkippedAnswer(Body):
    number: int
    why: str


class RolloutAnswer(Body):
    """Who serves. `skipped`: what the rollback that led here passed over. `revision` is the ETag."""

    model_id: str
    model: str
    environment: str
    champion: int
    entries: list[dict[str, Any]]
    previous: list[dict[str, Any]]
    rolled_back_from: int | None
    skipped: list[SkippedAnswer] | None
    changed_at: str
    changed_by: str
    reason: str
    revision: int


class Rollouts(Body):
    items: list[RolloutAnswer]


class RouteAnswer(Body):
    model_id: str
    model: str
    environment: str
    number: int
    semver: str
    role: Role


async def list_rollouts(call: Call) -> dict[str, Any]:
    place = await model_of(call)
    rows = await call.app.pool.fetch(queries.ROLLOUTS, place.model_id)
    return {"items": [dict(row) for row in rows]}


async def read_rollout(call: Call) -> Reply:
    return await _answer(call, await model_of(call))


async def change_rollout(call: Call) -> Reply:
    place, body = await model_of(call), call.body
    shares = tuple(Share(e.number, e.percent, e.role) for e in body.entries)
    command = ChangeRollout(place.model_id, call.path["environment"], shares, call.if_match)
    await send(call, place, command, role="engineer", reason=body.reason)
    return await _answer(call, place)


async def roll_back(call: Call) -> Reply:
    place, body = await model_of(call), call.body
    command = RollBack(
        place.model_id, call.path["environment"], body.to_number, body.even_if_incompatible, call.if_match
    )
    await send(call, place, command, role="engineer", reason=body.reason)
    return await _answer(call, place)


async def route(call: Call) -> dict[str, Any]:
    """Which version serves this request, by the shares of the rollout; without a key each request is drawn anew."""
    place, q = await model_of(call), call.query
    row = await _rollout(call, place, q.environment)
    entry = pick(msgspec.json.decode(row["entries"], type=tuple[Entry, ...]), q.key or secrets.token_hex(8))
    return {
        "model_id": place.model_id,
        "model": row["model"],
        "environment": q.environment,
        "number": entry.number,
        "semver": entry.semver,
        "role": entry.role,
    }


async def _rollout(call: Call, place: Place, environment: str) -> Any:
    row = await call.app.pool.fetchrow(queries.ROLLOUT, place.model_id, environment)
    if row is None:
        raise NotFound(
            "no_rollout", f"Nothing of this model serves in {environment!r:.60}: promote a version there."
        )
    return row


async def _answer(call: Call, place: Place) -> Reply:
    row = await _rollout(call, place, call.path["environment"])
    return Reply(dict(row), etag=row["revision"])


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
        route,
        "Which version serves this request",
        query=RouteQuery,
        response=RouteAnswer,
        tags=["rollouts"],
    ),
)
