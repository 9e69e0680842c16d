"""The public messages of approval. Their field names are a contract, see schemas/public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from services.approval.domain import gate_events, policy
from services.approval.domain import review_events as review
from services.approval.domain.gate_kinds import Result
from services.approval.domain.policy import Policy, PolicyRef
from services.approval.domain.review_events import About, Adoption
from services.approval.stored_events import ApprovalEvent
from shared.deciding.events import Noted, Recorded
from shared.deciding.service import PublicEvent


@dataclass(frozen=True, slots=True)
class PolicyPublished:
    """A revision of a policy was published. `digest` is the RFC 8785 digest of `policy`.

    `weaker`: how the policies require less than before.
    """

    name: str
    revision: int
    digest: str
    policy: Policy
    weaker: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyProposed:
    """A weaker revision of a policy waits for a second admin."""

    name: str
    revision: int
    digest: str
    policy: Policy
    weaker: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """The policy that decided.

    `challenger_cap`: the percent of the requests in a production environment that the version may take
    without a promotion; None when the model's tier decides. `two_to_recall`: the withdrawal of the version
    needs a second person.
    """

    name: str
    revision: int
    digest: str
    challenger_cap: int | None = None
    two_to_recall: bool = False


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    """The verdict of a stage (Validated), or of a promotion (Production, NonProduction).

    It has the result of every automated gate.
    """

    model_id: str
    model: str
    number: int
    stage: str
    passed: bool
    results: tuple[Result, ...]
    policy: AppliedPolicy
    evidence_digest: str
    promotion_id: str | None


@dataclass(frozen=True, slots=True)
class PromotionGranted:
    """The version may serve in the environment.

    `digest`: that of the request. `override`: granted by a break-glass override. `review_id`: the review with
    the approvals or the override; empty when the policy has no manual gate. `conditions`: those of all
    approvals.
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
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromotionDenied:
    """The promotion is over. Request it again when the reasons no longer apply."""

    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReviewOpened:
    """`needs` distinct people with one of `roles` must approve.

    `sealed_digest` covers what the review shows. `serve`: the last approval gives the version all requests
    where no version serves. `production`: whether the environment is one. `requester`: who requested the
    promotion.
    """

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
    serve: bool = False
    production: bool = True
    requester: str = ""


@dataclass(frozen=True, slots=True)
class ReviewApproved:
    """One approval of those needed. `complete`: it was the last one."""

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
    accepted: tuple[str, ...] = ()


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
    """What the review showed has changed. A new promotion request opens a new review.

    `requester`: whom it concerns.
    """

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    reasons: tuple[str, ...]
    requester: str = ""


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
    """A break-glass override.

    `bypassed`: the gates and approvals that were missing. An after-review is due at `due_at`. `adopts`: the
    version serves in another registry, as its user read it there, and is taken over.
    """

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    by: str
    reason: str
    bypassed: tuple[str, ...]
    due_at: datetime | None = None
    adopts: Adoption | None = None


@dataclass(frozen=True, slots=True)
class AfterReviewOverdue:
    """The after-review of an override is missing. It is reported again a day later."""

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    by: str
    due_at: datetime
    reminder: int


@dataclass(frozen=True, slots=True)
class OverrideReviewed:
    """The after-review of an override. An unjustified one has a `consequence`: `stop` or `roll_back`."""

    review_id: str
    promotion_id: str
    model_id: str
    model: str
    number: int
    by: str
    justified: bool
    comment: str
    environment: str = ""
    consequence: str = ""


_CLASSES: tuple[type, ...] = (
    PolicyPublished,
    PolicyProposed,
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
    AfterReviewOverdue,
    OverrideReviewed,
)
PUBLIC: dict[str, type] = {f"regista.approval.{class_.__name__}.v1": class_ for class_ in _CLASSES}
"""The class of every public type."""


def publish(recorded: Recorded) -> PublicEvent | None:
    """Return the public message of an event, or None for an event that is not published."""
    data = _public(recorded)
    return PublicEvent(f"regista.approval.{type(data).__name__}.v1", data) if data is not None else None


