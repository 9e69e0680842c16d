"""The canonical snapshot that gates are evaluated on, and its digests.

Built from the log alone: no clock, no I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from regista.wire.digests import digest
from services.approval.domain.noted import Champion, Evaluation, Signature


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that an automated gate may look at. `makers` are the people whose own judgement of the version does not count.

    `evaluations` stand oldest first, here and in the champion.
    """

    model_id: str
    model: str
    kind: str
    tier: str
    number: int
    semver: str
    version_digest: str
    artifact_digest: str
    artifact: str
    bump: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    makers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    signature: Signature | None = None
    evaluations: tuple[Evaluation, ...] = ()
    champion: Champion | None = None


def newest(evaluations: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """The newest evaluation of each key, oldest first as they come in.

    A value that is no number becomes none.
    """
    kept: dict[str, Evaluation] = {}
    for e in evaluations:
        kept.pop(e.key, None)
        kept[e.key] = e if e.value is None or math.isfinite(e.value) else replace(e, value=None)
    return tuple(kept.values())


def digest_of(value: Any) -> str:
    """`sha256:<hex>` of the RFC 8785 form of dataclasses and plain values."""
    return digest(msgspec.to_builtins(value))


def evidence_digest(evidence: Evidence) -> str:
    """Changes with anything a gate could see: then the gates are evaluated again."""
    return digest_of(evidence)


def sealed_evidence_digest(evidence: Evidence) -> str:
    """Changes with anything but the champion and the model's name: then a review that showed it lapses."""
    return digest_of(replace(evidence, champion=None, model=""))
