"""What is due → commands: a review whose time is up, the gates that a new policy may rule."""

from __future__ import annotations

from functools import partial

from services.approval import queries
from services.approval.domain.policy import ApplyPolicy, stream_of
from services.approval.domain.promotion import Expire
from services.approval.look_ups import evaluations
from services.approval.projections import EXPIRY, POLICY_CHANGE
from shared.deciding.submission import Submission
from shared.http.app import App
from shared.log.due_work import DueRow, DueWork


def workers(app: App) -> list[DueWork]:
    """One for each kind of work."""
    return [
        DueWork(EXPIRY, partial(expire_review, app)),
        DueWork(POLICY_CHANGE, partial(apply_policy, app), concurrency=1),
    ]


async def expire_review(app: App, row: DueRow) -> list[Submission]:
    """The review's time is up."""
    review_id, model_id, number = row.data["promotion_id"], row.data["model_id"], row.data["number"]
    named = await queries.streams_for(app.pool, model_id, number, [review_id])
    return [
        Submission(
            Expire(review_id, model_id, number), named.writes, row.cause(), row.actor, named.depends_on
        )
    ]


async def apply_policy(app: App, row: DueRow) -> list[Submission]:
    """A policy was published: every open gate is asked again, under whichever policy rules it now."""
    name, revision = row.data["name"], row.data["revision"]
    again = await evaluations(app, row.cause)
    return [*again, Submission(ApplyPolicy(name, revision), (stream_of(name),), row.cause(), row.actor)]
