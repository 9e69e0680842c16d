"""Which measurement of a metric counts, and which two measurements may be compared."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from services.approval.domain.noted import Evaluation
from shared.deciding.person import folded_name


def measured(
    evaluations: Iterable[Evaluation], metric: str, makers: Collection[str], dataset: str | None = None
) -> tuple[Evaluation, ...]:
    """Return one evaluation of the metric for each data set and definition.

    It is the newest independent one, or the newest claim where there is no independent one.

    `evaluations`: oldest first. `makers`: the people who made the version. `dataset`: a data set's name or
    digest; None for every data set that the metric was measured on.
    """
    best: dict[tuple[str, str], Evaluation] = {}
    for e in evaluations:
        if e.name != metric or (dataset is not None and dataset not in {e.dataset_name, e.dataset_digest}):
            continue
        measurement = (e.dataset_digest or "", e.definition or "")
        if (
            measurement not in best
            or is_independent(e, makers)
            or not is_independent(best[measurement], makers)
        ):
            best[measurement] = e
    return tuple(best.values())


def is_independent(e: Evaluation, makers: Collection[str]) -> bool:
    """Return whether the evaluation is by a named person who did not make the version.

    An evaluation that a maker calls independent is a claim. Names are compared without regard to case and
    Unicode form.
    """
    return e.independent and bool(e.by) and folded_name(e.by or "") not in set(map(folded_name, makers))


def primary_metric(evaluations: Iterable[Evaluation]) -> str | None:
    """Return the metric marked primary, or the only metric if there is just one."""
    listed = tuple(evaluations)
    named = {e.name for e in listed if e.primary} or {e.name for e in listed}
    return named.pop() if len(named) == 1 else None


def comparable(candidate: Evaluation, other: Evaluation) -> bool:
    """Return whether both have the same metric, data (by digest), definition and direction.

    Other pairs are not comparable; they are never better or worse.
    """
    return (
        candidate.name == other.name
        and bool(candidate.dataset_digest)
        and candidate.dataset_digest == other.dataset_digest
        and (candidate.definition or "") == (other.definition or "")
        and candidate.higher_is_better == other.higher_is_better
    )
