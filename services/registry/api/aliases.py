"""Aliases, and what they resolve to: the hot path of every load."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.registry import queries
from services.registry.api.calls import LARGEST, is_admin, model_of, send
from services.registry.domain.serving.alias import RemoveAlias, SetAlias
from services.registry.look_ups import Place
from services.registry.parts import Parts
from shared.deciding.access import ANY_ROLE
from shared.deciding.decider import NotFound
from shared.http.routes import Body, Call, Reply, Route


class NewAlias(Body):
    """`protected`: from now on only admins move or remove it; left out, the protection stays as it is."""

    number: int = Field(ge=1, le=LARGEST)
    protected: bool | None = None


class AliasAnswer(Body):
    alias: str
    number: int
    semver: str
    protected: bool
    set_at: str
    set_by: str
    revision: int


class Aliases(Body):
    items: list[AliasAnswer]


class Resolved(Body):
    """The version behind an alias, or the champion of an environment.

    `recalled`: why nobody shall load it, whatever became of its bytes.
    """

    model_id: str
    model: str
    alias: str
    number: int
    semver: str
    stage: str
    artifact_digest: str
    artifact_state: str | None
    recalled: str | None
    retired: bool


async def resolve(call: Call) -> Reply:
    key = (call.path["model"], call.path["alias"])
    resolver = call.app.parts_as(Parts).resolver
    found = await resolver.get(key)
    if found is None:
        raise NotFound(
            "unknown_alias",
            f"{key[0]:.210}@{key[1]:.80} names nothing: see the model's aliases and rollouts.",
        )
    namespace, body, revision = found
    call.require(ANY_ROLE, namespace)
    return Reply(body, etag=revision)


async def list_aliases(call: Call) -> dict[str, Any]:
    place = await model_of(call)
    return {"items": [dict(row) for row in await call.app.pool.fetch(queries.ALIASES, place.model_id)]}


async def read_alias(call: Call) -> Reply:
    return await _answer(call, await model_of(call))


async def set_alias(call: Call) -> Reply:
    place, body = await model_of(call), call.body
    admin = is_admin(call, place)
    command = SetAlias(
        place.model_id,
        call.path["alias"],
        body.number,
        body.protected,
        as_admin=admin,
        expected=call.if_match,
    )
    await send(call, place, command, role="admin" if admin else "engineer")
    return await _answer(call, place)


async def remove_alias(call: Call) -> None:
    place = await model_of(call)
    admin = is_admin(call, place)
    command = RemoveAlias(place.model_id, call.path["alias"], as_admin=admin, expected=call.if_match)
    await send(call, place, command, role="admin" if admin else "engineer")


async def _answer(call: Call, place: Place) -> Reply:
    row = await call.app.pool.fetchrow(queries.ALIAS, place.model_id, call.path["alias"])
    if row is None:
        raise NotFound(
            "unknown_alias", f"The model has no alias {call.path['alias']!r:.80}: see its list of aliases."
        )
    return Reply(dict(row), etag=row["revision"])


_ONE = "/v1/models/{model}/aliases/{alias}"
ROUTES = (
    Route(
        "GET",
        "/v1/resolve/{model}@{alias}",
        resolve,
        "Which version an alias or environment means now",
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