def _public(recorded: Recorded) -> object | None:
    event: ApprovalEvent = recorded.event
    match event:
        case policy.PolicyPublished() as e:
            return PolicyPublished(e.name, recorded.revision, e.digest, e.policy, e.weaker)
        case policy.PolicyProposed() as e:
            return PolicyProposed(e.name, recorded.revision, e.digest, e.policy, e.weaker, e.by)
        case gate_events.GatesEvaluated() as e:
            return _gates_evaluated(e)
        case gate_events.PromotionGranted() as e:
            return _promotion_granted(e)
        case gate_events.PromotionDenied() as e:
            return PromotionDenied(e.promotion_id, e.model_id, e.model, e.number, e.environment, e.reasons)
        case (
            Noted()
            | gate_events.OverrideStands()
            | gate_events.OverrideWithdrawn()
            | gate_events.AfterReviewOwed()
            | gate_events.AfterReviewDone()
            | policy.ProposalWithdrawn()
            | policy.PolicyApplied()
            | policy.PolicyListed()
        ):
            return None
        case _:
            return _public_review(event)


def _gates_evaluated(e: gate_events.GatesEvaluated) -> GatesEvaluated:
    """Return the verdict without its evidence, which may be large."""
    return GatesEvaluated(
        model_id=e.model_id,
        model=e.model,
        number=e.number,
        stage=e.stage,
        passed=e.passed,
        results=e.results,
        policy=AppliedPolicy(
            e.policy.name, e.policy.revision, e.policy.digest, e.challenger_cap, e.two_to_recall
        ),
        evidence_digest=e.evidence_digest,
        promotion_id=e.promotion_id,
    )


def _promotion_granted(e: gate_events.PromotionGranted) -> PromotionGranted:
    return PromotionGranted(
        promotion_id=e.promotion_id,
        model_id=e.model_id,
        model=e.model,
        number=e.number,
        environment=e.environment,
        digest=e.digest,
        approvers=e.approvers,
        policy=e.policy,
        evidence_digest=e.evidence_digest,
        review_id=e.review_id,
        override=e.override,
        conditions=e.conditions,
    )


def _public_review(event: review.ReviewEvent) -> object | None:
    match event:
        case review.ReviewOpened() as e:
            return ReviewOpened(
                *_about(e.about),
                semver=e.semver,
                environment=e.environment,
                needs=e.needs,
                roles=e.roles,
                sealed_digest=e.sealed_digest,
                evidence_digest=e.evidence_digest,
                policy=e.policy,
                expires_at=e.expires_at,
                serve=e.serve,
                production=e.production,
                requester=e.requester,
            )
        case review.ReviewApproved() as e:
            return ReviewApproved(
                *_about(e.about),
                approver=e.approver,
                comment=e.comment,
                conditions=e.conditions,
                approvals=len(e.approvers),
                complete=e.complete,
                sealed_digest=e.sealed_digest,
                accepted=e.accepted,
            )
        case review.ReviewRejected() as e:
            return ReviewRejected(*_about(e.about), e.by, e.reason)
        case review.ReviewCommented() as e:
            return ReviewCommented(*_about(e.about), e.by, e.comment)
        case review.ReviewLapsed() as e:
            return ReviewLapsed(*_about(e.about), e.reasons, e.requester)
        case review.ReviewExpired() as e:
            return ReviewExpired(*_about(e.about), e.expires_at)
        case review.OverrideUsed() as e:
            return OverrideUsed(
                *_about(e.about), e.environment, e.by, e.reason, e.bypassed, e.due_at, e.adopts
            )
        case review.AfterReviewOverdue() as e:
            return AfterReviewOverdue(*_about(e.about), e.by, e.due_at, e.reminder)
        case review.OverrideReviewed() as e:
            return OverrideReviewed(
                *_about(e.about), e.by, e.justified, e.comment, e.environment, e.consequence
            )
        case review.ReviewRefreshed():
            return None
        case _:
            assert_never(event)


def _about(a: About) -> tuple[str, str, str, str, int]:
    """Return the fields that every review message begins with. A review has its promotion's id."""
    return a.promotion_id, a.promotion_id, a.model_id, a.model, a.number
