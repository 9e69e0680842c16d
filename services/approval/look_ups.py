"""Look up the streams that a command about a version needs, and build the command that assesses its gates."""

from __future__ import annotations

from collections.abc import Callable

from services.approval import queries
from services.approval.domain import policy, review, version_gates
from services.approval.domain.policy import PoliciesState
from services.approval.domain.promotion import AssessGates, CommandStreams, streams_of
from services.approval.domain.review import ReviewState
from services.approval.domain.version_gates import VersionGates
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.http.app import App

APPROVAL = Actor("service:approval")


async def assessment(app: App, model_id: str, number: int, cause: Callable[[str], Cause]) -> Submission:
    """Return the command that assesses the gates of one version. Its streams come from the read models."""
    streams = await queries.streams_for(app.pool, model_id, number)
    return _assessment(model_id, number, streams, cause)


async def assessments(
    app: App, cause: Callable[[str], Cause], model_id: str | None = None
) -> list[Submission]:
    """Return the commands for every open version of one model, or of all models. This takes three queries."""
    versions = dict.fromkeys(await queries.open_versions(app.pool, model_id), ())
    found = await queries.streams_for_all(app.pool, versions)
    return [_assessment(*version, streams, cause) for version, streams in found.items()]


def assessment_after_note(
    app: App, model_id: str, number: int, cause: Callable[[str], Cause]
) -> list[Submission]:
    """Return the command for a version that was just noted, or nothing if it could not lead to an event.

    The commit has read the version's stream under lock. If its gates still wait for another message, the
    consumer of that message reads the same stream under the same lock later, and assesses the gates then.
    """
    held = app.transactor.states.get(version_gates.stream_of(model_id, number))
    state: VersionGates = held.state
    if held.revision and not version_gates.is_open(state):
        return []
    return [assessment_from_states(app, model_id, number, cause)]


def assessment_from_states(app: App, model_id: str, number: int, cause: Callable[[str], Cause]) -> Submission:
    """Return the command for one version, with streams from the states of this process, without a query.

    When policies or reviews have been added elsewhere, the command is Misrouted. That loads their streams, so
    the next attempt names them.
    """
    state: VersionGates = app.transactor.states.get(version_gates.stream_of(model_id, number)).state
    policies: PoliciesState = app.transactor.states.get(policy.ALL).state
    reviews = [p.id for p in state.promotions.values() if p.status == "open" or _may_be_open(app, p.id)]
    return _assessment(model_id, number, streams_of(model_id, number, reviews, policies.names), cause)


def is_champion(app: App, model_id: str, number: int) -> bool:
    """Return whether other versions of the model are compared with this one, as of the commit just made."""
    model: VersionGates = app.transactor.states.get(version_gates.stream_of(model_id)).state
    return any(champion.number == number for champion in model.champions.values())


def _may_be_open(app: App, promotion_id: str) -> bool:
    """Return False only for a review that is known to be over. A review never opens again."""
    held = app.transactor.states.get(review.stream_of(promotion_id))
    state: ReviewState = held.state
    return not held.revision or state.status == "open"


def _assessment(
    model_id: str, number: int, streams: CommandStreams, cause: Callable[[str], Cause]
) -> Submission:
    return Submission(
        command=AssessGates(model_id, number),
        streams=streams.writes,
        cause=cause(f"evaluate {model_id}@{number}"),
        actor=APPROVAL,
        depends_on=streams.depends_on,
    )
