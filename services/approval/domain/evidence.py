"""The evidence that gates are checked on, and its digests. It is built from the log alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from regista.wire.digests import digest
from services.approval.domain.noted import Champion, Evaluation, Signature

_ENCODER = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that an automated gate may look at.

    `makers`: the people who made the version; their evaluations and approvals of it do not count.
    `evaluations`: oldest first, here and in the champion. `recalled_ancestors`: the withdrawn versions that
    this one was made from, at any distance, as they were when its promotion was requested.
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
    recalled_ancestors: tuple[str, ...] = ()


def newest(evaluations: Iterable[Evaluation]) -> tuple[Evaluation, ...]:
    """Return the newest evaluation of each key, oldest first, as they are given.

    A value that is infinite or no number becomes None.
    """
    kept: dict[str, Evaluation] = {}
    for e in evaluations:
        kept.pop(e.key, None)
        kept[e.key] = e if e.value is None or math.isfinite(e.value) else replace(e, value=None)
    return tuple(kept.values())


def digest_of(value: Any) -> str:
    """Return `sha256:<hex>` of the RFC 8785 form of dataclasses and plain values."""
    if _has_plain_numbers(value) and (encoded := _ENCODER.encode(value)).isascii():
        return "sha256:" + hashlib.sha256(encoded).hexdigest()
    return digest(msgspec.to_builtins(value))


def _has_plain_numbers(value: Any) -> bool:
    """Return whether msgspec's sorted JSON of the value, if it is ASCII, is its RFC 8785 form.

    The two differ in numbers (1.0, 1e-7, NaN, integers beyond 2^53) and in the order of other keys. msgspec
    takes a tenth of the time. False for a type that is not listed here.
    """
    match value:
        case None | str() | bool() | Signature():
            return True
        case Evaluation():
            return _has_plain_numbers(value.value)
        case float():
            return 1e-4 <= abs(value) < 2**53 and not value.is_integer()
        case int():
            return abs(value) < 2**53
        case list() | tuple():
            return all(map(_has_plain_numbers, value))
        case Champion() | Evidence():
            return _has_plain_numbers(
                [value.number, *value.evaluations, value.champion if isinstance(value, Evidence) else None]
            )
        case _:
            return False


def evidence_digest(evidence: Evidence) -> str:
    """Return the digest of everything a gate may look at. When it changes, the gates are assessed again."""
    return digest_of(evidence)


def sealed_evidence_digest(evidence: Evidence) -> str:
    """Return the digest of the evidence without the champion and the model's name.

    When it changes, a review lapses.
    """
    return digest_of(replace(evidence, champion=None, model=""))
