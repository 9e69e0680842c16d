"""The binding of this service's rooms."""

from __future__ import annotations

from services.cleanup.api import ROUTES
from services.cleanup.consumers import subscriptions
from services.cleanup.domain.deciders import DECIDERS, FOLDS
from services.cleanup.due_work import due_work
from services.cleanup.look_ups import Reports
from services.cleanup.parts import Parts
from services.cleanup.projections import project
from services.cleanup.publish import publish
from services.cleanup.queries import KNOWN_NAMES
from services.cleanup.stored_events import EVENTS
from services.cleanup.tables import TABLES
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

SERVICE = Service(
    name="cleanup",
    folds=FOLDS,
    deciders=DECIDERS,
    events=EVENTS,
    project=project,
    publish=publish,
    tables=TABLES,
)


async def _start(app: App) -> Parts:
    return Parts(Reports(app))


def process(app: App) -> Process:
    """Return what `python -m services.cleanup` runs."""
    return Process(
        SERVICE,
        routes=ROUTES,
        subscriptions=subscriptions(app),
        due_work=due_work(app),
        start=_start,
        known_names=KNOWN_NAMES,
    )
