"""The events of the gates of a version and of its model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from services.approval.domain.evidence import Evidence
from services.approval.domain.gate_kinds import Result
from services.approval.domain.policy import PolicyRef
from services.approval.domain.rules import RULES


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    """The verdict of a stage: every automated gate's result, with the evidence and the policy.

    The event holds all that is needed to check the gates again. `challenger_cap` and `two_to_recall` are
    the policy's.
    """

    SCHEMA: ClassVar[int] = 3

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
    `conditions`: those of all approvals. `rules`: the number of the rules by which approvers counted, see
    `rules.py`.
    """

    SCHEMA: ClassVar[int] = 3

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
    conditions: tuple[str, ...] = ()
    rules: int = RULES


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


@dataclass(frozen=True, slots=True)
class AfterReviewOwed:
    """An override of a version of this model needs an after-review. In the model's stream.

    `blocks`: while it is overdue, no further promotion of the model is granted.
    """

    promotion_id: str
    number: int
    by: str
    due_at: datetime
    blocks: bool


@dataclass(frozen=True, slots=True)
class AfterReviewDone:
    promotion_id: str


GateEvent = (
    GatesEvaluated
    | PromotionGranted
    | PromotionDenied
    | OverrideStands
    | OverrideWithdrawn
    | AfterReviewOwed
    | AfterReviewDone
)
