"""The binding of approval's rooms into one service."""

from __future__ import annotations

from services.approval.api import ROUTES
from services.approval.consumers import subscriptions, workers
from services.approval.domain import gate, policy, promotion, review
from services.approval.domain.builtin import BUILTIN
from services.approval.projections import project
from services.approval.publish import publish
from services.approval.tables import TABLES
from shared.decider import Joint
from shared.events import Actor, EventTypes
from shared.run import App, Process
from shared.service import Service
from shared.submission import Cause, Submission, request_digest

EVENTS = EventTypes(
    (
        policy.PolicyPublished, policy.PolicyApplied, policy.PolicyListed, gate.GatesEvaluated, gate.PromotionGranted, gate.PromotionDenied, gate.OverrideStands,
        gate.OverrideWithdrawn, review.ReviewOpened, review.ReviewRefreshed, review.ReviewApproved, review.ReviewRejected, review.ReviewCommented, review.ReviewLapsed,
        review.ReviewExpired, review.OverrideUsed, review.OverrideReviewed,
    )
)  # fmt: skip

SERVICE = Service(
    name="approval",
    folds=(policy.POLICY, policy.POLICIES, gate.GATE, review.REVIEW),
    deciders={
        policy.PublishPolicy: Joint(policy.decide_publish),
        policy.ApplyPolicy: policy.POLICY,
        gate.NoteModel: gate.GATE,
        gate.NoteVersion: gate.GATE,
        promotion.Evaluate: Joint(promotion.decide_evaluate),
        promotion.Approve: Joint(promotion.decide_approve),
        promotion.Reject: Joint(promotion.decide_reject),
        promotion.Expire: Joint(promotion.decide_expire),
        promotion.Override: Joint(promotion.decide_override),
        review.Comment: review.REVIEW,
        review.ReviewOverride: Joint(promotion.decide_review_override),
    },
    events=EVENTS,
    project=project,
    publish=publish,
    tables=TABLES,
)


async def publish_builtin(app: App) -> None:
    """At the first start there is a policy already; where there is one of its name, it is left alone."""
    for name, document in BUILTIN.items():
        command = policy.PublishPolicy(name, document, builtin=True)
        digest = policy.checked(document)
        cause = Cause("approval/builtin", f"{name}@{digest}", request_digest(digest))
        await app.transactor.submit(Submission(command, (policy.stream_of(name), policy.ALL), cause, Actor("system:approval")))


def process(app: App) -> Process:
    return Process(SERVICE, routes=ROUTES, subscriptions=subscriptions(app), workers=workers(app), start=publish_builtin)
