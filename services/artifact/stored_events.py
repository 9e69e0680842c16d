"""The stored events of this service, and how older forms become today's.

Stored events are never rewritten.
"""

from __future__ import annotations

from services.artifact.domain.artifact_state import (
    ArtifactDeleted,
    ArtifactExpired,
    ArtifactMismatched,
    ArtifactQuarantined,
    ArtifactRecalled,
    ArtifactReceived,
    ArtifactReleased,
    ArtifactVerified,
    CheckAsked,
    CopyDiscarded,
    CopyLeft,
    ExpiryTagged,
)
from services.artifact.domain.upload import FileAdded, UploadDeleted, UploadExpired, UploadOpened
from shared.deciding.events import EventTypes, Upcaster

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, schema n) → the data of schema n + 1."""

EVENTS = EventTypes(
    (
        ArtifactReceived,
        ArtifactVerified,
        ArtifactMismatched,
        ArtifactQuarantined,
        ArtifactReleased,
        ArtifactRecalled,
        ArtifactExpired,
        ExpiryTagged,
        ArtifactDeleted,
        CheckAsked,
        CopyLeft,
        CopyDiscarded,
        UploadOpened,
        FileAdded,
        UploadExpired,
        UploadDeleted,
    ),
    UPCASTERS,
)
