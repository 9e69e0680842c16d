"""Measure in the background what changes slowly, for metrics: sizes, free space, numbers of each kind.

A measurement may read whole tables, so it is taken rarely, and a measurement that takes long is taken more
rarely. Every replica measures the same: take the maximum over replicas.
"""

from __future__ import annotations

import asyncio
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Gauge

from shared.foundation.postgres import CONNECTION_ERRORS
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.telemetry import error_summary
from shared.http.app import App

log = logging.getLogger(__name__)

MEASURE_EVERY = 60.0
SHARE = 0.01
"""The share of its time that a process may measure."""
LONGEST = 30.0
"""Seconds after which a measurement is given up."""

DATABASE = Gauge("regista_database_bytes", "Size of the database and of its parts", ["part"])
FREE = Gauge("regista_disk_free_bytes", "Free bytes of the disk of a folder", ["folder"])
MEASURED = Gauge("regista_measured_at_seconds", "When the measurements were taken last, as a Unix time")
TOTAL = Gauge("regista_disk_bytes", "Size of the disk of a folder", ["folder"])

# Sizes with indexes and everything else that belongs to the tables; $1 is the service's schema.
SIZES = """
SELECT pg_database_size(current_database()) AS database,
    (SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_partition_tree('log.events')
     WHERE isleaf)::bigint AS log,
    (SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
     WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'm'))::bigint AS own
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a gauge shows: `measure` returns the values by the gauge's only label, of which there are few."""

    gauge: Gauge
    measure: Callable[[App], Awaitable[Mapping[str, float]]]


def sizes(schema: str) -> Measurement:
    """Return the measurement of the database and of a service's own tables."""

    async def measure(app: App) -> Mapping[str, float]:
        async with app.pool.acquire() as connection:
            found = await connection.fetchrow(SIZES, schema)
        return {"database": found["database"], "log": found["log"], schema: found["own"]}

    return Measurement(DATABASE, measure)


def disks(folders: Mapping[str, Path]) -> list[Measurement]:
    """Return the measurements of the disks on which folders are, by the folder's purpose."""

    async def free(_: App) -> Mapping[str, float]:
        return {name: (await asyncio.to_thread(shutil.disk_usage, at)).free for name, at in folders.items()}

    async def total(_: App) -> Mapping[str, float]:
        return {name: (await asyncio.to_thread(shutil.disk_usage, at)).total for name, at in folders.items()}

    return [Measurement(FREE, free), Measurement(TOTAL, total)]


def of_every_service(schema: str) -> list[Measurement]:
    """Return what every service measures."""
    return [sizes(schema), *disks({"temporary": Path(tempfile.gettempdir())})]


class Measurements:
    """Takes the measurements of a process. A value that cannot be measured is NaN, not its last value."""

    def __init__(self, app: App, measurements: Sequence[Measurement]) -> None:
        self._app = app
        self._measurements = measurements
        self._shown: dict[Measurement, set[str]] = {}

    async def run(self) -> None:
        """Measure for the life of the process."""
        while True:
            began = time.monotonic()
            for measurement in self._measurements:
                await self.take(measurement)
            MEASURED.set_to_current_time()
            await asyncio.sleep(max(MEASURE_EVERY, (time.monotonic() - began) / SHARE))

    async def take(self, measurement: Measurement) -> None:
        """Take one measurement and show it."""
        shown = self._shown.setdefault(measurement, set())
        try:
            async with asyncio.timeout(LONGEST):
                found = await measurement.measure(self._app)
        except Exception as error:  # noqa: BLE001 - a metric must not end the process
            raise_if_cancelled()
            if not isinstance(error, CONNECTION_ERRORS):
                log.warning("a measurement failed", extra={"error": error_summary(error)})
            found = dict.fromkeys(shown, math.nan)
        for label, value in (dict.fromkeys(shown, 0.0) | dict(found)).items():
            shown.add(label)
            measurement.gauge.labels(label).set(value)
