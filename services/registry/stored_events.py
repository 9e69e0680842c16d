"""The stored events of the registry by their names, and how older forms become today's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from services.registry.domain.labels.modes import MlflowModeSet
from services.registry.domain.model.events import ModelEvent
from services.registry.domain.naming.name import NameEvent
from services.registry.domain.serving.environment import EnvironmentEvent
from shared.deciding.events import EventTypes, from_actor


def _with(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return an upcaster that adds fields which the older form did not have.

    Without any, the new fields are of parts of the event, and their defaults mean what the older form meant.
    """
    return lambda data: data | fields


UPCASTERS = {
    ("ModelRegistered", 1): _with(selected_by=""),
    ("MetadataAdded", 1): _with(),
    ("MetadataAdded", 2): _with(),
    ("MetadataAdded", 3): _with(),
    ("MetadataAdded", 4): _with(started_by=[]),
    ("PromotionRequested", 1): _with(serve=False),
    ("PromotionRequested", 2): _with(production=True),
    ("VersionPromoted", 1): _with(production=True),
    ("RolloutChanged", 1): _with(production=True),
    ("RolledBack", 1): _with(warning=""),
    ("RolledBack", 2): _with(production=True),
    ("TagsChanged", 1): _with(selected_by=""),
    ("TagsChanged", 2): _with(tags_only=False),
    ("VersionPromoted", 2): _with(conditions=[], review_id=""),
    ("VersionRecalled", 1): from_actor("by"),
    ("VersionRecalled", 2): _with(withdrawal_id=""),
    ("VersionRegistered", 1): _with(notes=[]),
    ("VersionRegistered", 2): _with(),
    ("VersionRegistered", 3): _with(),
    ("VersionRegistered", 4): _with(started_by=[]),
    ("VersionRetired", 1): _with(stage="Archived"),
}

EVENTS = EventTypes(
    tuple(
        dict.fromkeys(
            (*get_args(NameEvent), *get_args(ModelEvent), *get_args(EnvironmentEvent), MlflowModeSet)
        )
    ),
    UPCASTERS,
)
