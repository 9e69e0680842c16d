"""Retirement: cleanup proposes it, the registry decides.

A version that anything still needs is not retired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from services.registry.domain import noted
from services.registry.domain.model import past
from services.registry.domain.model.events import ChildUnlinked, RetireRefused, VersionRetired
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import (
    Events,
    ModelState,
    needed_by,
    require_model,
    require_version,
    stream_of,
    waits_in,
)
from services.registry.domain.serving.rollback import (
    NO_DOUBTS,
    fallback_target,
    rollback_documents,
    rollback_target,
    serving_numbers,
)
from shared.deciding.decider import Joint, Misrouted, RuleBroken, Streams
from shared.deciding.events import Noted


@dataclass(frozen=True, slots=True)
class RetireVersion:
    """cleanup proposed it. The streams of the version's parents are written, too.

    `doubts` names the versions that share data or parents with a recalled version: see RollBack.
    """

    model_id: str
    note: Noted
    doubts: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetireOnRequest:
    """An engineer requests it. Otherwise as RetireVersion."""

    model_id: str
    number: int
    doubts: Mapping[int, str] = field(default_factory=dict)
    expected: int | None = None


ON_REQUEST = "requested"
"""The rule of a tombstone that no cleanup run made."""


def retire_on_request(command: RetireOnRequest, streams: Streams) -> Events:
    """Retire the version with a tombstone. Raise RuleBroken with everything that protects it."""
    state = streams.state(MODEL, stream_of(command.model_id))
    number = command.number
    if require_version(state, number, command.expected).retired:
        return {}
    if reasons := protections(command.model_id, number, state, streams, command.doubts):
        raise RuleBroken(
            "version_protected",
            f"{state.model} version {number} is not retired: {'; '.join(reasons)}. End that first.",
            number=number,
            reasons=reasons,
        )
    return _retired(command.model_id, number, ON_REQUEST, "", streams)


def retire(command: RetireVersion, streams: Streams) -> Events:
    """Retire the version with a tombstone, or refuse with everything that protects it."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    proposal: noted.RetirementProposed = noted.read(command.note)
    number, version = proposal.number, state.versions.get(proposal.number)
    if version is None or version.retired:
        return {}
    reasons = protections(command.model_id, number, state, streams, command.doubts)
    if reasons:
        refused = RetireRefused(
            state.model, number, version.semver, proposal.rule, proposal.sweep_id, tuple(reasons)
        )
        return {stream_of(command.model_id): [command.note, refused]}
    events = _retired(command.model_id, number, proposal.rule, proposal.sweep_id, streams)
    events[stream_of(command.model_id)].insert(0, command.note)
    return events


def _retired(model_id: str, number: int, rule: str, sweep_id: str, streams: Streams) -> Events:
    """Return the tombstone, and the ends of the links to the version's parents."""
    state = streams.state(MODEL, stream_of(model_id))
    version, metadata = state.versions[number], past.document(model_id, state, number, streams)
    digest = past.artifact_digest(metadata)
    retired = VersionRetired(state.model, number, version.semver, digest, rule, sweep_id)
    if version.stage in {"Draft", "Rejected"}:
        retired = replace(retired, stage=version.stage)
    events: Events = {stream_of(model_id): [retired]}
    for parent in (p for p in metadata.parents if version.semver and p.model_id):
        if stream_of(parent.model_id) not in streams.states:
            raise Misrouted("parent_missing", f"The stream of the parent {parent.model} is needed, too.")
        name = streams.state(MODEL, stream_of(parent.model_id)).model
        unlinked = ChildUnlinked(name, parent.number, model_id, state.model, number)
        events.setdefault(stream_of(parent.model_id), []).append(unlinked)
    return events


def protections(
    model_id: str,
    number: int,
    state: ModelState,
    streams: Streams,
    doubts: Mapping[int, str] = NO_DOUBTS,
) -> list[str]:
    """Return why this version must stay; empty when nothing needs it."""
    reasons = ["it is in Production"] if state.versions[number].stage == "Production" else []
    reasons += needed_by(state, number)
    if state.versions[number].stage != "Production":
        reasons += [f"it is promoted to {environment}" for environment in waits_in(state, number)]
    reasons += [
        f"it is the rollback target of {environment}"
        for environment in _rollback_target_in(model_id, number, state, streams, doubts)
    ]
    reasons += [
        f"its promotion {name} is open"
        for name, promotion in sorted(state.promotions.items())
        if promotion.number == number
    ]
    return reasons


def _rollback_target_in(
    model_id: str, number: int, state: ModelState, streams: Streams, doubts: Mapping[int, str]
) -> list[str]:
    """Return the environments in which a rollback goes to this version.

    Those count, too, in which it would without doubts, with the signature overruled or with good bytes.
    """
    return [
        environment
        for environment, rollout in sorted(state.rollouts.items())
        if number == rollout.last
        or any(
            number
            in {
                rollback_target(model_id, environment, serving, state, streams).number,
                rollback_target(model_id, environment, serving, state, streams, doubts).number,
                fallback_target(environment, serving, state),
            }
            for serving in serving_numbers(rollout)
        )
    ]


def _documents(command: RetireVersion | RetireOnRequest, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    number = command.number if isinstance(command, RetireOnRequest) else noted.read(command.note).number
    own = past.documents_of(command.model_id, state, [number])
    return own.union(
        *(rollback_documents(command.model_id, environment, state) for environment in state.rollouts)
    )


DECIDERS: Mapping[type, Joint[Any]] = {
    RetireVersion: Joint(retire, _documents),
    RetireOnRequest: Joint(retire_on_request, _documents),
}
