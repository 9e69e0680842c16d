"""Which parts of a document are mandatory for which kind, and what is a contradiction in any document."""

from __future__ import annotations

from collections.abc import Callable

from regista.wire.contradictions import of_metrics, of_parents, of_schema
from regista.wire.mandatory import MANDATORY
from services.registry.domain.model.metadata import Metadata, Problem, Signature


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
    signature = metadata.signature or Signature()
    found = (
        *of_metrics([(m.comparable_by, m.primary) for m in metadata.training.metrics]),
        *of_schema(
            [(one.name, one.type) for one in signature.inputs],
            [one.name for one in signature.outputs],
            signature.columns or {},
        ),
        *of_parents([parent.key for parent in metadata.parents]),
    )
    return [Problem(*one) for one in found]
