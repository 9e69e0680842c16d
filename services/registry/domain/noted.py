"""What the registry reads of other services' events: only the fields that it decides on or shows.

Unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from shared.deciding.events import Noted

GATES_EVALUATED = "regista.approval.GatesEvaluated.v1"
PROMOTION_GRANTED = "regista.approval.PromotionGranted.v1"
PROMOTION_DENIED = "regista.approval.PromotionDenied.v1"
POLICY_PUBLISHED = "regista.approval.PolicyPublished.v1"
OVERRIDE_REVIEWED = "regista.approval.OverrideReviewed.v1"
ARTIFACT_RELEASED = "regista.artifact.ArtifactReleased.v1"
ARTIFACT_MISMATCHED = "regista.artifact.ArtifactMismatched.v1"
ARTIFACT_QUARANTINED = "regista.artifact.ArtifactQuarantined.v1"
ARTIFACT_RECALLED = "regista.artifact.ArtifactRecalled.v1"
ARTIFACT_EXPIRED = "regista.artifact.ArtifactExpired.v1"
ARTIFACT_DELETED = "regista.artifact.ArtifactDeleted.v1"
RETIREMENT_PROPOSED = "regista.cleanup.RetirementProposed.v1"

ARTIFACT_STATES = {
    ARTIFACT_RELEASED: "available",
    ARTIFACT_MISMATCHED: "mismatched",
    ARTIFACT_QUARANTINED: "quarantined",
    ARTIFACT_RECALLED: "withdrawn",
    ARTIFACT_EXPIRED: "expired",
    ARTIFACT_DELETED: "deleted",
}
"""The state of a version's bytes after each of artifact's events."""


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    """The verdict of the automated gates. `results` are shown, not decided on."""

    model_id: str
    number: int
    stage: str
    passed: bool
    results: Any = ()
    policy: Any = None

    @property
    def challenger_cap(self) -> int:
        """The policy's cap for versions that are not promoted, -1 when it has none."""
        cap = self.policy.get("challenger_cap") if isinstance(self.policy, dict) else None
        return cap if isinstance(cap, int) and 0 <= cap <= 100 else -1

    @property
    def two_to_recall(self) -> bool:
        """Whether the policy wants a second person for the recall of the version."""
        return isinstance(self.policy, dict) and self.policy.get("two_to_recall") is True


@dataclass(frozen=True, slots=True)
class PromotionGranted:
    promotion_id: str
    model_id: str
    number: int
    environment: str
    digest: str
    approvers: tuple[str, ...] = ()
    override: bool = False
    review_id: str = ""
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OverrideReviewed:
    """The after-review of a break-glass override. `consequence`: `stop` or `roll_back`, if not justified."""

    review_id: str
    model_id: str
    number: int
    justified: bool
    environment: str = ""
    consequence: str = ""


@dataclass(frozen=True, slots=True)
class PromotionDenied:
    promotion_id: str
    model_id: str
    number: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """One rule of a policy."""

    kind: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selector:
    """The models that a policy is for. An empty field selects any."""

    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    environments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """What an override entails."""

    by_maker: bool = False
    overdue: str = "remind"
    unjustified: str = "stop"


@dataclass(frozen=True, slots=True)
class Policy:
    """Gates by stage, the models that they are for, and what the policy allows beside them."""

    stages: dict[str, tuple[Gate, ...]]
    applies_to: Selector = Selector()
    priority: int = 0
    active: bool = True
    challenger_cap: int | None = None
    two_to_recall: bool = False
    break_glass: BreakGlass = BreakGlass()


@dataclass(frozen=True, slots=True)
class PolicyPublished:
    name: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class ArtifactReport:
    """The state of one version's bytes.

    A quarantine with `generation` 0 is final: the form of the bytes is refused.
    """

    digest: str
    model_id: str
    number: int
    generation: int = 0
    uri: str = ""
    found: str = ""
    detail: str = ""
    reason: str = ""


def is_final(type_: str, report: ArtifactReport) -> bool:
    """Return whether the bytes of the version can never be good."""
    return type_ == ARTIFACT_MISMATCHED or (type_ == ARTIFACT_QUARANTINED and report.generation == 0)


@dataclass(frozen=True, slots=True)
class VersionRef:
    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class ArtifactEnded:
    """The end of bytes whose versions are all retired."""

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
    POLICY_PUBLISHED: PolicyPublished,
    OVERRIDE_REVIEWED: OverrideReviewed,
    RETIREMENT_PROPOSED: RetirementProposed,
    **dict.fromkeys(
        (ARTIFACT_RELEASED, ARTIFACT_MISMATCHED, ARTIFACT_QUARANTINED, ARTIFACT_RECALLED), ArtifactReport
    ),
    **dict.fromkeys((ARTIFACT_EXPIRED, ARTIFACT_DELETED), ArtifactEnded),
}
FIELDS: dict[str, frozenset[str]] = {
    type_: frozenset(one.name for one in fields(reader)) for type_, reader in READERS.items()
}
"""The fields that a note keeps, by the type of its event."""


def kept(type_: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of another service's event that a note keeps."""
    names = FIELDS[type_]
    return {name: value for name, value in data.items() if name in names}


def read(note: Noted) -> Any:
    """Return the content of the note, as one of READERS; None for a type that the registry does not read.

    Raise msgspec.ValidationError when a field is missing that a decision needs.
    """
    reader = READERS.get(note.source.type)
    return None if reader is None else msgspec.convert(note.data, reader)
