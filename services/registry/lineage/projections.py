"""The rows of lineage: parents, data of evaluations, and where versions served."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from regista.wire.contradictions import is_outside
from services.registry.brief import BriefVersion
from services.registry.domain.model import events as e
from services.registry.tables import CHILDREN, EVALUATION_DATA, SERVED
from shared.deciding.changes import Change, Patch, Put
from shared.deciding.events import Recorded


def described(r: Recorded, event: e.VersionRegistered | e.MetadataAdded | BriefVersion) -> Iterable[Change]:
    """Return the rows of a complete version: its parents elsewhere, and the data of its metrics.

    A draft has none, because its metadata may still be replaced. Parents in this registry have their own
    events.
    """
    if not event.semver:
        return
    model_id = r.stream.removeprefix("model-")
    for parent in event.metadata.parents:
        if is_outside(parent.model):
            yield _child(parent.model, 0, r, (model_id, event.number), parent.relation, parent.digest)
    data = {(m.dataset_digest, m.dataset_name) for m in event.metadata.training.metrics}
    for digest, name in sorted(data):
        yield _evaluated(model_id, event.number, digest, name)


def linked(r: Recorded, event: e.ChildLinked) -> Change:
    """Return the row of a child. It stays when the child is retired."""
    child = (event.child_model_id, event.child_number)
    return _child(r.stream.removeprefix("model-"), event.number, r, child, event.relation)


def _child(
    model_id: str, number: int, r: Recorded, child: tuple[str, int], relation: str, digest: str = ""
) -> Put:
    key = {"model_id": model_id, "number": number, "child_model_id": child[0], "child_number": child[1]}
    return Put(CHILDREN, {**key, "relation": relation, "digest": digest, "since": r.recorded_at})


def evaluated(model_id: str, event: e.EvaluationRecorded) -> Change:
    """Return the row of the data set of an evaluation."""
    return _evaluated(model_id, event.number, event.evaluation.dataset_digest, event.evaluation.dataset_name)


def _evaluated(model_id: str, number: int, digest: str, name: str) -> Put:
    row = {"model_id": model_id, "number": number, "dataset_digest": digest, "dataset_name": name}
    return Put(EVALUATION_DATA, row)


def served(r: Recorded, event: e.RolloutChanged | e.RolledBack) -> Iterable[Change]:
    """Return the rows of the versions that begin to get requests in an environment, or end."""
    before, now = ({x.number for x in some if x.percent} for some in (event.previous, event.entries))

    def key(number: int) -> dict[str, Any]:
        return {
            "model_id": r.stream.removeprefix("model-"),
            "number": number,
            "environment": event.environment,
        }

    for number in sorted(now - before):
        yield Put(SERVED, {**key(number), "since": r.recorded_at, "until": None})
    for number in sorted(before - now):
        yield Patch(SERVED, key(number), {"until": r.recorded_at})
