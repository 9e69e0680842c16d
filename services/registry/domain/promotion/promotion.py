"""The way to Production: a request that names all its evidence by one digest, and a grant that must still speak about the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from services.registry.domain import noted
from services.registry.domain.model.events import (
    Entry,
    PromotionRefused,
    PromotionRequested,
    RolloutChanged,
    VersionPromoted,
)
from services.registry.domain.model.state import (
    Events,
    ModelState,
    OpenPromotion,
    known,
    stream_of,
    there,
    unusable_because,
    usable,
)
from services.registry.domain.promotion import evidence
from services.registry.domain.promotion.evidence import MOST_BYTES
from services.registry.domain.serving.rollout import check_environment
from shared.deciding.decider import Joint, RuleBroken, Streams
from shared.deciding.events import Noted, encode


@dataclass(frozen=True, slots=True)
class RequestPromotion:
    """`promotion_id` is made from the cause; `requester` is the actor's subject."""

    model_id: str
    number: int
    environment: str
    promotion_id: str
    requester: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class GrantPromotion:
    """approval granted."""

    model_id: str
    note: Noted


@dataclass(frozen=True, slots=True)
class DenyPromotion:
    """approval denied."""

    model_id: str
    note: Noted


def request(command: RequestPromotion, streams: Streams) -> Events:
    """Nothing new while an open request still stands; one whose evidence has changed gives way to the new one."""
    state: ModelState = streams.states[stream_of(command.model_id)]
    version = usable(state, command.number, command.expected)
    check_environment(state, command.environment)
    here = there(command.environment, command.number)
    if here in state.left:
        raise RuleBroken(
            "served_before",
            f"{state.model} version {command.number} has served in {command.environment} and left: roll back to it by its number.",
        )
    if here in state.promoted and version.stage == "Production":
        return {}
    if version.stage not in {"Validated", "Production"}:
        raise RuleBroken(
            "not_validated",
            f"{state.model} version {command.number} is {version.stage}: only what is Validated is promoted"
            + (" (the way back to Production is a rollback)." if version.stage == "Archived" else "."),
            stage=version.stage,
        )
    if not version.released:
        raise RuleBroken(
            "artifact_not_good",
            f"The artifact of {state.model} version {command.number} is not released: wait for its verification.",
        )
    before = _open_requests(state, command.number, command.environment)
    if any(_still_stands(command.model_id, promotion, state, streams) for promotion in before.values()):
        return {}
    why = (f"superseded by {command.promotion_id}",)
    superseded = [
        PromotionRefused(state.model, command.number, version.semver, id_, command.environment, why)
        for id_ in before
    ]
    champion = evidence.champion(
        command.model_id, state, evidence.champion_number(state, command.environment), streams
    )
    told = evidence.evidence(
        command.model_id, state, command.number, command.environment, streams, msgspec.to_builtins(champion)
    )
    digest = evidence.evidence_digest(told)
    training = evidence.document(command.model_id, state, command.number, streams).training
    requested = PromotionRequested(
        state.model,
        command.number,
        version.semver,
        command.promotion_id,
        command.environment,
        digest,
        command.requester,
        training.creator or "",
        training.on_behalf_of,
        told,
    )
    if len(encode(requested)) > MOST_BYTES:
        raise RuleBroken(
            "evidence_too_large",
            f"The evidence (metadata, evaluations, champion) is larger than {MOST_BYTES:,} bytes: register a version that says less.",
        )
    return {stream_of(command.model_id): [*superseded, requested]}


def _open_requests(state: ModelState, number: int, environment: str) -> dict[str, OpenPromotion]:
    return {
        id_: p
        for id_, p in sorted(state.promotions.items())
        if (p.number, p.environment) == (number, environment)
    }


