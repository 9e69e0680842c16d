"""Versions: register, complete, read, compare; and what is decided about one."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.registry import queries
from services.registry.api.calls import LARGEST, Because, Reason, intake, model_of, number_of, send
from services.registry.api.refused import refusal_in
from services.registry.domain.model.events import Evaluation
from services.registry.domain.naming.name import is_model_id
from services.registry.domain.promotion.promotion import RequestPromotion
from services.registry.domain.promotion.verdicts import (
    PlaceLegalHold,
    RecallVersion,
    RecordEvaluation,
    RejectVersion,
    ReleaseLegalHold,
)
from services.registry.domain.registration.metadata import Metadata
from services.registry.domain.versioning.diff import differences
from services.registry.inbound import Label, ModelTrained, Name, Text, VersionFacts, read
from services.registry.look_ups import Place
from services.registry.shapes import DiffAnswer, TrainedVersions, VersionAnswer, Versions
from shared.deciding.access import permits
from shared.deciding.decider import NotFound, Unprocessable
from shared.deciding.events import Recorded
from shared.deciding.submission import Submission, new_id
from shared.http.routes import Body, Call, PageQuery, Reply, Route
from shared.log.transact import routed


class Registration(ModelTrained):
    """The data of a `ModelTrained` message. The path names the model; `model` may be left out."""

    model: Name = ""


class VersionQuery(PageQuery):
    stage: str | None = Field(default=None, max_length=20)
    artifact_digest: str | None = Field(default=None, max_length=100)
    correlation_id: str | None = Field(default=None, max_length=200)


class TrainedOnQuery(PageQuery):
    """`trained_on`: the name or the digest of a data set."""

    trained_on: str = Field(min_length=1, max_length=500)


class DiffQuery(Body):
    """Two versions, each a number, a semantic version or @ with an alias or environment."""

    from_: str = Field(alias="from", max_length=100)
    to: str = Field(max_length=100)


class NewEvaluation(Body):
    """A metric measured on a named data set. `independent`: not by those who made the version."""

    name: Name
    value: float
    dataset_digest: Label
    dataset_name: Label = ""
    definition: Text | None = None
    higher_is_better: bool = True
    primary: bool = False
    independent: bool = False


class PromotionRequest(Reason):
    environment: str = Field(default="production", max_length=40)


class PromotionAnswer(Body):
    """The request is open; approval decides. `digest` covers all the evidence."""

    promotion_id: str
    model_id: str
    number: int
    environment: str
    digest: str


async def register(call: Call) -> Reply:
    """Registers a version; the same artifact with the same metadata is answered with the version that is there."""
    told, model = read(call.raw), call.path["model"]
    if told.model not in {"", model} and not is_model_id(model):
        raise Unprocessable(
            "model_differs",
            f"The path names {model}, the body {told.model}: name the same model, or leave it out of the body.",
        )
    cause = call.cause()

    async def build() -> Submission:
        return await intake(call).registration(model, told, cause, call.actor, creator=call.actor.subject)

    outcome = await routed(call.app.transactor, build)
    refusal_in(outcome)
    for recorded in outcome.events:
        if recorded.type == "VersionRegistered":
            return _born(recorded)
    place, same = await intake(call).models.get(model), (await build()).command.identity
    return await _answer(
        call, place, await call.app.pool.fetchval(queries.SAME_VERSION, place.model_id, same)
    )


async def list_versions(call: Call) -> dict[str, Any]:
    place, q = await model_of(call), call.query
    after = q.after(int)
    asked = (q.stage, q.artifact_digest, q.correlation_id, q.page_size)
    rows = await call.app.pool.fetch(queries.VERSIONS, place.model_id, after[0] if after else LARGEST, *asked)
    token = q.next_token(rows, "number")
    return {"items": [dict(row) for row in rows], "next_page_token": token}


async def list_trained_on(call: Call) -> dict[str, Any]:
    """Of all models that the caller may read."""
    call.require_any_role()
    q: TrainedOnQuery = call.query
    after = q.after(str, int) or ("", 0)
    rows = await call.app.pool.fetch(queries.TRAINED_ON, q.trained_on, *after, call.readable(), q.page_size)
    return {"items": [dict(row) for row in rows], "next_page_token": q.next_token(rows, "model_id", "number")}


async def read_version(call: Call) -> Reply:
    place = await model_of(call)
    return await _answer(call, place, await number_of(call, place))


async def complete(call: Call) -> Reply:
    """Adds what a draft lacks; as soon as nothing is missing it gets its semantic version."""
    place = await model_of(call)
    number = await number_of(call, place)
    told, cause = read(call.raw), call.cause()

    async def build() -> Submission:
        row = await call.app.pool.fetchrow(queries.DOCUMENT, place.model_id, number)
        known = queries.document(row["stored"]) if row else Metadata()
        return await intake(call).completion(place, number, told, known, call.if_match, cause, call.actor)

    refusal_in(await routed(call.app.transactor, build))
    return await _answer(call, place, number)


async def diff(call: Call) -> dict[str, Any]:
    """What changed from one version to another. Metrics on other data are "not comparable"."""
    place = await model_of(call)
    old, new = [await _document(call, place, reference) for reference in (call.query.from_, call.query.to)]
    changes = differences(old[1], new[1], noise=())
    return {"model_id": place.model_id, "old": old[0], "new": new[0], "changes": changes}


async def _document(call: Call, place: Place, reference: str) -> tuple[dict[str, Any], Metadata]:
    number = await number_of(call, place, reference)
    row = await call.app.pool.fetchrow(queries.DOCUMENT, place.model_id, number)
    if row is None:
        raise _unknown(number)
    return {"number": number, "semver": row["semver"]}, queries.document(row["stored"])


async def evaluate(call: Call) -> Reply:
    place, body = await model_of(call), call.body
    number = await number_of(call, place)
    evaluation = Evaluation(**body.model_dump(), by=call.actor.subject)
    role = next(
        (role for role in ("engineer", "auditor") if permits(call.access_state, role, place.namespace)),
        "publisher",
    )
    await send(call, place, RecordEvaluation(place.model_id, number, evaluation, call.if_match), role=role)
    return await _answer(call, place, number)


async def promote(call: Call) -> Reply:
    """Asks for Production; while a request over the same evidence is open, that one is answered."""
    place, body = await model_of(call), call.body
    number = await number_of(call, place)
    command = RequestPromotion(
        place.model_id,
        number,
        body.environment,
        str(new_id(call.cause(), "promotion")),
        call.actor.subject,
        call.if_match,
    )
    outcome = await send(call, place, command, role="engineer", reason=body.reason)
    answer = {"model_id": place.model_id, "number": number, "environment": body.environment}
    for recorded in outcome.events:
        if recorded.type == "PromotionRequested":  # those that it supersedes are refused before it
            return Reply(
                {**answer, "promotion_id": recorded.event.promotion_id, "digest": recorded.event.digest}, 202
            )
    row = await call.app.pool.fetchrow(queries.PROMOTION, place.model_id, number, body.environment)
    return Reply(
        {**answer, "promotion_id": row["promotion_id"], "digest": row["digest"]},
        200 if row["state"] == "promoted" else 202,
    )


async def reject(call: Call) -> Reply:
    return await _decide(
        call,
        lambda model_id, number, expected: RejectVersion(model_id, number, call.body.reason, expected),
        "engineer",
    )


async def recall(call: Call) -> Reply:
    return await _decide(call, RecallVersion, "engineer")


async def hold(call: Call) -> Reply:
    return await _decide(call, PlaceLegalHold, "engineer")


async def release_hold(call: Call) -> Reply:
    return await _decide(call, ReleaseLegalHold, "admin")


async def _decide(call: Call, command: Any, role: str) -> Reply:
    place = await model_of(call)
    number = await number_of(call, place)
    await send(
        call, place, command(place.model_id, number, call.if_match), role=role, reason=call.body.reason
    )
    return await _answer(call, place, number)


def _unknown(number: int) -> NotFound:
    return NotFound("unknown_version", f"There is no version {number}: see the model's list of versions.")


async def _answer(call: Call, place: Place, number: int) -> Reply:
    """The version with all that is known of it. Its ETag is the revision of the last event about it."""
    row = await call.app.pool.fetchrow(queries.VERSION, place.model_id, number)
    if row is None:
        raise _unknown(number)
    return Reply(_shown(dict(row), queries.document(row["stored"])), 200, etag=row["revision"])


def _born(recorded: Recorded) -> Reply:
    """A version just registered: its row is known before anybody reads it."""
    return Reply(_shown(queries.born(recorded), recorded.event.metadata), 201, etag=recorded.revision)


def _shown(row: dict[str, Any], document: Metadata) -> dict[str, Any]:
    hidden = {"document", "identity", "message_id", "stored", "dataset_name", "dataset_digest"}
    told = {
        "artifact": document.artifact,
        "training": document.training,
        "signature": document.signature,
        "parents": document.parents,
    }
    return {
        **{name: value for name, value in row.items() if name not in hidden},
        "semver": row["semver"] or "",
        **told,
    }


_ONE = "/v1/models/{model}/versions/{version}"
ROUTES = (
    Route(
        "POST",
        "/v1/models/{model}/versions",
        register,
        "Register a version",
        body=Registration,
        response=VersionAnswer,
        status=201,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/models/{model}/versions",
        list_versions,
        "The versions of a model, newest first",
        query=VersionQuery,
        response=Versions,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/versions",
        list_trained_on,
        "What was trained on a data set, and where it serves",
        query=TrainedOnQuery,
        response=TrainedVersions,
        tags=["versions"],
    ),
    Route("GET", _ONE, read_version, "One version", response=VersionAnswer, tags=["versions"]),
    Route(
        "PATCH",
        _ONE,
        complete,
        "Add what a draft lacks",
        body=VersionFacts,
        response=VersionAnswer,
        needs_if_match=True,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/models/{model}/diff",
        diff,
        "What changed between two versions",
        query=DiffQuery,
        response=DiffAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + "/evaluations",
        evaluate,
        "Record an evaluation",
        body=NewEvaluation,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":promote",
        promote,
        "Ask for promotion",
        body=PromotionRequest,
        response=PromotionAnswer,
        status=202,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":reject",
        reject,
        "Reject a version",
        body=Because,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":recall",
        recall,
        "Recall a version: it must not be used any more",
        body=Because,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":hold",
        hold,
        "Place a legal hold",
        body=Because,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":release-hold",
        release_hold,
        "Release the legal hold",
        body=Because,
        response=VersionAnswer,
        tags=["versions"],
    ),
)
