"""The binding of this service's rooms."""

from __future__ import annotations

from services.mirror.api import ROUTES
from services.mirror.consumers import subscriptions
from services.mirror.domain.deciders import DECIDERS, FOLDS
from services.mirror.due_work import due_work
from services.mirror.parts import Parts
from services.mirror.projections import project
from services.mirror.publish import publish
from services.mirror.queries import KNOWN_NAMES
from services.mirror.registry_reader import RegistryReader
from services.mirror.settings import MirrorSettings
from services.mirror.stored_events import EVENTS
from services.mirror.tables import TABLES
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

SERVICE = Service(
    name="mirror",
    folds=FOLDS,
    deciders=DECIDERS,
    events=EVENTS,
    project=project,
    publish=publish,
    tables=TABLES,
)


def process(app: App) -> Process:
    """Return what `python -m services.mirror` runs."""
    settings = MirrorSettings.extending(app.settings)

    async def start(_: App) -> Parts:
        return Parts(RegistryReader(settings), settings)

    return Process(
        SERVICE,
        routes=ROUTES,
        subscriptions=subscriptions(app),
        due_work=due_work(app),
        start=start,
        known_names=KNOWN_NAMES,
    )
