"""What this service weighs for metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client import Gauge

from services.audit.export import chunks
from services.audit.settings import AuditSettings
from shared.http.app import App
from shared.measurements import Measurement, disks

HISTORY = Gauge("regista_history_bytes", "Bytes of the exported log, by what the files hold", ["files"])


async def exported_bytes(app: App) -> Mapping[str, float]:
    """Return the bytes of the files that were exported."""
    async with app.pool.acquire() as connection:
        return {"parquet": await connection.fetchval(chunks.EXPORTED_BYTES)}


def measurements(settings: AuditSettings) -> Sequence[Measurement]:
    """Return the measurements; of a store on a disk also its free space."""
    on_disk = settings.history_dir and not settings.history_s3_endpoint
    return [
        Measurement(HISTORY, exported_bytes),
        *(disks({"history": Path(settings.history_dir)}) if on_disk else []),
    ]
