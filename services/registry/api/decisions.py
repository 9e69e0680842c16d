"""What a person decides about a version: rejection, withdrawal and its reversal, reopening, legal hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from services.registry import queries
from services.registry.api.calls import model_of, number_of, other_identities, own_role, submit
from services.registry.api.lineage import refuse_promotions_below
from services.registry.api.versions import answer_version
from services.registry.domain.model.metadata import Metadata
from services.registry.domain.withdrawal.legal_hold import PlaceLegalHold, ReleaseLegalHold
from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from services.registry.domain.withdrawal.retirement import RetireOnRequest
from services.registry.domain.withdrawal.reversal import ReinstateVersion, ReopenVersion
from services.registry.lineage import queries as lineage
from services.registry.look_ups import written_streams
from services.registry.shapes.common import RequiredReason
from services.registry.shapes.versions import VersionAnswer
from shared.deciding.decider import Forbidden
from shared.http.routes import Call, Reply, Route


async def reject_version(call: Call[RequiredReason]) -> Reply:
    """Reject a version. A publisher rejects own versions only."""
    role, own_only = own_role(call, await model_of(call), "engineer")

    def command(model_id: str, number: int, expected: int | None) -> RejectVersion:
        subject = call.actor.subject
        return RejectVersion(model_id, number, call.body.reason, expected, subject, own_only=own_only)

    return await _decide(call, command, role)


async def withdraw_version(call: Call[RequiredReason]) -> Reply:
    """Withdraw the version; propose that where its policy wants a second person.

    The open promotions of what was made from a withdrawn version are refused.
    """
    person = call.access_state.kind == "person"
    others = await other_identities(call)
    command = partial(RecallVersion, by=call.actor.subject, person=person, others=others)
    reply = await _decide(call, command, "engineer")
    model = await model_of(call)
    await refuse_promotions_below(call, model.model_id, await number_of(call, model))
    return reply


async def reinstate_version(call: Call[RequiredReason]) -> Reply:
    """Undo a withdrawal. Only a person who did not withdraw the version may."""
    others = await other_identities(call)

    def command(model_id: str, number: int, expected: int | None) -> ReinstateVersion:
        if call.access_state.kind != "person":
            raise Forbidden("person_needed", "Only a person reinstates a version: sign in as one.")
        return ReinstateVersion(model_id, number, call.actor.subject, expected, others)

    return await _decide(call, command, "engineer")


async def reopen_version(call: Call[RequiredReason]) -> Reply:
    return await _decide(call, ReopenVersion, "engineer")


async def retire_version(call: Call[RequiredReason]) -> Reply:
    """Retire a version, unless something needs it. The streams of its parents are written, too."""
    model = await model_of(call)
    number = await number_of(call, model)
    row = await call.app.pool.fetchrow(queries.DOCUMENT, model.model_id, number)
    document = queries.document(row["stored"]) if row else Metadata()
    doubts = await lineage.doubts(call.app.pool, model.model_id)
    command = RetireOnRequest(model.model_id, number, doubts, call.if_match)
    parents = written_streams((), document)
    await submit(call, model, command, role="engineer", streams=parents, reason=call.body.reason)
    return await answer_version(call, model, number)


async def place_legal_hold(call: Call[RequiredReason]) -> Reply:
    return await _decide(call, PlaceLegalHold, "engineer")


async def release_legal_hold(call: Call[RequiredReason]) -> Reply:
    return await _decide(call, ReleaseLegalHold, "admin")


async def _decide(
    call: Call[RequiredReason], command: Callable[[str, int, int | None], object], role: str
) -> Reply:
    model = await model_of(call)
    number = await number_of(call, model)
    made = command(model.model_id, number, call.if_match)
    await submit(call, model, made, role=role, reason=call.body.reason)
    return await answer_version(call, model, number)


_ONE = "/v1/models/{model}/versions/{version}"
ROUTES = (
    Route(
        "POST",
        _ONE + ":reject",
        reject_version,
        "Reject a version",
        body=RequiredReason,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":withdraw",
        withdraw_version,
        "Withdraw a version: it must not be used any more",
        former=[_ONE + ":recall"],
        body=RequiredReason,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":reinstate",
        reinstate_version,
        "Undo the withdrawal of a version",
        body=RequiredReason,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":reopen",
        reopen_version,
        "Move an archived version back to Staging: its gates are assessed again",
        body=RequiredReason,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":retire",
        retire_version,
        "Retire a version that nothing needs; its tombstone stays",
        body=RequiredReason,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":place-legal-hold",
        place_legal_hold,
        "Place a legal hold",
        former=[_ONE + ":hold"],
        body=RequiredReason,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":release-legal-hold",
        release_legal_hold,
        "Release the legal hold",
        former=[_ONE + ":release-hold"],
        body=RequiredReason,
        response=VersionAnswer,
        tags=["versions"],
    ),
)
