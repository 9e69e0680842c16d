"""Rejection and withdrawal: a person ends a version before it serves, or after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import (
    PromotionRefused,
    RecallProposed,
    VersionRecalled,
    VersionRejected,
)
from services.registry.domain.model.fold import MODEL, evolve
from services.registry.domain.model.state import (
    Events,
    ModelState,
    VersionState,
    needed_by,
    require_version,
    stream_of,
)
from services.registry.domain.serving.departure import out_of_production
from shared.deciding.decider import Forbidden, Joint, RuleBroken, Streams


@dataclass(frozen=True, slots=True)
class RejectVersion:
    """`own_only`: `by`, the actor, may reject versions only that they published."""

    model_id: str
    number: int
    reason: str
    expected: int | None = None
    by: str = ""
    own_only: bool = False


@dataclass(frozen=True, slots=True)
class RecallVersion:
    """`by` is the subject who withdraws the version, `person` whether it is one.

    `others`: the subjects of other identities of the same person.
    `withdrawal_id` names the step when it withdraws several versions.
    """

    model_id: str
    number: int
    expected: int | None = None
    by: str = ""
    person: bool = True
    withdrawal_id: str = ""
    others: frozenset[str] = frozenset()


def reject(command: RejectVersion, streams: Streams) -> Events:
    """Reject the version and refuse its open promotions.

    A version that is or was in Production is withdrawn instead. A version that something needs is not
    rejected.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if command.own_only:
        past.check_own(command.by, command.model_id, state, command.number, streams)
    if version.stage == "Rejected":
        return {}
    if version.retired or version.stage in {"Production", "Archived"}:
        raise RuleBroken(
            "not_rejectable",
            f"{state.model} version {command.number} is {version.stage}: withdraw it instead, and roll back "
            "where it serves.",
        )
    if needed := needed_by(state, command.number):
        raise RuleBroken(
            "version_protected",
            f"{state.model} version {command.number} cannot be rejected, because {'; '.join(needed)}: end "
            "that first.",
            protections=needed,
        )
    why = "the version is rejected" + (f": {command.reason}" if command.reason else "")
    refused = [
        PromotionRefused(state.model, command.number, version.semver, id_, p.environment, (why,))
        for id_, p in sorted(state.promotions.items())
        if p.number == command.number
    ]
    rejected = VersionRejected(state.model, command.number, version.semver, (command.reason or "rejected",))
    return {stream_of(command.model_id): [*refused, rejected]}


def recall(command: RecallVersion, streams: Streams) -> Events:
    """Withdraw the version: it must never be used again.

    Where it serves, it serves until a rollback; where it does not, it is archived. Where the policy wants a
    second person, the first call only proposes the withdrawal.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if version.recalled or version.retired:
        return {}
    if version.two_to_recall and not _is_confirmed(command, state):
        return {stream_of(command.model_id): _proposed(command, state, version)}
    digest = past.artifact_digest(past.document(command.model_id, state, command.number, streams))
    recalled = VersionRecalled(
        state.model, command.number, version.semver, digest, command.by, command.withdrawal_id
    )
    departed = out_of_production(evolve(state, recalled), [command.number])
    return {stream_of(command.model_id): [recalled, *departed]}


def _is_confirmed(command: RecallVersion, state: ModelState) -> bool:
    """Return whether this is the second person. Raise Forbidden for a machine that confirms."""
    proposed_by = state.recall_proposals.get(command.number, "")
    if proposed_by in {"", command.by, *command.others}:
        return False
    if not command.person:
        raise Forbidden(
            "person_needed", "A second person confirms the withdrawal: sign in as one.", number=command.number
        )
    return True


def _proposed(command: RecallVersion, state: ModelState, version: VersionState) -> list[RecallProposed]:
    if command.number in state.recall_proposals:
        return []
    return [RecallProposed(state.model, command.number, version.semver, command.by, command.withdrawal_id)]


def _own_document(command: RejectVersion, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    return past.documents_of(command.model_id, state, [command.number] if command.own_only else [])


def _document(command: RecallVersion, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    return past.documents_of(command.model_id, state, [command.number])


DECIDERS: Mapping[type, Joint[Any]] = {
    RejectVersion: Joint(reject, _own_document),
    RecallVersion: Joint(recall, _document),
}
