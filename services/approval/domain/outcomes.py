"""Make the events that open or end a promotion: in the stream of the review and in that of the gate."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from services.approval.domain import review
from services.approval.domain.assessment import Assessment, Situation
from services.approval.domain.evidence import digest_of
from services.approval.domain.facts import Promotion
from services.approval.domain.gate_checks import Manual
from services.approval.domain.gate_events import PromotionDenied, PromotionGranted
from services.approval.domain.review import ReviewState
from services.approval.domain.review_events import About, ReviewExpired, ReviewLapsed, ReviewOpened

Decided = dict[str, list[Any]]


def about(promotion: Promotion, a: Assessment) -> About:
    """Return which promotion of which version a review is about."""
    return About(promotion.id, a.evidence.model_id, a.evidence.model, a.evidence.number)


def opened(promotion: Promotion, a: Assessment, manual: Manual, now: datetime) -> ReviewOpened:
    """Return the opening of a review that shows the assessment."""
    excluded = tuple(dict.fromkeys((*a.evidence.makers, *promotion.people)))
    return ReviewOpened(
        about(promotion, a),
        a.evidence.semver,
        promotion.environment,
        manual.approvers,
        manual.roles,
        excluded,
        a.seal,
        digest_of(a.seal),
        a.policy,
        a.evidence_digest,
        a.evidence,
        a.results,
        now + manual.lifetime,
        promotion.serve,
        promotion.production,
        manual.machines,
        manual.dependent_because,
        promotion.requester,
        manual.sign_in,
    )


def granted(
    promotion: Promotion,
    a: Assessment,
    approvers: tuple[str, ...],
    review_id: str = "",
    *,
    override: bool = False,
    conditions: tuple[str, ...] = (),
) -> PromotionGranted:
    """Return the grant. `review_id`: the review with the approvals or the override, if there is one.

    `conditions`: those of all approvals.
    """
    e = a.evidence
    return PromotionGranted(
        promotion.id,
        e.model_id,
        e.model,
        e.number,
        promotion.environment,
        promotion.digest,
        approvers,
        a.policy,
        a.evidence_digest,
        review_id,
        override,
        conditions,
    )


def denied(s: Situation, promotion: Promotion, reasons: Iterable[str]) -> PromotionDenied:
    v, m = s.gate.version, s.model.model or s.gate.model
    return PromotionDenied(
        promotion.id,
        v.model_id if v else "",
        m.model if m else "",
        v.number if v else 0,
        promotion.environment,
        tuple(reasons),
    )


def lapse(
    s: Situation,
    promotion: Promotion,
    state: ReviewState,
    reasons: list[str],
    then: str = "request the promotion again",
) -> Decided:
    """Return the denial, and the end of the review if one is open. `then`: what to do next."""
    decided: Decided = {s.stream: [denied(s, promotion, [f"lapsed: {r}; {then}" for r in reasons])]}
    if state.status == "open":
        decided[review.stream_of(promotion.id)] = lapsed(state, reasons)
    return decided


def lapsed(state: ReviewState, reasons: list[str]) -> list[ReviewLapsed]:
    """Return the review's event of a lapse. It stands alone when the promotion is already over."""
    return [ReviewLapsed(state.about, tuple(reasons), state.requester)] if state.about else []


def expire(s: Situation, promotion: Promotion, state: ReviewState) -> Decided:
    """Return the end of the review whose time is up, and the denial."""
    if state.about is None or state.expires_at is None:
        return {}
    return {
        review.stream_of(promotion.id): [ReviewExpired(state.about, state.expires_at)],
        s.stream: [
            denied(
                s, promotion, ("expired: the review was not decided in time; request the promotion again",)
            )
        ],
    }
