"""The end of a version: cleanup proposes, here it is decided. What anybody may still need stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain import noted
from services.registry.domain.model.events import ChildUnlinked, RetireRefused, VersionRetired
from services.registry.domain.model.state import Events, ModelState, known, needed_by, stream_of
from services.registry.domain.promotion import evidence
from services.registry.domain.serving.rollout import last_resort, rollback_documents, rollback_target
from shared.deciding.decider import Joint, Misrouted, Streams
from shared.deciding.events import Noted


@dataclass(frozen=True, slots=True)
class RetireVersion:
    """cleanup proposed it. The streams of the version's parents are written, too."""

    model_id: str
    note: Noted


def retire(command: RetireVersion, streams: Streams) -> Events:
    """Retired with a tombstone, or refused with everything that protects it."""
    state = known(streams.states[stream_of(command.model_id)])
    told: noted.RetirementProposed = noted.read(command.note)
    version = state.versions.get(told.number)
    if version is None or version.retired:
        return {}
    reasons = protections(command.model_id, told.number, state, streams)
    if reasons:
        refused = RetireRefused(
            state.model, told.number, version.semver, told.rule, told.sweep_id, tuple(reasons)
        )
        return {stream_of(command.model_id): [command.note, refused]}
    metadata = evidence.document(command.model_id, state, told.number, streams)
    digest = evidence.artifact_digest(metadata)
    retired = VersionRetired(state.model, told.number, version.semver, digest, told.rule, told.sweep_id)
    events: Events = {stream_of(command.model_id): [command.note, retired]}
    for parent in metadata.parents if version.semver else ():
        if stream_of(parent.model_id) not in streams.states:
            raise Misrouted("parent_missing", f"The stream of the parent {parent.model} is needed, too.")
        name = streams.states[stream_of(parent.model_id)].model
        unlinked = ChildUnlinked(name, parent.number, command.model_id, state.model, told.number)
        events.setdefault(stream_of(parent.model_id), []).append(unlinked)
    return events


def protections(model_id: str, number: int, state: ModelState, streams: Streams) -> list[str]:
    """Why this version must stay; empty when nothing needs it."""
    reasons = ["it is in Production"] if state.versions[number].stage == "Production" else []
    reasons += needed_by(state, number)
    reasons += [
        f"it is the rollback target of {environment}"
        for environment in _target_in(model_id, number, state, streams)
    ]
    reasons += [
        f"its promotion {name} is open"
        for name, promotion in sorted(state.promotions.items())
        if promotion.number == number
    ]
    return reasons


def _target_in(model_id: str, number: int, state: ModelState, streams: Streams) -> list[str]:
    """Where a rollback of anything that gets requests would go to it; or could, in spite of its signature or once its bytes are good again."""
    return [
        environment
        for environment, rollout in sorted(state.rollouts.items())
        if any(
            number
            in {
                rollback_target(model_id, environment, e.number, state, streams).number,
                last_resort(environment, e.number, state),
            }
            for e in rollout.entries
            if e.percent
        )
    ]


def _recall(command: RetireVersion, streams: Streams) -> set[evidence.Place]:
    state: ModelState = streams.states[stream_of(command.model_id)]
    own = evidence.documents_of(command.model_id, state, [noted.read(command.note).number])
    return own.union(
        *(rollback_documents(command.model_id, environment, state) for environment in state.rollouts)
    )


DECIDERS: Mapping[type, Joint[Any]] = {RetireVersion: Joint(retire, _recall)}
