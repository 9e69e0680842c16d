"""What the process of this service keeps besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass

from services.artifact import queries
from services.artifact.domain.upload import UploadState
from services.artifact.settings import ArtifactSettings
from services.artifact.stores import ObjectStore
from shared.http.app import App
from shared.http.batcher import Batcher


@dataclass(frozen=True, slots=True)
class Parts:
    """The object store, the settings of this service, and uploads as the log has them."""

    store: ObjectStore
    settings: ArtifactSettings
    uploads: Batcher[str, UploadState]


def make_parts(app: App, settings: ArtifactSettings, store: ObjectStore) -> Parts:
    """Return the parts of a process. Its transactor is only needed when it reads."""
    return Parts(store, settings, Batcher(lambda wanted: queries.uploads(app.transactor, wanted)))
