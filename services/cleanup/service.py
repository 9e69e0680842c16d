"""cleanup as the kernel runs it."""

from __future__ import annotations

from typing import Any

from services.cleanup.api import ROUTES
from services.cleanup.consumers import subscriptions
from services.cleanup.domain import early, retention, sweep
from services.cleanup.due_work import workers
from services.cleanup.projections import project
from services.cleanup.publish import publish
from services.cleanup.stored_events import EVENTS
from services.cleanup.tables import TABLES
from shared.deciding.decider import Decider
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

DECIDERS: dict[type, Decider[Any, Any, Any]] = {
    **dict.fromkeys(
        (
            retention.NoteRegistryEvent,
            retention.RecordUsage,
            retention.ChangeRetention,
            retention.SweepVersions,
            retention.ProposeRetirement,
        ),
        retention.RETENTION,
    ),
    **dict.fromkeys((sweep.ScheduleSweep, sweep.PlanSweep, sweep.AdvanceSweep), sweep.SWEEP),
    **dict.fromkeys((early.HoldReport, early.EndWait), early.EARLY),
}
SERVICE = Service(
    "cleanup", (retention.RETENTION, sweep.SWEEP, early.EARLY), DECIDERS, EVENTS, project, publish, TABLES
)


def process(app: App) -> Process:
    """What this service runs."""
    return Process(SERVICE, routes=ROUTES, subscriptions=subscriptions(app), due_work=workers(app))
