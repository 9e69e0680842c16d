"""The binding of approval's rooms into one service."""

from __future__ import annotations

from services.approval.api import ROUTES
from services.approval.bootstrap import publish_builtin
from services.approval.consumers import subscriptions
from services.approval.domain.deciders import DECIDERS, FOLDS
from services.approval.domain.gate_events import PromotionDenied, PromotionGranted
from services.approval.due_work import due_work
from services.approval.measurements import MEASUREMENTS
from services.approval.projections import project
from services.approval.publish import publish
from services.approval.queries import KNOWN_NAMES
from services.approval.stored_events import EVENTS
from services.approval.tables import TABLES
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

SERVICE = Service(
    name="approval",
    folds=FOLDS,
    deciders=DECIDERS,
    events=EVENTS,
    project=project,
    publish=publish,
    tables=TABLES,
    urgent=frozenset({PromotionGranted, PromotionDenied}),
)


def process(app: App) -> Process:
    """Return what `python -m services.approval` runs."""
    return Process(
        service=SERVICE,
        routes=ROUTES,
        subscriptions=subscriptions(app),
        due_work=due_work(app),
        start=publish_builtin,
        measurements=MEASUREMENTS,
        known_names=KNOWN_NAMES,
    )
