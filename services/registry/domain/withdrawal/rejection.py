"""Rejection and recall: a person withdraws a version before it serves, or after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import PromotionRefused, VersionRecalled, VersionRejected
from services.registry.domain.model.fold import MODEL, evolve
from services.registry.domain.model.state import Events, needed_by, require_version, stream_of
from services.registry.domain.serving.departure import out_of_production
from shared.deciding.decider import Joint, RuleBroken, Streams


@dataclass(frozen=True, slots=True)
class RejectVersion:
    model_id: str
    number: int
    reason: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class RecallVersion:
    """`by` is the subject who recalls the version."""

    model_id: str
    number: int
    expected: int | None = None
    by: str = ""


def reject(command: RejectVersion, streams: Streams) -> Events:
    """Reject the version and refuse its open promotions.

    A version that is or was in Production is recalled instead. A version that something needs is not
    rejected.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if version.stage == "Rejected":
        return {}
    if version.retired or version.stage in {"Production", "Archived"}:
        raise RuleBroken(
            "not_rejectable",
            f"{state.model} version {command.number} is {version.stage}: recall it instead, and roll back "
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
    """Recall the version: it must never be used again.

    Where it serves, it serves until a rollback; where it does not, it is archived.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if version.recalled or version.retired:
        return {}
    digest = past.artifact_digest(past.document(command.model_id, state, command.number, streams))
    recalled = VersionRecalled(state.model, command.number, version.semver, digest, command.by)
    departed = out_of_production(evolve(state, recalled), [command.number])
    return {stream_of(command.model_id): [recalled, *departed]}


def _document(command: RecallVersion, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    return past.documents_of(command.model_id, state, [command.number])


DECIDERS: Mapping[type, Joint[Any]] = {
    RejectVersion: Joint(reject),
    RecallVersion: Joint(recall, _document),
}
