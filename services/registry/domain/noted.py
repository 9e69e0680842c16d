"""What the registry reads of other services' events: only the fields it decides on.

Unknown fields are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from shared.deciding.events import Noted

GATES_EVALUATED = "regista.approval.GatesEvaluated.v1"
PROMOTION_GRANTED = "regista.approval.PromotionGranted.v1"
PROMOTION_DENIED = "regista.approval.PromotionDenied.v1"
ARTIFACT_RELEASED = "regista.artifact.ArtifactReleased.v1"
ARTIFACT_MISMATCHED = "regista.artifact.ArtifactMismatched.v1"
ARTIFACT_QUARANTINED = "regista.artifact.ArtifactQuarantined.v1"
ARTIFACT_RECALLED = "regista.artifact.ArtifactRecalled.v1"
ARTIFACT_EXPIRED = "regista.artifact.ArtifactExpired.v1"
ARTIFACT_DELETED = "regista.artifact.ArtifactDeleted.v1"
RETIREMENT_PROPOSED = "regista.cleanup.RetirementProposed.v1"

ARTIFACT_STATES = {
    ARTIFACT_RELEASED: "released",
    ARTIFACT_MISMATCHED: "mismatched",
    ARTIFACT_QUARANTINED: "quarantined",
    ARTIFACT_RECALLED: "recalled",
    ARTIFACT_EXPIRED: "expired",
    ARTIFACT_DELETED: "deleted",
}
"""What each of artifact's events makes of a version's bytes, in the registry's eyes."""


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    model_id: str
    number: int
    stage: str
    passed: bool


@dataclass(frozen=True, slots=True)
class PromotionGranted:
    promotion_id: str
    model_id: str
    number: int
    environment: str
    digest: str
    approvers: tuple[str, ...] = ()
    override: bool = False


@dataclass(frozen=True, slots=True)
class PromotionDenied:
    promotion_id: str
    model_id: str
    number: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtifactNews:
    """The bytes of one version. `generation` 0 in a quarantine: their form is refused for good."""

    digest: str
    model_id: str
    number: int
    generation: int = 0
    uri: str = ""
    found: str = ""
    detail: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VersionRef:
    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class ArtifactEnded:
    """The bytes of versions that are all retired."""

    digest: str
    versions: tuple[VersionRef, ...] = ()


@dataclass(frozen=True, slots=True)
class RetirementProposed:
    model_id: str
    number: int
    rule: str
    sweep_id: str = ""
    reason: str = ""


READERS: dict[str, Any] = {
    GATES_EVALUATED: GatesEvaluated,
    PROMOTION_GRANTED: PromotionGranted,
    PROMOTION_DENIED: PromotionDenied,
    RETIREMENT_PROPOSED: RetirementProposed,
    **dict.fromkeys(
        (ARTIFACT_RELEASED, ARTIFACT_MISMATCHED, ARTIFACT_QUARANTINED, ARTIFACT_RECALLED), ArtifactNews
    ),
    **dict.fromkeys((ARTIFACT_EXPIRED, ARTIFACT_DELETED), ArtifactEnded),
}


@dataclass(frozen=True, slots=True)
class _Unknown:
    fields: dict[str, Any] = field(default_factory=dict)


def read(note: Noted) -> Any:
    """The note in the registry's words.

    Raises msgspec.ValidationError for data that lacks what a decision needs.
    """
    return msgspec.convert(note.data, READERS.get(note.source.type, _Unknown))
