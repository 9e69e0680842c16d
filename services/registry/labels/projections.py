"""The rows of labels and of the modes of namespaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.registry.domain.labels.modes import MlflowModeSet
from services.registry.domain.model import events as e
from services.registry.labels.tables import LABEL_ALIASES, MLFLOW_MODES
from services.registry.tables import MODELS, VERSIONS
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Recorded


def changed(r: Recorded, event: e.LabelsChanged) -> Iterable[Change]:
    """Return the rows of what changed. No ETag changes, because nothing that Regista decides does."""
    model_id = r.stream.removeprefix("model-")

    def version(number: int, **columns: object) -> Patch:
        return Patch(
            VERSIONS, {"model_id": model_id, "number": number}, {**columns, "changed_at": r.recorded_at}
        )

    for label in event.stages:
        yield version(label.number, label=label.stage)
    for number in event.hidden:
        yield version(number, hidden=True)
    for alias, number in event.aliases.items():
        key = {"model_id": model_id, "alias": alias}
        yield Put(LABEL_ALIASES, {**key, "number": number}) if number else Drop(LABEL_ALIASES, key)
    hidden: dict[str, Any] = {} if event.model_hidden is None else {"hidden": event.model_hidden}
    if event.model_hidden is False:
        hidden |= {"shown_at": r.recorded_at}
    if event.stages or event.hidden or hidden:  # a label alias alone is no change of the model, as in MLflow
        yield Patch(MODELS, {"model_id": model_id}, {**hidden, "changed_at": r.recorded_at})


def mode(event: MlflowModeSet) -> Change:
    return Put(MLFLOW_MODES, {"namespace": event.namespace, "mode": event.mode})
