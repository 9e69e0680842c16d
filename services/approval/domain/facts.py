"""What approval remembers of models, versions and promotion requests: read from other services' events, without their documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from services.approval.domain import noted
from services.approval.domain.evidence import newest
from services.approval.domain.noted import Champion, Evaluation, Signature

PromotionStatus = Literal["open", "granted", "denied", "refused"]
TERMINAL = frozenset({"Rejected", "Recalled", "Retired"})


@dataclass(frozen=True, slots=True)
class ModelFacts:
    model: str = ""
    kind: str = "model"
    tier: str = "medium"
    tags: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """`digest` is the leaf of registry's own event: the version as registered, bit for bit.

    `makers` never judge it.
    """

    model_id: str
    number: int
    semver: str
    digest: str
    artifact_digest: str
    bump: str
    missing: tuple[str, ...]
    makers: tuple[str, ...]
    signature: Signature | None
    stage: str


@dataclass(frozen=True, slots=True)
class Promotion:
    """One request to go to Production. `digest` is registry's, echoed in the grant."""

    id: str
    environment: str
    digest: str
    people: tuple[str, ...]
    status: PromotionStatus = "open"


def model_facts(facts: ModelFacts, told: noted.ModelEvent | noted.VersionRegistered) -> ModelFacts:
    said = {
        name: value
        for name in ("model", "kind", "tier", "tags")
        if (value := getattr(told, name)) is not None
    }
    return replace(facts, **said)


def version_facts(told: noted.VersionRegistered, leaf: str) -> VersionFacts:
    """`leaf` is that of registry's event."""
    training = told.training
    named = (
        told.creator,
        training and training.creator,
        told.on_behalf_of,
        told.requester_subject,
        *told.contributors,
    )
    makers = dict.fromkeys(person for person in named if person)
    return VersionFacts(
        told.model_id,
        told.number,
        told.semver or "",
        "sha256:" + leaf,
        told.artifact.digest if told.artifact else "",
        (told.bump.level if told.bump else None) or "",
        told.missing,
        tuple(makers),
        told.signature,
        "Staging",
    )


def moved(version: VersionFacts, stage: str) -> VersionFacts:
    """What is over stays over: a recalled version that leaves its rollout is archived, and recalled all the same."""
    return version if version.stage in TERMINAL and stage not in TERMINAL else replace(version, stage=stage)


def claimed(told: noted.VersionRegistered) -> tuple[Evaluation, ...]:
    """What the producer says of its own version."""
    return tuple(replace(e, independent=False) for e in (told.training.metrics if told.training else ()))


def promotion_of(told: noted.PromotionRequested) -> Promotion:
    people = dict.fromkeys(p for p in (told.requester, told.creator, told.on_behalf_of) if p)
    return Promotion(told.promotion_id, told.environment, told.digest, tuple(people))


def normal(champion: Champion) -> Champion:
    return replace(champion, evaluations=newest(champion.evaluations))


def gained(champion: Champion, evaluation: Evaluation) -> Champion:
    return replace(champion, evaluations=newest((*champion.evaluations, evaluation)))
