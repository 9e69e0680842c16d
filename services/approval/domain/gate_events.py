"""The events of `gate-<model_id>@<number>` that approval decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from services.approval.domain.evidence import Evidence
from services.approval.domain.gate_kinds import Result
from services.approval.domain.policy import PolicyRef


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    """The verdict of a stage: every automated gate's result, with the evidence and the policy.

    The event holds all that is needed to check the gates again. `challenger_cap` and `two_to_recall` are
    the policy's.
    """

    SCHEMA: ClassVar[int] = 2

    model_id: str
    model: str
    number: int
    stage: str
    passed: bool
    results: tuple[Result, ...]
    policy: PolicyRef
    evidence_digest: str
    evidence: Evidence
    promotion_id: str | None = None
    challenger_cap: int | None = None
    two_to_recall: bool = False


@dataclass(frozen=True, slots=True)
class PromotionGranted:
    """The version may serve in the environment.

    `digest`: that of the promotion request. `override`: granted by a break-glass override, not by the policy.
    `review_id`: the review with the approvals or the override; empty when the policy has no manual gate.
    """

    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    digest: str
    approvers: tuple[str, ...]
    policy: PolicyRef
    evidence_digest: str
    review_id: str = ""
    override: bool = False


@dataclass(frozen=True, slots=True)
class OverrideStands:
    """A break-glass override of a promotion that is over.

    It grants the next request over the same sealed facts.
    """

    promotion_id: str
    model_id: str
    number: int
    environment: str
    by: str
    sealed_digest: str


@dataclass(frozen=True, slots=True)
class OverrideWithdrawn:
    """The after-review found that the override was not justified. It grants no further request."""

    promotion_id: str
    model_id: str
    number: int
    environment: str
    by: str


@dataclass(frozen=True, slots=True)
class PromotionDenied:
    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    reasons: tuple[str, ...]


GateEvent = GatesEvaluated | PromotionGranted | PromotionDenied | OverrideStands | OverrideWithdrawn
