"""What approval remembers of models, versions and promotion requests: read from other services' events, without their documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from services.approval.domain import inbound
from services.approval.domain.evidence import in_order
from services.approval.domain.inbound import Champion, Evaluation, Signature

PromotionStatus = Literal["open", "granted", "denied", "refused"]
TRAINED = (
    "training timestamp",
    "creator",
    "artifact digest",
    "training config",
    "code identity",
    "signature",
    "dataset digest",
    "evaluation metrics",
)
MANDATORY = {"preprocessing": TRAINED[:6], "prompt": TRAINED[:3]}
"""By kind; TRAINED for every other kind."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    model: str = ""
    kind: str = "model"
    tier: str = "medium"
    tags: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """`digest` is the leaf of registry's own event: the version as registered, bit for bit. `makers` never judge it."""

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
    requester: str
    people: tuple[str, ...]
    status: PromotionStatus = "open"


def model_facts(facts: ModelFacts, told: inbound.ModelEvent | inbound.VersionRegistered) -> ModelFacts:
    said = {name: value for name in ("model", "kind", "tier", "tags") if (value := getattr(told, name)) is not None}
    return replace(facts, **said)


def version_facts(told: inbound.VersionRegistered, leaf: str) -> VersionFacts:
    """`leaf` is that of registry's event."""
    training = told.training
    makers = dict.fromkeys(p for p in (told.creator, training and training.creator, told.on_behalf_of, told.requester_subject) if p)
    return VersionFacts(
        told.model_id, told.number, told.semver or "", "sha256:" + leaf, told.artifact.digest if told.artifact else "",
        (told.bump.level if told.bump else None) or "", missing_metadata(told), tuple(makers), told.signature, "Staging",
    )  # fmt: skip


def claimed(told: inbound.VersionRegistered) -> dict[str, Evaluation]:
    """What the producer says of its own version, by key."""
    return {e.key: replace(e, independent=False) for e in (told.training.metrics if told.training else ())}


def missing_metadata(v: inbound.VersionRegistered) -> tuple[str, ...]:
    """The mandatory metadata that a version of its kind lacks."""
    t = v.training or inbound.Training()
    code, dataset = t.code or {}, t.dataset or {}
    there: Mapping[str, Any] = {
        "training timestamp": t.trained_at,
        "creator": v.creator or t.creator,
        "artifact digest": v.artifact and v.artifact.digest,
        "training config": t.config is not None,
        "code identity": code.get("digest") or code.get("revision"),
        "signature": v.signature and v.signature.outputs,
        "dataset digest": dataset.get("digest"),
        "evaluation metrics": t.metrics,
    }
    return tuple(name for name in MANDATORY.get(v.kind, TRAINED) if not there[name])


def promotion_of(told: inbound.PromotionRequested) -> Promotion:
    people = dict.fromkeys(p for p in (told.requester, told.creator, told.on_behalf_of) if p)
    return Promotion(told.promotion_id, told.environment, told.digest, told.requester or "", tuple(people))


def normal(champion: Champion) -> Champion:
    return replace(champion, evaluations=in_order(champion.evaluations))


def gained(champion: Champion, evaluation: Evaluation) -> Champion:
    return replace(champion, evaluations=in_order((*champion.evaluations, evaluation)))
