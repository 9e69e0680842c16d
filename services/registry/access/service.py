"""The identities' rooms as one service of the kernel.

It runs in the registry's process and has a partition of its own.
"""

from __future__ import annotations

from services.registry.access.domain.deciders import DECIDERS, FOLDS
from services.registry.access.projections import project
from services.registry.access.tables import TABLES
from shared.deciding.access import ACCESS_EVENTS, PARTITION
from shared.deciding.events import Recorded
from shared.deciding.service import Service


def _publish_nothing(_recorded: Recorded) -> None:
    """Publish no message: every service reads identities in the log."""


ACCESS_SERVICE = Service(
    name=PARTITION,
    folds=FOLDS,
    deciders=DECIDERS,
    events=ACCESS_EVENTS,
    project=project,
    publish=_publish_nothing,
    tables=TABLES,
)
