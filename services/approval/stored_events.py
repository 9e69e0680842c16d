"""The stored events of approval, and how older forms of them become today's. None has an older form yet."""

from __future__ import annotations

from services.approval.domain import gate, policy, review
from shared.deciding.events import EventTypes

ApprovalEvent = (
    gate.GateEvent | policy.PolicyPublished | policy.PolicyApplied | policy.PolicyListed | review.ReviewEvent
)

EVENTS = EventTypes(
    (
        policy.PolicyPublished,
        policy.PolicyApplied,
        policy.PolicyListed,
        gate.GatesEvaluated,
        gate.PromotionGranted,
        gate.PromotionDenied,
        gate.OverrideStands,
        gate.OverrideWithdrawn,
        review.ReviewOpened,
        review.ReviewRefreshed,
        review.ReviewApproved,
        review.ReviewRejected,
        review.ReviewCommented,
        review.ReviewLapsed,
        review.ReviewExpired,
        review.OverrideUsed,
        review.OverrideReviewed,
    ),
    upcasters={},
)
