"""What others may know of approval's events. Field names are a contract: see schemas/public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from services.approval.domain import gate, policy, review
from services.approval.domain.gate_kinds import Result
from services.approval.domain.policy import Policy, PolicyRef
from services.approval.domain.review import About
from services.approval.stored_events import ApprovalEvent
from shared.deciding.events import Noted, Recorded
from shared.deciding.service import PublicEvent


@dataclass(frozen=True, slots=True)
class PolicyPublished:
    """A policy rules from now on. `digest` is the RFC 8785 digest of `policy`."""

    name: str
    revision: int
    digest: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    """What every automated gate of a stage (Validated or Production) said; a gate that did not pass says what to do next."""

    model_id: str
    model: str
    number: int
    stage: str
    passed: bool
    results: tuple[Result, ...]
    policy: PolicyRef
    evidence_digest: str
    promotion_id: str | None


@dataclass(frozen=True, slots=True)
class PromotionGranted:
    """The version may go to the environment. `digest` is the one of the request; `override`: by break-glass.

    `review_id` is the review in which people approved or the glass was broken; empty when the policy asks
    nobody.
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
    review_id: str
    override: bool


@dataclass(frozen=True, slots=True)
class PromotionDenied:
    """The promotion is over. Request it again when the reasons are gone."""

    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReviewOpened:
    """`needs` distinct approvers with one of `roles` are asked; `sealed_digest` binds them to what is shown."""

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    semver: str
    environment: str
    needs: int
    roles: tuple[str, ...]
    sealed_digest: str
    evidence_digest: str
    policy: PolicyRef
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ReviewApproved:
    """One approval of those needed; `complete`: it was the last one."""

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    approver: str
    comment: str
    conditions: tuple[str, ...]
    approvals: int
    complete: bool
    sealed_digest: str


@dataclass(frozen=True, slots=True)
class ReviewRejected:
    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewCommented:
    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class ReviewLapsed:
    """What was shown changed. A new request opens a new review."""

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReviewExpired:
    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OverrideUsed:
    """Break-glass. `bypassed` is what had not been passed; an after-review is owed."""

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    by: str
    reason: str
    bypassed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OverrideReviewed:
    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    by: str
    justified: bool
    comment: str


_CLASSES: tuple[type, ...] = (
    PolicyPublished,
    GatesEvaluated,
    PromotionGranted,
    PromotionDenied,
    ReviewOpened,
    ReviewApproved,
    ReviewRejected,
    ReviewCommented,
    ReviewLapsed,
    ReviewExpired,
    OverrideUsed,
    OverrideReviewed,
)
PUBLIC: dict[str, type] = {f"regista.approval.{class_.__name__}.v1": class_ for class_ in _CLASSES}
"""Every public type and the shape of its data."""


def publish(recorded: Recorded) -> PublicEvent | None:
    """The public form of an event, or nothing."""
    data = _public(recorded)
    return PublicEvent(f"regista.approval.{type(data).__name__}.v1", data) if data is not None else None


def _public(recorded: Recorded) -> object | None:
    event: ApprovalEvent = recorded.event
    match event:
        case policy.PolicyPublished() as e:
            return PolicyPublished(e.name, recorded.revision, e.digest, e.policy)
        case gate.GatesEvaluated() as e:
            return GatesEvaluated(
                e.model_id,
                e.model,
                e.number,
                e.stage,
                e.passed,
                e.results,
                e.policy,
                e.evidence_digest,
                e.promotion_id,
            )
        case gate.PromotionGranted() as e:
            return PromotionGranted(
                e.promotion_id,
                e.model_id,
                e.model,
                e.number,
                e.environment,
                e.digest,
                e.approvers,
                e.policy,
                e.evidence_digest,
                e.review_id,
                e.override,
            )
        case gate.PromotionDenied() as e:
            return PromotionDenied(e.promotion_id, e.model_id, e.model, e.number, e.environment, e.reasons)
        case review.ReviewOpened() as e:
            return ReviewOpened(
                *_about(e.about),
                e.semver,
                e.environment,
                e.needs,
                e.roles,
                e.sealed_digest,
                e.evidence_digest,
                e.policy,
                e.expires_at,
            )
        case review.ReviewApproved() as e:
            return ReviewApproved(
                *_about(e.about),
                e.approver,
                e.comment,
                e.conditions,
                len(e.approvers),
                e.complete,
                e.sealed_digest,
            )
        case review.ReviewRejected() as e:
            return ReviewRejected(*_about(e.about), e.by, e.reason)
        case review.ReviewCommented() as e:
            return ReviewCommented(*_about(e.about), e.by, e.comment)
        case review.ReviewLapsed() as e:
            return ReviewLapsed(*_about(e.about), e.reasons)
        case review.ReviewExpired() as e:
            return ReviewExpired(*_about(e.about), e.expires_at)
        case review.OverrideUsed() as e:
            return OverrideUsed(*_about(e.about), e.environment, e.by, e.reason, e.bypassed)
        case review.OverrideReviewed() as e:
            return OverrideReviewed(*_about(e.about), e.by, e.justified, e.comment)
        case (
            Noted()
            | gate.OverrideStands()
            | gate.OverrideWithdrawn()
            | policy.PolicyApplied()
            | policy.PolicyListed()
            | review.ReviewRefreshed()
        ):
            return None
        case _:
            assert_never(event)


def _about(a: About) -> tuple[str, str, str, str, int]:
    """The fields that every review event begins with; a review has its promotion's id."""
    return a.promotion_id, a.promotion_id, a.model_id, a.model, a.number
