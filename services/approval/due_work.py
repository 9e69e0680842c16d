"""Due work → commands: reviews whose time is up, overdue after-reviews, gates under a new policy."""

from __future__ import annotations

from functools import partial

from services.approval import queries
from services.approval.domain.approving import Expire
from services.approval.domain.policy import ApplyPolicy, stream_of
from services.approval.domain.review import RemindAfterReview
from services.approval.domain.review import stream_of as review_stream
from services.approval.look_ups import assessments
from services.approval.projections import POLICY_CHANGE
from services.approval.projections.reviews import AFTER_REVIEW, EXPIRY
from shared.deciding.submission import Submission
from shared.http.app import App
from shared.log.due_work import DueRow, DueWork


def due_work(app: App) -> list[DueWork]:
    return [
        DueWork(EXPIRY, partial(expire_review, app)),
        DueWork(POLICY_CHANGE, partial(apply_policy, app), concurrency=1),
        DueWork(AFTER_REVIEW, remind_after_review),
    ]


async def expire_review(app: App, row: DueRow) -> list[Submission]:
    """End the review whose time is up."""
    review_id, model_id, number = row.data["promotion_id"], row.data["model_id"], row.data["number"]
    streams = await queries.streams_for(app.pool, model_id, number, [review_id])
    command = Expire(review_id, model_id, number)
    return [Submission(command, streams.writes, row.cause(), row.actor, streams.depends_on)]


async def remind_after_review(row: DueRow) -> list[Submission]:
    """Report that an after-review is overdue. It is due again a day later."""
    stream = review_stream(row.data["promotion_id"])
    return [Submission(RemindAfterReview(), (stream,), row.cause(), row.actor)]


async def apply_policy(app: App, row: DueRow) -> list[Submission]:
    """Assess every open gate after a policy was published, whichever policy now applies to it."""
    name, revision = row.data["name"], row.data["revision"]
    commands = await assessments(app, row.cause)
    return [*commands, Submission(ApplyPolicy(name, revision), (stream_of(name),), row.cause(), row.actor)]
