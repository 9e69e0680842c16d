"""What became of a message; and the refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from services.registry import queries
from services.registry.api.calls import intake
from services.registry.inbound import Problem as Reason
from services.registry.shapes import ChangeAnswer
from shared.deciding.access import ANY_ROLE, namespace_of
from shared.deciding.decider import NotFound
from shared.http.routes import Body, Call, PageQuery, Reply, Route


class PublicationQuery(Body):
    """What the message named: needed to find the version that was there already (then nothing new is in the log).

    `publisher` signed the message; without it, the caller did.
    """

    model: str | None = Field(default=None, max_length=200)
    artifact_digest: str | None = Field(default=None, max_length=100)
    publisher: str | None = Field(default=None, max_length=200)


class RefusalQuery(PageQuery):
    model: str | None = Field(default=None, max_length=200)
    correlation_id: str | None = Field(default=None, max_length=200)


class PublicationAnswer(Body):
    """`state`: registered, draft, existing (nothing new: the same version was there), or refused."""

    state: str
    model: str
    model_id: str | None = None
    number: int | None = None
    semver: str | None = None
    stage: str | None = None
    problems: list[Reason] = Field(default=[])


class RefusalAnswer(Body):
    """`number`: the draft that was to be completed, 0 for a new version; `proof`: what contradicts an exact claim."""

    stream: str
    revision: int
    model: str
    number: int
    problems: list[Reason]
    proof: list[ChangeAnswer]
    artifact_digest: str
    creator: str
    refused_at: str
    refused_of: str
    correlation_id: str


class Refusals(Body):
    items: list[RefusalAnswer]
    next_page_token: str


async def publication(call: Call) -> Reply:
    """404 until the message was seen."""
    message, pool = call.path["message_id"], call.app.pool
    row = await pool.fetchrow(queries.PUBLISHED, message)
    if row is not None:
        return _version(call, row, "registered" if row["semver"] else "draft")
    refused = await pool.fetchrow(queries.REFUSED, message)
    if refused is not None:
        if refused["refused_of"] != call.actor.subject:
            call.require(ANY_ROLE, namespace_of(refused["model"]))
        return Reply({"state": "refused", "model": refused["model"], "problems": refused["problems"]})
    q: PublicationQuery = call.query
    source = f"/publishers/{q.publisher or call.actor.subject}"
    if q.model and q.artifact_digest and await pool.fetchval(queries.KNOWN_CAUSE, source, message):
        place = await intake(call).models.find(q.model)
        row = await pool.fetchrow(queries.SAME_BYTES, place.model_id, q.artifact_digest) if place else None
        if row is not None:
            return _version(call, row, "existing")
    raise NotFound(
        "not_seen", "No message of this id has been seen: wait; if it stays so, look among the dead letters."
    )


def _version(call: Call, row: Any, state: str) -> Reply:
    call.require(ANY_ROLE, row["namespace"])
    shown = {name: value for name, value in row.items() if name != "namespace"}
    return Reply({"state": state, **shown, "semver": row["semver"] or "", "problems": []})


async def list_refusals(call: Call) -> dict[str, Any]:
    q: RefusalQuery = call.query
    after = q.after(datetime, str, int) or (datetime.max.replace(tzinfo=UTC), "", 0)
    readable = call.readable()
    if q.model and readable is not None:
        call.require(ANY_ROLE, namespace_of(q.model))
    rows = await call.app.pool.fetch(
        queries.REFUSALS, *after, readable, q.model, q.correlation_id, q.page_size
    )
    token = q.next_token(rows, "refused_at", "stream", "revision")
    return {"items": [dict(row) for row in rows], "next_page_token": token}


ROUTES = (
    Route(
        "GET",
        "/v1/publications/{message_id}",
        publication,
        "What became of a message",
        query=PublicationQuery,
        response=PublicationAnswer,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/refusals",
        list_refusals,
        "Refused registrations, newest first",
        query=RefusalQuery,
        response=Refusals,
        tags=["versions"],
    ),
)