def grant(command: GrantPromotion, streams: Streams) -> Events:
    """Production, if the grant is for the open request, about evidence that still stands, on good bytes; otherwise refused on the record.

    A second grant of the same request (a review completed after an override, say) changes nothing.
    """
    state = known(streams.states[stream_of(command.model_id)])
    told: noted.PromotionGranted = noted.read(command.note)
    version = state.versions.get(told.number)
    if version is None or state.promoted.get(there(told.environment, told.number)) == told.promotion_id:
        return {}
    reasons = _objections(command, told, state, streams)
    events: list[Any] = [command.note]
    if reasons:
        events.append(
            PromotionRefused(
                state.model, told.number, version.semver, told.promotion_id, told.environment, tuple(reasons)
            )
        )
        return {stream_of(command.model_id): events}
    events.append(
        VersionPromoted(
            state.model,
            told.number,
            version.semver,
            told.promotion_id,
            told.environment,
            told.digest,
            told.approvers,
            told.override,
        )
    )
    if told.environment not in state.rollouts:
        champion = evidence.champion(command.model_id, state, told.number, streams)
        entries = (Entry(told.number, version.semver, 100, "champion"),)
        events.append(RolloutChanged(state.model, told.environment, entries, (), champion))
    return {stream_of(command.model_id): events}


def _objections(
    command: GrantPromotion, told: noted.PromotionGranted, state: ModelState, streams: Streams
) -> list[str]:
    promotion = state.promotions.get(told.promotion_id)
    if promotion is None:
        return ["no such promotion is open: request it again"]
    version, reasons = state.versions[promotion.number], []
    if (told.number, told.environment) != (
        promotion.number,
        promotion.environment,
    ) or told.digest != promotion.digest:
        reasons.append("the grant is about something else than what was requested: request it again")
    if why := unusable_because(version):
        reasons.append(f"the version is {why}")
    elif version.stage not in {"Validated", "Production"}:
        reasons.append(f"the version is {version.stage}, no longer Validated")
    if not version.released:
        reasons.append("the artifact is not noted as good: have it verified, then request again")
    if not _still_stands(command.model_id, promotion, state, streams):
        reasons.append(
            "metadata, evaluations, artifact, tier or tags have changed since the request: request it again"
        )
    return reasons


def _still_stands(model_id: str, promotion: OpenPromotion, state: ModelState, streams: Streams) -> bool:
    """Against the champion of the request: a new champion alone is shown to the reviewers and evaluated again, it voids nothing."""
    requested: PromotionRequested = streams.past[stream_of(model_id), promotion.revision]
    champion = requested.evidence["champion"]
    now = evidence.evidence(model_id, state, promotion.number, promotion.environment, streams, champion)
    return evidence.evidence_digest(now) == promotion.digest


def deny(command: DenyPromotion, streams: Streams) -> Events:
    """The request is closed with approval's reasons."""
    state = known(streams.states[stream_of(command.model_id)])
    told: noted.PromotionDenied = noted.read(command.note)
    promotion = state.promotions.get(told.promotion_id)
    if promotion is None:
        return {}
    semver = state.versions[promotion.number].semver
    refused = PromotionRefused(
        state.model,
        promotion.number,
        semver,
        told.promotion_id,
        promotion.environment,
        told.reasons or ("denied",),
    )
    return {stream_of(command.model_id): [command.note, refused]}


def _evidence_now(command: RequestPromotion, streams: Streams) -> set[evidence.Place]:
    state: ModelState = streams.states[stream_of(command.model_id)]
    champion = evidence.champion_at(command.model_id, state, command.environment)
    requests = {
        (stream_of(command.model_id), p.revision)
        for p in _open_requests(state, command.number, command.environment).values()
    }
    return evidence.evidence_at(command.model_id, state, command.number) | champion | requests


def _evidence_then(command: GrantPromotion, streams: Streams) -> set[evidence.Place]:
    state: ModelState = streams.states[stream_of(command.model_id)]
    promotion = state.promotions.get(noted.read(command.note).promotion_id)
    if promotion is None:
        return set()
    return evidence.evidence_at(command.model_id, state, promotion.number) | {
        (stream_of(command.model_id), promotion.revision)
    }


DECIDERS: Mapping[type, Joint[Any]] = {
    RequestPromotion: Joint(request, _evidence_now),
    GrantPromotion: Joint(grant, _evidence_then),
    DenyPromotion: Joint(deny),
}
