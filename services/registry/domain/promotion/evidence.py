"""The evidence of a promotion, and its digest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from regista.wire.digests import digest
from services.registry.domain.model.events import PromotionRequested
from services.registry.domain.model.past import artifact_digest, document, evaluations
from services.registry.domain.model.state import ModelState, OpenPromotion, stream_of
from shared.deciding.decider import Streams


def evidence(
    model_id: str,
    state: ModelState,
    number: int,
    environment: str,
    streams: Streams,
    against: Any,
    recalled_ancestors: Sequence[str] = (),
) -> dict[str, Any]:
    """Return everything that a promotion is decided on, as plain JSON values.

    `against` is the champion as plain values, or None. The model's name is not part of it (a rename changes
    nothing), nor is the location of the bytes (their digest is). Without recalled ancestors it has no field
    for them, as before there were any.
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
        **({"recalled_ancestors": list(recalled_ancestors)} if recalled_ancestors else {}),
    }


def evidence_digest(evidence: dict[str, Any]) -> str:
    """Return the RFC 8785 digest. Every holder of the evidence can compute it."""
    return digest(evidence)


def request_of(model_id: str, promotion: OpenPromotion, streams: Streams) -> PromotionRequested:
    """Return the loaded request of an open promotion."""
    return cast("PromotionRequested", streams.past[stream_of(model_id), promotion.revision])


def is_current(
    model_id: str,
    promotion: OpenPromotion,
    state: ModelState,
    streams: Streams,
    recalled_ancestors: Sequence[str] | None = None,
) -> bool:
    """Return whether the evidence is as it was at the request. A new champion alone does not change it.

    Without `recalled_ancestors` those of the request are taken.
    """
    before = request_of(model_id, promotion, streams).evidence
    recalled = before.get("recalled_ancestors", ()) if recalled_ancestors is None else recalled_ancestors
    now = evidence(
        model_id,
        state,
        promotion.number,
        promotion.environment,
        streams,
        before["champion"],
        recalled,
    )
    return evidence_digest(now) == promotion.digest
