"""The stored events of the registry by their names.

No event has an older form yet, so there are no upcasters.
"""

from __future__ import annotations

from typing import get_args

from services.registry.domain.model.events import ModelEvent
from services.registry.domain.naming.name import NameEvent
from shared.deciding.events import EventTypes

EVENTS = EventTypes(tuple(dict.fromkeys((*get_args(NameEvent), *get_args(ModelEvent)))))
