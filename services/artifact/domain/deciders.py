"""The kinds of streams of this service, and the decider of each command."""

from __future__ import annotations

from typing import Any, get_args

from services.artifact.domain.artifact import ARTIFACT
from services.artifact.domain.artifact_commands import ArtifactCommand
from services.artifact.domain.upload import UPLOAD, UploadCommand
from shared.deciding.decider import Decider, Fold

FOLDS: tuple[Fold[Any, Any], ...] = (ARTIFACT, UPLOAD)

DECIDERS: dict[type, Decider[Any, Any, Any]] = {
    **dict.fromkeys(get_args(ArtifactCommand), ARTIFACT),
    **dict.fromkeys(get_args(UploadCommand), UPLOAD),
}
