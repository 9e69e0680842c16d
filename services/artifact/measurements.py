"""What this service counts and weighs for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client import Gauge

from services.artifact import queries
from services.artifact.settings import ArtifactSettings
from shared.http.app import App
from shared.measurements import Measurement, disks

ARTIFACTS = Gauge("regista_artifacts", "Artifacts by state", ["state"])
BYTES = Gauge("regista_artifact_bytes", "Bytes of the artifacts that are stored, by state", ["state"])


async def artifacts_by_state(app: App) -> Mapping[str, float]:
    """Return the number of artifacts in each state."""
    async with app.pool.acquire() as connection:
        found = await queries.by_state(connection)
    return Counter({one.state: one.artifacts for one in found})


async def bytes_by_state(app: App) -> Mapping[str, float]:
    """Return the bytes of the artifacts in each state that has bytes."""
    async with app.pool.acquire() as connection:
        found = await queries.by_state(connection)
    return {one.state: one.size for one in found if one.state != "Deleted"}


def measurements(settings: ArtifactSettings) -> Sequence[Measurement]:
    """Return the measurements; of a store on a disk also its free space."""
    own = [Measurement(ARTIFACTS, artifacts_by_state), Measurement(BYTES, bytes_by_state)]
    on_disk = settings.artifact_dir and not settings.s3_endpoint
    return [*own, *(disks({"artifacts": Path(settings.artifact_dir)}) if on_disk else [])]
