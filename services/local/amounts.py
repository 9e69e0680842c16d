"""Read how much there is from the metrics of the services: sizes, versions by stage, waiting reviews."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

from services.local.instance import Instance

Amounts = dict[str, dict[str, float]]
"""The values by what is measured, then by the label of the metric."""
MEASURED = "regista_measured_at_seconds"

SHOWN = {
    "registry": {"regista_versions": "versions", "regista_database_bytes": "database_bytes"},
    "approval": {"regista_reviews": "reviews"},
    "artifact": {"regista_artifacts": "artifacts", "regista_artifact_bytes": "artifact_bytes"},
    "audit": {"regista_history_bytes": "history_bytes"},
}
"""Which metric of which service is shown, and as what."""


def amounts(
    instance: Instance, get: Callable[[str, str], tuple[int, bytes]], ages: dict[str, float]
) -> Amounts:
    """Return what the services that answer have measured, and the disk of the instance.

    `get` requests a path of a service. What is not measured yet, or could not be measured, is missing. `ages`
    gets how many seconds ago each was measured.
    """
    disk = shutil.disk_usage(instance.folder.directory)
    found: Amounts = {"disk_bytes": {"free": disk.free, "total": disk.total}}
    ages["disk_bytes"] = 0.0
    for service, metrics in SHOWN.items():
        try:
            status, text = get(instance.urls[service], "/metrics")
        except (OSError, HTTPException, KeyError):
            continue
        if status == HTTPStatus.OK:
            values, measured_at = _read(text.decode(), metrics)
            found |= values
            if measured_at:
                ages |= dict.fromkeys(values, max(0.0, round(time.time() - measured_at, 1)))
    return found


def _read(text: str, metrics: dict[str, str]) -> tuple[Amounts, float]:
    """Return the values, and when they were measured: 0 for a service that does not state it."""
    found: Amounts = {}
    measured_at = 0.0
    for family in text_string_to_metric_families(text):
        if family.name == MEASURED:
            measured_at = family.samples[0].value
        if family.name in metrics:
            values = {next(iter(s.labels.values())): s.value for s in family.samples}
            found[metrics[family.name]] = {
                label: value for label, value in values.items() if not math.isnan(value)
            }
    return found, measured_at
