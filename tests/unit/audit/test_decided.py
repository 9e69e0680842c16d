"""What approval really decides is in order for the auditor, who reads only what it stored."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from services.approval.domain.gate_events import PromotionGranted
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import PolicyPublished
from services.audit.domain.production import production_faults
from services.audit.domain.reading import Stored, read
from shared.deciding.events import Cursor, encode
from tests.unit.approval.conftest import NOW, World

REQUESTED = {"digest": "sha256:asked", "requester": "rosa", "creator": "carl", "on_behalf_of": "bea"}


def promoted_by_gates_alone(world: World) -> None:
    world.gates([Gate("artifact_verified", {})], [Gate("no_regression", {})])
    world.registered()
    world.artifact()
    world.assess()
    world.note("VersionValidated")
    world.request()
    world.assess()


def promoted_by_people(world: World) -> None:
    world.in_review(2)
    world.approve("ada")
    world.approve("max")


def promoted_by_people_after_a_new_champion(world: World) -> None:
    world.in_review(1)
    world.note_model(
        "RolloutChanged", {"environment": "production", "champion": None, "entries": [], "previous": []}
    )
    world.assess()
    world.approve("ada")


def overridden(world: World) -> None:
    world.in_review(2)
    world.approve("ada")
    world.override("oscar")


def overridden_for_the_next_request(world: World) -> None:
    world.in_review(2)
    world.reject("ada")
    world.override("oscar")
    world.request("again")
    world.assess()


def stored(stream: str, event: object) -> dict:
    data = msgspec.json.decode(encode(event))
    entry = read(
        Stored(
            Cursor(1, 1),
            "approval",
            stream,
            1,
            UUID(int=1),
            type(event).__name__,
            b"",
            encode({"recorded_at": NOW, "actor": {"subject": "x"}, "data": data}),
        )
    )
    return {"type": type(event).__name__, "stream": stream, "data": data, "promotion_id": entry.promotion_id}


@pytest.mark.parametrize(
    "decided",
    [
        promoted_by_gates_alone,
        promoted_by_people,
        promoted_by_people_after_a_new_champion,
        overridden,
        overridden_for_the_next_request,
    ],
)
def test_approvals_decisions_are_found_in_order(decided):
    world = World()
    decided(world)
    log = [stored(stream, event) for stream, event in world.events]
    (grant,) = world.of(PromotionGranted)
    asked = {
        "type": "PromotionRequested",
        "stream": "model-m",
        "data": REQUESTED,
        "promotion_id": grant.promotion_id,
    }
    of_promotion = [
        asked,
        *(
            e
            for e in log
            if e["promotion_id"] == grant.promotion_id or e["stream"] == f"review-{grant.review_id}"
        ),
    ]
    promoted = {
        "type": "VersionPromoted",
        "data": {"number": 1, "environment": "production", "digest": "sha256:asked"},
    }
    policy = next(
        e for e in log if e["type"] == PolicyPublished.__name__ and e["data"]["digest"] == grant.policy.digest
    )
    assert production_faults(promoted, of_promotion, policy) == []
