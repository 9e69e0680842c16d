"""What is due → commands: a period that begins, the next part of a sweep, the end of a grace period."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from services.cleanup import queries
from services.cleanup.domain import retention, sweep
from services.cleanup.domain.early import PATIENCE
from services.cleanup.look_ups import Reports, received
from services.cleanup.projections import CHUNK, PROPOSE, SWEEP, WAITED
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.log.due_work import DueRow, DueWork

if TYPE_CHECKING:
    from shared.http.app import App

MODELS_AT_ONCE = 500
SELF = Actor("service:cleanup")


def schedule_next(now: datetime) -> Submission:
    """The coming month's sweep. Many may ask: the period is the cause, so it is scheduled once."""
    period, due_at = sweep.next_period(now)
    cause = Cause("cleanup/schedule", period, hashlib.sha256(period.encode()).digest())
    return Submission(sweep.ScheduleSweep(period, due_at), (sweep.stream_of(period),), cause, SELF)


async def begin(row: DueRow) -> Sequence[Submission]:
    """A period begins: the next one is scheduled first, so that the chain survives a crash between the two.

    Counted from the moment it was due at least: by a clock that runs behind the database's, the coming period
    would be this one again.
    """
    plan = sweep.PlanSweep(row.key, "schedule")
    return [
        schedule_next(max(datetime.now(UTC), row.due_at)),
        Submission(plan, (sweep.stream_of(row.key),), row.cause(), row.actor),
    ]


async def work_chunk(app: App, row: DueRow) -> Sequence[Submission]:
    """Judges the next ranges of versions, one bounded command each, and moves on only when all of them are committed."""
    scope, after = row.data["scope"], (row.data["model_id"], row.data["number"])
    models = await queries.models_from(app.pool, after[0], scope, MODELS_AT_ONCE)
    ranges, place = sweep.chunk(models, after)
    if place is None and len(models) == MODELS_AT_ONCE:
        place = models[-1]
    answers = await app.transactor.submit_all([_judge(row, part) for part in ranges])
    for answer in answers:
        if isinstance(answer, RuleBroken):
            raise answer
    begun = sum(1 for part in ranges if part.first == 1)
    versions = sum(part.last - part.first + 1 for part in ranges)
    to = place or ("", 0)
    command = sweep.AdvanceSweep(
        row.key, row.data["chunk"], to[0], to[1], begun, versions, finished=place is None
    )
    return [Submission(command, (sweep.stream_of(row.key),), _cause(row), row.actor)]


def _cause(row: DueRow, part: str = "") -> Cause:
    """The row's own cause, which names the event that made it due."""
    return replace(row.cause(part), causation_id=row.data["because"], correlation_id=row.data["correlation"])


def _judge(row: DueRow, part: sweep.Range) -> Submission:
    command = retention.SweepVersions(part.model_id, row.key, part.first, part.last)
    cause = _cause(row, f"{part.model_id}/{part.first}-{part.last}")
    return Submission(
        command, (retention.stream_of(part.model_id),), cause, row.actor, reason=f"sweep {row.key}"
    )


async def propose(row: DueRow) -> Sequence[Submission]:
    """A grace period is over."""
    model_id, number = row.data["model_id"], row.data["number"]
    command = retention.ProposeRetirement(model_id, number, row.data["sweep_id"])
    return [
        Submission(
            command,
            (retention.stream_of(model_id),),
            _cause(row),
            row.actor,
            reason="the grace period is over",
        )
    ]


async def end_wait(app: App, row: DueRow) -> Sequence[Submission]:
    """A report waited long enough: it is placed, if its model is known after all, or goes to the dead letters."""
    found = await queries.one_early(app.pool, row.key)
    if found is None:
        return []
    name, message = found
    if known := await queries.model(app.pool, name):
        return await Reports(app).place(name, known.model_id, [(row.key, received(message))])
    why = f"no model was named {name!r} for {PATIENCE.days} day; replay the message once it is registered, or send its model_id"
    return [await Reports(app).give_up(name, row.key, received(message), why)]


def workers(app: App) -> list[DueWork]:
    """All due work of cleanup."""
    return [
        DueWork(SWEEP, begin),
        DueWork(CHUNK, partial(work_chunk, app), concurrency=2),
        DueWork(PROPOSE, propose),
        DueWork(WAITED, partial(end_wait, app)),
    ]
