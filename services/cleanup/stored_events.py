"""The stored events of this service by their names."""

from __future__ import annotations

from typing import get_args

from services.cleanup.domain.defaults import DefaultEvent
from services.cleanup.domain.retention_events import OwnEvent
from services.cleanup.domain.sweep import SweepEvent
from services.cleanup.domain.waiting_reports import WaitEvent
from shared.deciding.events import EventTypes

EVENTS = EventTypes(
    (*get_args(OwnEvent), *get_args(DefaultEvent), *get_args(SweepEvent), *get_args(WaitEvent))
)
