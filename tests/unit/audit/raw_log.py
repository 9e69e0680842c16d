"""What approval decided, as an auditor reads it: stored events, and the checker over them."""

from __future__ import annotations

from uuid import UUID

import msgspec

from services.approval.domain.gate_events import PromotionGranted
from services.approval.domain.policy import PolicyPublished
from services.audit.domain.production import production_faults
from services.audit.domain.reading import Stored, read
from shared.deciding.events import Cursor, encode
from tests.unit.approval.conftest import NOW, World

REQUESTED = {"digest": "sha256:asked", "requester": "rosa", "creator": "carl", "on_behalf_of": "bea"}


def stored(stream: str, event: object) -> dict:
    data = msgspec.json.decode(encode(event))
    actor = data.get("by") if stream.startswith("access-") else None
    entry = read(
        Stored(
            Cursor(1, 1),
            "approval",
            stream,
            1,
            UUID(int=1),
            type(event).__name__,
            b"",
            encode({"recorded_at": NOW, "actor": {"subject": actor or "x"}, "data": data}),
        )
    )
    return {
        "type": type(event).__name__,
        "stream": stream,
        "data": data,
        "promotion_id": entry.promotion_id,
        "recorded_at": str(entry.recorded_at),
        "actor": {"subject": entry.actor.subject},
    }


def faults(world: World, grant: PromotionGranted, **requested: str) -> list[str]:
    """What the checker finds about a grant, from the raw log alone. All have one time: the order counts."""
    log = [stored(stream, event) | {"leaf_index": n} for n, (stream, event) in enumerate(world.events)]
    asked = {
        "type": "PromotionRequested",
        "stream": "model-m",
        "data": REQUESTED | requested,
        "promotion_id": grant.promotion_id,
    }
    review = f"review-{grant.review_id}"
    mine = [e for e in log if e["promotion_id"] == grant.promotion_id or e["stream"] == review]
    promoted = {
        "type": "VersionPromoted",
        "data": {"number": 1, "environment": "production", "digest": "sha256:asked"},
    }
    policy = next(
        e for e in log if e["type"] == PolicyPublished.__name__ and e["data"]["digest"] == grant.policy.digest
    )
    identities: dict[str, list[dict]] = {}
    for event in log:
        if event["stream"].startswith("access-"):
            identities.setdefault(event["stream"].removeprefix("access-"), []).append(event)
    return production_faults(promoted, [asked, *mine], policy, identities)
