"""What this service counts for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from prometheus_client import Gauge

from services.registry import queries
from services.registry.domain.model.state import Stage
from shared.http.app import App
from shared.measurements import Measurement

VERSIONS = Gauge("regista_versions", "Versions by stage", ["stage"])


async def versions_by_stage(app: App) -> Mapping[str, float]:
    """Return the number of versions in each stage."""
    async with app.pool.acquire() as connection:
        found = await connection.fetch(queries.VERSIONS_BY_STAGE)
    return dict.fromkeys(get_args(Stage), 0) | {row["stage"]: row["versions"] for row in found}


MEASUREMENTS = (Measurement(VERSIONS, versions_by_stage),)
