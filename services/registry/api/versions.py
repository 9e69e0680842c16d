"""Versions: register, complete, list, read, compare; and what a person decides about one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.registry import queries, schema_words
from services.registry.api.calls import check_parents, look_ups, model_of, number_of, parts, submit
from services.registry.api.past import version_then, versions_then
from services.registry.api.refusals import raise_refusal
from services.registry.api.registrations import submit_registration
from services.registry.domain.model.events import Evaluation, PromotionRefused, PromotionRequested
from services.registry.domain.model.metadata import Metadata, corrected
from services.registry.domain.model.past import makers_of
from services.registry.domain.model.state import stream_of
from services.registry.domain.promotion.promotion import RequestPromotion
from services.registry.domain.registration.described import not_taken_of_existing
from services.registry.domain.serving.environment import ENVIRONMENTS
from services.registry.domain.validation.evaluations import RecordEvaluation
from services.registry.domain.versioning.diff import differences
from services.registry.inbound import VersionFacts
from services.registry.lineage import queries as lineage
from services.registry.look_ups import ModelRef
from services.registry.search import queries as search
from services.registry.shapes.common import LARGEST, AsOfQuery
from services.registry.shapes.search import Aware, VersionQuery, VersionsOfModelQuery
from services.registry.shapes.versions import (
    DiffAnswer,
    DiffQuery,
    NewEvaluation,
    PromotionAnswer,
    PromotionRequest,
    Registration,
    VersionAnswer,
    Versions,
)
from services.registry.trained_message import RegistrationMessage, VersionMessage
from shared.deciding.access import permits
from shared.deciding.decider import NotFound
from shared.deciding.events import Recorded
from shared.deciding.person import Person
from shared.deciding.submission import Permission, Submission, new_id
from shared.http.routes import Call, Reply, Route
from shared.identity.recognised import recognised
from shared.log.transact import routed


async def register_version(call: Call[RegistrationMessage]) -> Reply:
    """Register a version.

    When the same artifact with the same metadata is registered already, return that version.
    """
    outcome, build = await submit_registration(call)
    name = call.path["model"]
    for recorded in outcome.events:
        if recorded.type == "VersionRegistered" and not recorded.event.metadata.parents:
            return _registered(recorded)
        if recorded.type == "VersionRegistered":
            found = await look_ups(call).models.get(recorded.stream.removeprefix("model-"))
            return replace(await answer_version(call, found, recorded.event.number), status=201)
    model, command = await look_ups(call).models.get(name), (await build()).command
    identities = command.identities
    number = await call.app.pool.fetchval(queries.SAME_VERSION, model.model_id, identities)
    state = call.app.transactor.states.get(stream_of(model.model_id)).state
    notes = [f"{p.field}: {p.problem}" for p in not_taken_of_existing(command, state)]
    return await answer_version(call, model, number, notes)


async def list_versions(call: Call[None, VersionsOfModelQuery]) -> dict[str, Any]:
    q = call.query
    after = q.after(int)
    before = after[0] if after else LARGEST
    if q.as_of is not None:
        return await versions_then(call, q.as_of, before)
    model = await model_of(call)
    wanted = q.wanted()
    statement, values = search.of_model(wanted, model.model_id, before, q.page_size)
    rows = await call.app.list_rows(statement, *values, search=wanted.filters)
    token = q.next_token(rows, "number")
    return {"items": [dict(row) for row in rows], "next_page_token": token}


async def search_versions(call: Call[None, VersionQuery]) -> dict[str, Any]:
    """List versions of all models that the caller may read, the newest first."""
    call.require_any_role()
    q = call.query
    after = q.after(Aware, str, int) or (datetime.max.replace(tzinfo=UTC), "", LARGEST)
    statement, values = search.of_all(q.wanted(), after, q.page_size, call.readable())
    rows = await call.app.list_rows(statement, *values, search=True)
    token = q.next_token(rows, "registered_at", "model_id", "number")
    return {"items": [dict(row) for row in rows], "next_page_token": token}


async def read_version(call: Call[None, AsOfQuery]) -> Reply:
    if call.query.as_of is not None:
        return Reply(_shown(*await version_then(call, call.query.as_of)))
    model = await model_of(call)
    return await answer_version(call, model, await number_of(call, model))


async def complete_version(call: Call[VersionMessage]) -> Reply:
    """Add metadata to a draft. It gets its semantic version as soon as nothing is missing."""
    model = await model_of(call)
    number = await number_of(call, model)
    await check_parents(call, call.body)
    cause = call.cause()

    async def build() -> Submission:
        row = await call.app.pool.fetchrow(queries.DOCUMENT, model.model_id, number)
        draft = queries.document(row["stored"]) if row else Metadata()
        return await look_ups(call).completion(
            model, number, call.body, draft, call.if_match, cause, call.actor
        )

    raise_refusal(await routed(call.app.transactor, build))
    return await answer_version(call, model, number)


async def diff_versions(call: Call[None, DiffQuery]) -> dict[str, Any]:
    """Return what changed from one version to another.

    Metrics on other data are "not comparable"; configuration values that do not count are marked as noise.
    """
    model = await model_of(call)
    (old, before), (new, after) = [
        await _document(call, model, reference) for reference in (call.query.from_, call.query.to)
    ]
    changes = differences(before, after, parts(call).bump_policy.noise)
    shown = [schema_words.change(one) for one in changes]
    return {"model_id": model.model_id, "old": old, "new": new, "changes": shown}


async def _document(call: Call, model: ModelRef, reference: str) -> tuple[dict[str, Any], Metadata]:
    number = await number_of(call, model, reference)
    row = await call.app.pool.fetchrow(queries.DOCUMENT, model.model_id, number)
    if row is None:
        raise _unknown(number)
    document = corrected(queries.document(row["stored"]), queries.corrections_of(row))
    return {"number": number, "semver": row["semver"]}, document


async def record_evaluation(call: Call[NewEvaluation]) -> Reply:
    model, body = await model_of(call), call.body
    number = await number_of(call, model)
    evaluation = Evaluation(**body.model_dump(), by=call.actor.subject)
    started_by = call.actor.on_behalf_of or ""
    who = (call.actor.subject, *((started_by,) if started_by else ()))
    people = await _people(call, model, number, *who) if evaluation.independent else {}
    role = next(
        (role for role in ("engineer", "auditor") if permits(call.access_state, role, model.namespace)),
        "publisher",
    )
    command = RecordEvaluation(model.model_id, number, evaluation, call.if_match, people, started_by)
    await submit(call, model, command, role=role)
    return await answer_version(call, model, number)


async def request_promotion(call: Call[PromotionRequest]) -> Reply:
    """Request Production. While a request on the same evidence is open, return that one."""
    model, body = await model_of(call), call.body
    number = await number_of(call, model)
    call.require("engineer", model.namespace)
    cause = call.cause()

    async def build() -> Submission:
        selector = call.app.transactor.states.get(stream_of(model.model_id)).state.selected_by
        people = await _people(call, model, number, selector, call.actor.subject) if selector else {}
        command = RequestPromotion(
            model.model_id,
            number,
            body.environment,
            str(new_id(cause, "promotion")),
            call.actor.subject,
            call.if_match,
            serve=body.serve,
            selected_by=selector,
            people=people,
            recalled_ancestors=await lineage.recalled_ancestors(call.app.pool, model.model_id, number),
        )
        permission = Permission("engineer", model.namespace)
        written = (stream_of(model.model_id),)
        return Submission(
            command, written, cause, call.actor, (ENVIRONMENTS,), permission, reason=body.reason
        )

    outcome = await routed(call.app.transactor, build)
    answer = {"model_id": model.model_id, "number": number, "environment": body.environment}
    if made := _requested(outcome.events):
        return Reply(answer | made | {"state": "open", "new": True}, 202)
    row = await call.app.pool.fetchrow(queries.PROMOTION, model.model_id, number, body.environment)
    return Reply(
        answer | dict(row) | {"new": False, "superseded": []}, 200 if row["state"] == "promoted" else 202
    )


def _requested(events: Sequence[Recorded]) -> dict[str, Any]:
    """Return the facts of the promotion that these events request, {} if none does."""
    superseded: list[str] = []
    for recorded in events:
        match recorded.event:
            case PromotionRefused(promotion_id=id_):  # those in whose place the request stands come before it
                superseded.append(id_)
            case PromotionRequested() as made:
                facts = {name: getattr(made, name) for name in ("promotion_id", "digest", "serve")}
                who = {"requested_by": made.requester, "reason": recorded.reason}
                return facts | who | {"superseded": superseded}
            case _:
                continue
    return {}


async def _people(call: Call[Any], model: ModelRef, number: int, *subjects: str) -> dict[str, Person]:
    """Return all by which these subjects and the makers of the version are recognised."""
    row = await call.app.pool.fetchrow(queries.DOCUMENT, model.model_id, number)
    makers = makers_of(queries.document_event(row["stored"])) if row else ()
    return await recognised(call.app.pool, call.app.access, {*subjects, *makers})


def _unknown(number: int) -> NotFound:
    return NotFound("unknown_version", f"There is no version {number}: see the model's list of versions.")


async def answer_version(
    call: Call, model: ModelRef, number: int, notes: Sequence[str] | None = None
) -> Reply:
    """Return the version with everything around it. Its ETag is the revision of the last event about it.

    `notes`: the registration notes to return instead of the stored ones.
    """
    row = await parts(call).versions.get((model.model_id, number))
    if row is None:
        raise _unknown(number)
    shown = _shown(row, queries.document_event(row["stored"]))
    return Reply(shown if notes is None else shown | {"registration_notes": notes}, 200, etag=row["revision"])


def _registered(recorded: Recorded) -> Reply:
    """Return a version that was registered just now. Nothing needs to be read for it."""
    return Reply(_shown(queries.registered_row(recorded), recorded.event), 201, etag=recorded.revision)


def _shown(row: Mapping[str, Any], event: queries.DocumentEvent) -> dict[str, Any]:
    document = corrected(event.metadata, queries.corrections_of(row))
    return {
        **{name: value for name, value in row.items() if name not in queries.NOT_SHOWN},
        "semver": row["semver"] or "",
        "description": row["description"] or "",
        "tags": row["tags"] or {},
        "registration_notes": row["registration_notes"] or [],
        "bump": schema_words.bump(event.bump) if row["semver"] and event.bump else None,
        "artifact": document.artifact,
        "training": document.training,
        "schema": document.signature,
        "parents": document.parents,
        "external": document.external,
        "imported_from": document.imported_from,
    }


_ONE = "/v1/models/{model}/versions/{version}"
ROUTES = (
    Route(
        "POST",
        "/v1/models/{model}/versions",
        register_version,
        "Register a version",
        body=RegistrationMessage,
        contract=Registration,
        response=VersionAnswer,
        status=201,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/models/{model}/versions",
        list_versions,
        "The versions of a model, newest first",
        query=VersionsOfModelQuery,
        response=Versions,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/versions:search",
        search_versions,
        "Versions of all models, newest first",
        query=VersionQuery,
        response=Versions,
        tags=["versions"],
    ),
    Route(
        "GET",
        _ONE,
        read_version,
        "One version",
        query=AsOfQuery,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "PATCH",
        _ONE,
        complete_version,
        "Add what a draft lacks",
        body=VersionMessage,
        contract=VersionFacts,
        response=VersionAnswer,
        needs_if_match=True,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/models/{model}/diff",
        diff_versions,
        "What changed between two versions",
        query=DiffQuery,
        response=DiffAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + "/evaluations",
        record_evaluation,
        "Record an evaluation",
        body=NewEvaluation,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":promote",
        request_promotion,
        "Ask for promotion",
        body=PromotionRequest,
        response=PromotionAnswer,
        status=202,
        also=(200,),
        tags=["versions"],
    ),
)
