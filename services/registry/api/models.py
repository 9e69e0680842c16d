"""Models: list, register, describe."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.registry import queries
from services.registry.api.calls import is_admin, model_of, send
from services.registry.domain.model.state import stream_of
from services.registry.domain.naming.description import DescribeModel, RegisterModel
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.registration.metadata import Kind, Tier
from services.registry.inbound import Label, ModelFacts, Name, Tags, Text
from services.registry.look_ups import Place
from shared.deciding.access import namespace_of
from shared.deciding.submission import Permission, Submission, new_id
from shared.http.routes import Body, Call, PageQuery, Reply, Route


class ModelQuery(PageQuery):
    """`search`: part of the name."""

    kind: str | None = Field(default=None, max_length=20)
    owner: str | None = Field(default=None, max_length=500)
    tier: str | None = Field(default=None, max_length=10)
    search: str | None = Field(default=None, max_length=200)


class NewModel(ModelFacts):
    """A model without versions; publishing a version makes its model, too."""

    name: Name


class ModelChanges(Body):
    """Only what is given changes."""

    name: Name | None = None
    owner: Label | None = None
    description: Text | None = None
    tags: Tags | None = None
    tier: Tier | None = None


class ModelAnswer(Body):
    """A model. `revision` is its ETag; `production` the champion's number there."""

    model_id: str
    model: str
    namespace: str
    kind: Kind
    owner: str
    tier: Tier
    description: str
    tags: dict[str, str]
    registered_at: str
    registered_by: str
    newest: int | None
    newest_semver: str | None
    production: int | None
    revision: int


class Models(Body):
    items: list[ModelAnswer]
    next_page_token: str


async def list_models(call: Call) -> dict[str, Any]:
    q: ModelQuery = call.query
    after = q.after(str)
    rows = await call.app.pool.fetch(
        queries.MODELS,
        after[0] if after else "",
        call.readable(),
        q.kind,
        q.owner,
        q.tier,
        q.search,
        q.page_size,
    )
    return {"items": [_shown(row) for row in rows], "next_page_token": q.next_token(rows, "name")}


async def register_model(call: Call) -> Reply:
    body: NewModel = call.body
    cause = call.cause()
    command = RegisterModel(
        str(new_id(cause, "model")),
        body.name,
        body.kind or "model",
        body.owner or call.actor.subject,
        body.tier or "low",
        body.description or "",
        body.tags or {},
    )
    namespace = namespace_of(body.name)
    call.require("publisher", namespace)
    streams = (stream_of(command.model_id), name_stream(body.name))
    await call.app.transactor.submit(
        Submission(command, streams, cause, call.actor, permission=Permission("publisher", namespace))
    )
    return await _answer(call, Place(command.model_id, namespace), status=201)


async def read_model(call: Call) -> Reply:
    return await _answer(call, await model_of(call))


async def change_model(call: Call) -> Reply:
    place, body = await model_of(call), call.body
    names = () if body.name is None else (name_stream(body.name),)
    admin = is_admin(call, place)
    command = DescribeModel(
        place.model_id,
        body.name,
        body.owner,
        body.description,
        body.tags,
        body.tier,
        as_admin=admin,
        expected=call.if_match,
    )
    await send(call, place, command, role="admin" if admin else "engineer", streams=names)
    return await _answer(call, place)


async def _answer(call: Call, place: Place, status: int = 200) -> Reply:
    row = await call.app.pool.fetchrow(queries.ONE_MODEL, place.model_id)
    return Reply(_shown(row), status, etag=row["revision"])


def _shown(row: Any) -> dict[str, Any]:
    shown = dict(row)
    return {"model": shown.pop("name"), **shown}


ROUTES = (
    Route(
        "GET",
        "/v1/models",
        list_models,
        "The models that the caller may see",
        query=ModelQuery,
        response=Models,
        tags=["models"],
    ),
    Route(
        "POST",
        "/v1/models",
        register_model,
        "Register a model without versions",
        body=NewModel,
        response=ModelAnswer,
        status=201,
        tags=["models"],
    ),
    Route(
        "GET",
        "/v1/models/{model}",
        read_model,
        "One model, by name or id",
        response=ModelAnswer,
        tags=["models"],
    ),
    Route(
        "PATCH",
        "/v1/models/{model}",
        change_model,
        "Change name, owner, description, tags or risk tier",
        body=ModelChanges,
        response=ModelAnswer,
        needs_if_match=True,
        tags=["models"],
    ),
)
