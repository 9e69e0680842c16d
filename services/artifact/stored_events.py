"""The stored events of this service by their names."""

from __future__ import annotations

from typing import Any, get_args

from services.artifact.domain.artifact_events import OwnEvent
from services.artifact.domain.upload import UploadEvent
from shared.deciding.events import EventTypes, Upcaster


def _unchanged(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data unchanged: the new field has its default.

    A file without hash and etag is read before it is copied. A version that is not `proven` waits until its
    own bytes are read. A recall without `others` names none.
    """
    return data


UPCASTERS: dict[tuple[str, int], Upcaster] = dict.fromkeys(
    (("FileAdded", 1), ("ArtifactReceived", 1), ("ArtifactRecalled", 1)), _unchanged
)
"""(type, schema n) → the data of schema n + 1."""

EVENTS = EventTypes((*get_args(OwnEvent), *get_args(UploadEvent)), UPCASTERS)
