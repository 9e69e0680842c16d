"""The artifact service as the kernel runs it."""

from __future__ import annotations

from typing import Any

from services.artifact.api import Api
from services.artifact.consumers import subscriptions
from services.artifact.domain import artifact, upload
from services.artifact.domain.artifact import ARTIFACT
from services.artifact.domain.upload import UPLOAD
from services.artifact.due_work import Bench, workers
from services.artifact.projections import project
from services.artifact.publish import publish
from services.artifact.settings import ArtifactSettings
from services.artifact.stored_events import EVENTS
from services.artifact.tables import TABLES
from shared.deciding.decider import Decider
from shared.deciding.service import Service
from shared.http.app import App
from shared.run import Process

DECIDERS: dict[type, Decider[Any, Any, Any]] = {
    **dict.fromkeys(
        (
            artifact.NoteRegistered,
            artifact.NoteEnded,
            artifact.NoteRecalled,
            artifact.NoteServing,
            artifact.NotePromotion,
            artifact.AskCheck,
            artifact.RecordVerified,
            artifact.RecordMismatched,
            artifact.RecordIntact,
            artifact.RecordDamaged,
            artifact.RecordTagged,
            artifact.RecordDeleted,
            artifact.RecordDiscarded,
        ),
        ARTIFACT,
    ),
    **dict.fromkeys(
        (
            upload.OpenUpload,
            upload.AddFile,
            upload.RecordFile,
            upload.ExpireUpload,
            upload.RecordUploadDeleted,
        ),
        UPLOAD,
    ),
}
SERVICE = Service("artifact", (ARTIFACT, UPLOAD), DECIDERS, EVENTS, project, publish, TABLES)


def process(app: App) -> Process:
    """What this service runs. While the store is away it is not ready, and its work waits."""
    settings = (
        app.settings
        if isinstance(app.settings, ArtifactSettings)
        else ArtifactSettings.extending(app.settings)
    )
    bench = Bench(app, settings.store(), settings)

    async def store_is_there(_: App) -> None:
        await bench.store.check()

    return Process(
        SERVICE,
        routes=Api(bench).routes(),
        subscriptions=subscriptions(app, settings),
        due_work=workers(bench),
        checks={"object store": store_is_there},
    )
