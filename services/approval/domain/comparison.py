"""Comparing a candidate with what it must measure up to: metrics on the same data by the same definition, and signatures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.approval.domain.inbound import Evaluation, Signature, SignatureField

_WIDER = {
    "bool": ("int8", "uint8", "int16", "int32", "int64", "float32", "float64"),
    "int8": ("int16", "int32", "int64", "float16", "float32", "float64"),
    "int16": ("int32", "int64", "float32", "float64"),
    "int32": ("int64", "float64"),
    "float16": ("float32", "float64"),
    "float32": ("float64", "double"),
    "float": ("double", "float64"),
}


def measured(evaluations: Iterable[Evaluation], metric: str, dataset: str | None = None) -> tuple[Evaluation, ...]:
    """One evaluation of the metric for each data set and definition: the independent one where there is one, else the claimed one.

    `dataset` is a data set's name or digest; None means every data set it was measured on.
    """
    best: dict[tuple[str | None, str | None], Evaluation] = {}
    for e in evaluations:
        if e.name != metric or (dataset is not None and dataset not in {e.dataset_name, e.dataset_digest}):
            continue
        place = (e.dataset_digest, e.definition)
        if place not in best or e.independent:
            best[place] = e
    return tuple(best.values())


def primary_metric(evaluations: Iterable[Evaluation]) -> str | None:
    """The metric marked primary; the only one where there is just one."""
    listed = tuple(evaluations)
    named = {e.name for e in listed if e.primary} or {e.name for e in listed}
    return named.pop() if len(named) == 1 else None


def comparable(candidate: Evaluation, other: Evaluation) -> bool:
    """Same metric, same data (by digest), same definition, same direction. Anything else is not comparable, never better or worse."""
    return (
        candidate.name == other.name
        and bool(candidate.dataset_digest)
        and candidate.dataset_digest == other.dataset_digest
        and (candidate.definition or "") == (other.definition or "")
        and candidate.higher_is_better == other.higher_is_better
    )


def breaks(old: Signature, new: Signature) -> Iterator[str]:
    """What callers of `old` would trip over in `new`, in words; nothing when it still accepts and still gives what it did."""
    had, takes = {f.name: f for f in old.inputs}, {f.name: f for f in new.inputs}
    yield from (f"input {name} is gone" for name in had if name not in takes)
    for name, field in takes.items():
        if name not in had:
            if field.required:
                yield f"input {name} is required and new"
        else:
            yield from _input_breaks(had[name], field)
    gave, gives = {f.name: f for f in old.outputs}, {f.name: f for f in new.outputs}
    yield from (f"output {name} is gone" for name in gave if name not in gives)
    yield from (f"output {name} is new" for name in gives if name not in gave)
    for name in (name for name in gave if name in gives):
        yield from _output_breaks(gave[name], gives[name])


def _input_breaks(old: SignatureField, new: SignatureField) -> Iterator[str]:
    if new.type != old.type and new.type not in _WIDER.get(old.type, ()):
        yield f"input {old.name} changed from {old.type} to {new.type}"
    if (new.unit or "") != (old.unit or ""):
        yield f"input {old.name} changed its unit from {old.unit or 'none'} to {new.unit or 'none'}"
    if new.required and not old.required:
        yield f"input {old.name} was optional and is required now"


def _output_breaks(old: SignatureField, new: SignatureField) -> Iterator[str]:
    if new.type != old.type:
        yield f"output {old.name} changed from {old.type} to {new.type}"
    if (new.unit or "") != (old.unit or ""):
        yield f"output {old.name} changed its unit from {old.unit or 'none'} to {new.unit or 'none'}"
    if set(new.labels or ()) != set(old.labels or ()):
        yield f"output {old.name} changed its labels"
