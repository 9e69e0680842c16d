"""The stored events of this service by their names."""

from __future__ import annotations

from typing import get_args

from services.artifact.domain.artifact_events import OwnEvent
from services.artifact.domain.upload import UploadEvent
from shared.deciding.events import EventTypes

EVENTS = EventTypes((*get_args(OwnEvent), *get_args(UploadEvent)))
