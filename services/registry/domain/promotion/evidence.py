"""The evidence of a promotion, and its digest."""

from __future__ import annotations

from typing import Any

import msgspec

from regista.wire.digests import digest
from services.registry.domain.model.past import artifact_digest, document, evaluations
from services.registry.domain.model.state import ModelState
from shared.deciding.decider import Streams


def evidence(
    model_id: str, state: ModelState, number: int, environment: str, streams: Streams, against: Any
) -> dict[str, Any]:
    """Return everything that a promotion is decided on, as plain JSON values.

    `against` is the champion as plain values, or None. The model's name is not part of it (a rename changes
    nothing), nor is the location of the bytes (their digest is).
    """
    metadata = document(model_id, state, number, streams)
    plain = msgspec.to_builtins(metadata)
    return {
        "model_id": model_id,
        "number": number,
        "semver": state.versions[number].semver,
        "environment": environment,
        "kind": state.kind,
        "tier": state.tier,
        "tags": dict(sorted(state.tags.items())),
        "artifact": {"digest": artifact_digest(metadata)},
        "training": plain["training"],
        "signature": plain["signature"],
        "parents": plain["parents"],
        "evaluations": msgspec.to_builtins(evaluations(model_id, state, number, streams)),
        "champion": against,
    }


def evidence_digest(evidence: dict[str, Any]) -> str:
    """Return the RFC 8785 digest. Every holder of the evidence can compute it."""
    return digest(evidence)
