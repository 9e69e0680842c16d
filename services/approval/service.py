"""The binding of approval's rooms into one service."""

from __future__ import annotations

from services.approval.api import ROUTES
from services.approval.bootstrap import publish_builtin
from services.approval.consumers import subscriptions
from services.approval.domain import gate, policy, promotion, review
from services.approval.due_work import workers
from services.approval.projections import project
from services.approval.publish import publish
from services.approval.stored_events import EVENTS
from services.approval.tables import TABLES
from shared.deciding.decider import Joint
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

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


def process(app: App) -> Process:
    """What this service runs."""
    return Process(
        SERVICE, routes=ROUTES, subscriptions=subscriptions(app), due_work=workers(app), start=publish_builtin
    )
