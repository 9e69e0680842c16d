"""The stored events of this service by their names."""

from __future__ import annotations

from typing import get_args

from services.mirror.domain.target_events import TargetEvent
from shared.deciding.events import EventTypes

EVENTS = EventTypes(get_args(TargetEvent))
