"""The due work of this service: cleanup runs and their chunks, the ends of grace periods and of waits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from services.cleanup import queries
from services.cleanup.domain import defaults, retention, sweep
from services.cleanup.domain.retention_commands import ProposeRetirement, SweepVersions
from services.cleanup.look_ups import received
from services.cleanup.parts import Parts
from services.cleanup.projections import CHUNK, PROPOSE, SWEEP, WAITED
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.log.due_work import DueRow, DueWork

if TYPE_CHECKING:
    from shared.http.app import App

MODELS_OF_A_CHUNK = 500
SELF = Actor("service:cleanup")


def due_work(app: App) -> list[DueWork]:
    """Return the handler of each kind of due work."""
    return [
        DueWork(SWEEP, begin_sweep),
        DueWork(CHUNK, partial(sweep_chunk, app), concurrency=2),
        DueWork(PROPOSE, propose),
        DueWork(WAITED, partial(end_wait, app)),
    ]


def schedule_next(now: datetime) -> Submission:
    """Return the command that schedules next month's cleanup run.

    The period is its cause, so it is scheduled once.
    """
    period, due_at = sweep.next_period(now)
    cause = Cause("cleanup/schedule", period, hashlib.sha256(period.encode()).digest())
    return Submission(sweep.ScheduleSweep(period, due_at), (sweep.stream_of(period),), cause, SELF)


async def begin_sweep(row: DueRow) -> Sequence[Submission]:
    """Begin a month's cleanup run.

    The next one is scheduled first, so a crash between the two does not end the chain.

    The next month is counted from the due time at least: a clock behind the database's would choose this
    month again.
    """
    plan = sweep.PlanSweep(row.key, "schedule")
    return [
        schedule_next(max(datetime.now(UTC), row.due_at)),
        Submission(plan, (sweep.stream_of(row.key),), row.cause(), row.actor),
    ]


async def sweep_chunk(app: App, row: DueRow) -> Sequence[Submission]:
    """Judge the next ranges of versions, one command for each. The run advances when all are committed."""
    scope, after = row.data["scope"], (row.data["model_id"], row.data["number"])
    models = await queries.models_from(app.searches, after[0], scope, MODELS_OF_A_CHUNK)
    ranges, position = sweep.chunk(models, after)
    if position is None and len(models) == MODELS_OF_A_CHUNK:
        position = models[-1]
    for answer in await app.transactor.submit_all([_judge(row, part) for part in ranges]):
        if isinstance(answer, RuleBroken):
            raise answer
    model_id, number = position or ("", 0)
    command = sweep.AdvanceSweep(
        sweep_id=row.key,
        chunk=row.data["chunk"],
        model_id=model_id,
        number=number,
        models=sum(1 for part in ranges if part.first == 1),
        versions=sum(part.last - part.first + 1 for part in ranges),
        finished=position is None,
    )
    return [Submission(command, (sweep.stream_of(row.key),), _cause(row), row.actor)]


def _cause(row: DueRow, part: str = "") -> Cause:
    """Return the cause of a row's command; it names the event that made the row due."""
    return replace(row.cause(part), causation_id=row.data["because"], correlation_id=row.data["correlation"])


def _judge(row: DueRow, part: sweep.Range) -> Submission:
    return Submission(
        SweepVersions(part.model_id, row.key, part.first, part.last),
        (retention.stream_of(part.model_id),),
        _cause(row, f"{part.model_id}/{part.first}-{part.last}"),
        row.actor,
        depends_on=(defaults.STREAM,),
        reason=f"cleanup run {row.key}",
    )


async def propose(row: DueRow) -> Sequence[Submission]:
    """Propose the retirement of a version whose grace period is over."""
    model_id, number = row.data["model_id"], row.data["number"]
    command = ProposeRetirement(model_id, number, row.data["cleanup_run_id"])
    return [
        Submission(
            command,
            (retention.stream_of(model_id),),
            _cause(row),
            row.actor,
            depends_on=(defaults.STREAM,),
            reason="the grace period is over",
        )
    ]


async def end_wait(app: App, row: DueRow) -> Sequence[Submission]:
    """Place a report that waited long enough, if what it names is noted after all; else dead-letter it."""
    found = await queries.waiting_report(app.pool, row.key)
    if found is None:
        return []
    name, message = found
    reports, report = app.parts_as(Parts).reports, received(message)
    if placed := await reports.place(name, [(row.key, report)]):
        return placed
    return [await reports.give_up(name, row.key, report, await reports.why_given_up(name, report))]
