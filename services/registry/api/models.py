"""Models: list, register, describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.registry import queries
from services.registry.api.calls import model_of, parts, submit
from services.registry.api.past import model_then, models_then
from services.registry.as_of import answers
from services.registry.domain.model.state import stream_of
from services.registry.domain.naming.description import DescribeModel, RegisterModel
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.naming.selection import DEFAULT_KIND, DEFAULT_TIER, may_choose, role_to_create
from services.registry.domain.naming.selection import STREAM as POLICIES
from services.registry.look_ups import ModelRef
from services.registry.shapes.common import AsOfQuery
from services.registry.shapes.models import ModelAnswer, ModelChanges, Models, NewModel
from services.registry.shapes.search import ModelQuery
from shared.deciding.access import namespace_of
from shared.deciding.decider import NotFound
from shared.deciding.events import encode
from shared.deciding.person import Person
from shared.deciding.submission import Permission, Submission, new_id
from shared.http.routes import Call, Reply, Route
from shared.identity.recognised import recognised

NOT_SHOWN = frozenset({"changed_at", "hidden", "shown_at", "shown_revision"})
"""Columns of MODELS that an answer leaves out."""


async def list_models(call: Call[None, ModelQuery]) -> dict[str, Any]:
    q, readable = call.query, call.readable()
    after, tags = q.after(str), q.wanted_tags()
    if q.as_of is not None:
        then = await models_then(call, q.as_of, after[0] if after else "")
        return then | {"items": [_shown(row) for row in then["items"]]}
    statement, values = queries.list_models_sql(
        readable,
        q.search,
        {
            "kind": q.kind,
            "owner": q.owner,
            "tier": q.tier,
            "tags": encode(tags["tags"]).decode() if tags["tags"] else None,
            "tag_names": tags["tag_names"],
        },
    )
    page = (after[0] if after else "", readable, q.page_size)
    search = bool(values) or readable is not None
    rows = await call.app.list_rows(statement, *page, *values, search=search)
    items = [_shown(row) for row in rows]
    return {"items": items, "too_long": [], "next_page_token": q.next_token(rows, "name")}


async def register_model(call: Call[NewModel]) -> Reply:
    body, cause = call.body, call.cause()
    namespace = namespace_of(body.name)
    may_approve = may_choose(call.access_state, namespace)
    role = role_to_create(may_choose=may_approve)
    call.require(role, namespace)
    command = RegisterModel(
        str(new_id(cause, "model")),
        body.name,
        body.kind or DEFAULT_KIND,
        body.owner or call.actor.subject,
        body.tier or DEFAULT_TIER,
        body.description or "",
        body.tags or {},
        call.actor.subject,
        may_approve=may_approve,
    )
    streams = (stream_of(command.model_id), name_stream(body.name))
    await call.app.transactor.submit(
        Submission(
            command,
            streams,
            cause,
            call.actor,
            depends_on=(POLICIES,),
            permission=Permission(role, namespace),
        )
    )
    return await _answer(call, ModelRef(command.model_id, namespace), status=201)


async def read_model(call: Call[None, AsOfQuery]) -> Reply:
    if call.query.as_of is not None:
        return Reply(_shown(answers.model_row(await model_then(call, call.query.as_of))))
    return await _answer(call, await model_of(call))


async def change_model(call: Call[ModelChanges]) -> Reply:
    model, body = await model_of(call), call.body
    claimed = () if body.name is None else (name_stream(body.name),)
    tags, description = body.new_tags(), body.new_description()
    selects = tags is not None or bool(body.tags) or body.tier is not None
    may_approve = selects and may_choose(call.access_state, model.namespace)
    subject = call.actor.subject
    people = await recognised(call.app.pool, call.app.access, [subject]) if may_approve else {}
    person = people.get(subject, Person(subject))
    command = DescribeModel(
        model.model_id,
        body.name,
        body.owner,
        description,
        tags,
        body.tags or {},
        body.tier,
        by=subject,
        person=person,
        may_approve=may_approve,
        expected=call.if_match,
    )
    await submit(
        call,
        model,
        command,
        role=_role(body, description, may_approve=may_approve),
        streams=claimed,
        depends_on=(POLICIES,) if selects else (),
        also=("approver",) if may_approve else (),
    )
    return await _answer(call, model)


def _role(body: ModelChanges, description: str | None, *, may_approve: bool) -> str:
    """Return the role that the change needs: an approver may change what selects policies, and only that."""
    only_selects = body.name is None and body.owner is None and description is None
    return "approver" if may_approve and only_selects else "engineer"


async def _answer(call: Call, model: ModelRef, status: int = 200) -> Reply:
    row = await parts(call).models.get(model.model_id)
    if row is None:
        raise NotFound("unknown_model", f"There is no model {model.model_id}: check the id.")
    return Reply(_shown(row), status, etag=row["revision"])


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in NOT_SHOWN}
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
        query=AsOfQuery,
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
