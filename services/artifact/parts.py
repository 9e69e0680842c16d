"""What the process of this service keeps besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass

from services.artifact.settings import ArtifactSettings
from services.artifact.stores import ObjectStore


@dataclass(frozen=True, slots=True)
class Parts:
    """The object store, and the settings of this service."""

    store: ObjectStore
    settings: ArtifactSettings
