"""Comparing a candidate with what it must measure up to: metrics on the same data by the same definition."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from services.approval.domain.noted import Evaluation
from shared.deciding.access import normalized_name


def measured(
    evaluations: Iterable[Evaluation], metric: str, makers: Collection[str], dataset: str | None = None
) -> tuple[Evaluation, ...]:
    """One evaluation of the metric for each data set and definition: the newest independent one where there is one, else the newest claim.

    `evaluations` stand oldest first. `dataset` is a data set's name or digest; None means every data set it
    was measured on.
    """
    best: dict[tuple[str, str], Evaluation] = {}
    for e in evaluations:
        if e.name != metric or (dataset is not None and dataset not in {e.dataset_name, e.dataset_digest}):
            continue
        place = (e.dataset_digest or "", e.definition or "")
        if place not in best or is_independent(e, makers) or not is_independent(best[place], makers):
            best[place] = e
    return tuple(best.values())


def is_independent(e: Evaluation, makers: Collection[str]) -> bool:
    """By somebody who is known and made nothing of it: what a maker calls independent is a claim.

    Metadata may spell its makers in any case.
    """
    return (
        e.independent
        and bool(e.by)
        and normalized_name(e.by or "") not in {normalized_name(maker) for maker in makers}
    )


def primary_metric(evaluations: Iterable[Evaluation]) -> str | None:
    """The metric marked primary; the only one where there is just one."""
    listed = tuple(evaluations)
    named = {e.name for e in listed if e.primary} or {e.name for e in listed}
    return named.pop() if len(named) == 1 else None


def comparable(candidate: Evaluation, other: Evaluation) -> bool:
    """Same metric, same data (by digest), same definition, same direction.

    Anything else is not comparable, never better or worse.
    """
    return (
        candidate.name == other.name
        and bool(candidate.dataset_digest)
        and candidate.dataset_digest == other.dataset_digest
        and (candidate.definition or "") == (other.definition or "")
        and candidate.higher_is_better == other.higher_is_better
    )
