"""Which parts of a document are mandatory for which kind, and what is a contradiction in any document."""

from __future__ import annotations

from collections.abc import Callable

from regista.wire.mandatory import MANDATORY
from services.registry.domain.model.metadata import Metadata, Problem


def _has_code(m: Metadata) -> bool:
    code = m.training.code
    return code is not None and bool(code.digest or code.revision)


PARTS: dict[str, Callable[[Metadata], bool]] = {
    "training.config": lambda m: m.training.config is not None,
    "training.dataset.digest": lambda m: m.training.dataset is not None and bool(m.training.dataset.digest),
    "training.metrics": lambda m: bool(m.training.metrics),
    "training.trained_at": lambda m: m.training.trained_at is not None,
    "training.creator": lambda m: bool(m.training.creator),
    "training.code": _has_code,
    "signature": lambda m: m.signature is not None,
    "signature.outputs": lambda m: m.signature is None or bool(m.signature.outputs),
    "artifact.digest": lambda m: m.artifact is not None and bool(m.artifact.digest),
    "parents": lambda m: any(p.relation == "base_model" for p in m.parents),
}


def missing(kind: str, metadata: Metadata) -> tuple[str, ...]:
    """Return the mandatory fields that the document lacks."""
    return tuple(name for name in MANDATORY[kind] if not PARTS[name](metadata))


def contradictions(metadata: Metadata) -> list[Problem]:
    """Return what is wrong with the document, whatever its kind."""
    metrics = metadata.training.metrics
    found = []
    if len(metrics) > 1 and len({m.comparable_by for m in metrics}) < len(metrics):
        found.append(
            Problem("training.metrics", "the same metric on the same data is given twice: give it once")
        )
    if len(metrics) > 1 and sum(m.primary for m in metrics) > 1:
        found.append(Problem("training.metrics", "more than one metric is primary: mark one"))
    if metadata.signature is not None:
        for part, ports in (("inputs", metadata.signature.inputs), ("outputs", metadata.signature.outputs)):
            if len(ports) > 1 and len({p.name for p in ports}) < len(ports):
                found.append(Problem(f"signature.{part}", "a name is given twice: names are unique"))
    if len(metadata.parents) > 1 and len({p.key for p in metadata.parents}) < len(metadata.parents):
        found.append(Problem("parents", "a parent is given twice: give it once"))
    return found
