"""The stored events of this service by their names."""

from __future__ import annotations

from typing import Any, get_args

from services.artifact.domain.artifact_events import OwnEvent
from services.artifact.domain.upload import UploadEvent
from shared.deciding.events import EventTypes, Upcaster


def _without_hash(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data unchanged. A file without hash and etag is read before it is copied."""
    return data


UPCASTERS: dict[tuple[str, int], Upcaster] = {("FileAdded", 1): _without_hash}
"""(type, schema n) → the data of schema n + 1."""

EVENTS = EventTypes((*get_args(OwnEvent), *get_args(UploadEvent)), UPCASTERS)
