"""What approval really decides is in order for the auditor, who reads only what it stored."""

from __future__ import annotations

import pytest

from services.approval.domain.gate_events import PromotionGranted
from services.approval.domain.gate_kinds import Gate
from tests.unit.approval.conftest import World
from tests.unit.audit.raw_log import faults


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
    (grant,) = world.of(PromotionGranted)
    assert faults(world, grant) == []
