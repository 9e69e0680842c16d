"""The binding of the registry's rooms into its two services: models, and identities."""

from __future__ import annotations

from typing import Any, get_args

from services.registry import queries
from services.registry.access import domain, names
from services.registry.api import ROUTES
from services.registry.consumers import subscriptions
from services.registry.domain.deciders import DECIDERS, MODEL
from services.registry.domain.naming.name import NAME
from services.registry.look_ups import Intake
from services.registry.parts import Parts
from services.registry.projections import IN_BRIEF, project, project_access
from services.registry.publish import publish
from services.registry.stored_events import EVENTS
from services.registry.tables import ACCESS_TABLES, TABLES
from shared.deciding.access import ACCESS_EVENTS
from shared.deciding.service import Service
from shared.http.app import App
from shared.http.batcher import Batcher
from shared.run import Process

SERVICE = Service("registry", (MODEL, NAME), DECIDERS, EVENTS, project, publish, TABLES, IN_BRIEF)


def _nothing_public(_recorded: Any) -> None:
    """Identities are no messages: every service reads them in the log."""


ACCESS_SERVICE = Service(
    "access",
    (domain.ACCESS,),
    dict.fromkeys(get_args(domain.AccessCommand), domain.ACCESS),
    ACCESS_EVENTS,
    project_access,
    _nothing_public,
    ACCESS_TABLES,
)


async def _start(app: App) -> Parts:
    await names.settle(app.pool)
    return Parts(Intake(app.pool), Batcher(lambda wanted: queries.resolve(app.pool, wanted)))


def process(app: App) -> Process:
    """What `python -m services.registry` runs."""
    return Process(
        SERVICE,
        routes=ROUTES,
        subscriptions=subscriptions(app),
        extra_services=(ACCESS_SERVICE,),
        start=_start,
    )
