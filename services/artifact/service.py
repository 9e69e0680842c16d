"""The binding of this service's rooms."""

from __future__ import annotations

from dataclasses import replace

from services.artifact.api import ROUTES
from services.artifact.consumers import subscriptions
from services.artifact.domain.deciders import DECIDERS, FOLDS
from services.artifact.due_work import due_work
from services.artifact.measurements import measurements
from services.artifact.parts import Parts, make_parts
from services.artifact.projections import project
from services.artifact.publish import publish
from services.artifact.settings import ArtifactSettings
from services.artifact.stored_events import EVENTS
from services.artifact.tables import TABLES
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

SERVICE = Service(
    name="artifact",
    folds=FOLDS,
    deciders=DECIDERS,
    events=EVENTS,
    project=project,
    publish=publish,
    tables=TABLES,
)


def process(app: App) -> Process:
    """Return what `python -m services.artifact` runs.

    It is not ready while the object store is unavailable.
    """
    settings = (
        app.settings
        if isinstance(app.settings, ArtifactSettings)
        else ArtifactSettings.extending(app.settings)
    )
    parts = make_parts(app, settings, settings.store())

    async def start(_: App) -> Parts:
        return parts

    async def check_store(_: App) -> None:
        await parts.store.check()

    timeout = settings.artifact_upload_timeout
    return Process(
        SERVICE,
        routes=[replace(route, timeout=timeout) if route.streams else route for route in ROUTES],
        subscriptions=subscriptions(app),
        due_work=due_work(app),
        start=start,
        checks={"object store": check_store},
        measurements=measurements(settings),
    )
