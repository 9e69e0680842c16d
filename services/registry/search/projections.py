"""The rows of measurements: which value of a metric counts for a version."""

from __future__ import annotations

from collections.abc import Iterable

from services.registry.brief import BriefVersion
from services.registry.domain.model import events as e
from services.registry.tables import MEASUREMENTS
from shared.deciding.changes import Put
from shared.deciding.events import Recorded
from shared.deciding.person import folded_name


def claimed(r: Recorded, event: e.VersionRegistered | e.MetadataAdded | BriefVersion) -> Iterable[Put]:
    """Return the metrics that a complete version was registered with. A draft has none yet."""
    if event.semver:
        for m in event.metadata.training.metrics:
            claim = e.Evaluation(
                m.name,
                m.value,
                m.dataset_digest,
                m.dataset_name,
                m.definition,
                m.higher_is_better,
                m.primary,
            )
            yield measured(r, event.number, claim)


def measured(r: Recorded, number: int, x: e.Evaluation) -> Put:
    """Return the row of a measurement. The newest one of the same kind replaces it."""
    row = {
        "model_id": r.stream.removeprefix("model-"),
        "number": number,
        "name": x.name,
        "dataset_digest": x.dataset_digest,
        "definition": x.definition or "",
        "author": folded_name(x.by) if x.independent else "",
        "value": x.value,
        "dataset_name": x.dataset_name,
        "higher_is_better": x.higher_is_better,
        "primary_metric": x.primary,
        "independent": x.independent,
        "revision": r.revision,
    }
    return Put(MEASUREMENTS, row)
