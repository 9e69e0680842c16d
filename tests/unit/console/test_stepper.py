"""Where a version stands, what holds it there, and who can supply what is missing."""

from __future__ import annotations

from typing import Any

from services.approval.domain.gate_kinds import KINDS
from services.console.stepper import SUPPLIERS, held, steps

GATE = {"gate": "metric_threshold", "passed": False, "detail": "auc 0.7 is below 0.8", "tick": False}


def version(stage: str = "Staging", **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "number": 3,
        "stage": stage,
        "semver": "" if stage == "Draft" else "1.0.0",
        "registered_at": "2026-03-01T00:00:00Z",
        "gates": None,
        "promoted": None,
        "promotions": [],
        "missing": [],
        "reasons": [],
        "withdrawn": None,
        "retired": None,
    }
    return base | more


def test_a_blocked_version_names_the_failed_gate_and_who_can_supply_what_is_missing() -> None:
    blocked = version(gates={"passed": False, "results": [GATE], "at": "2026-03-01T00:00:00Z"})
    assert [step.state for step in steps(blocked)] == ["done", "here", "ahead", "ahead"]
    assert steps(blocked)[1].blocked
    (only,) = held(blocked, None, [])
    assert "auc 0.7 is below 0.8" in only.what
    assert only.who == SUPPLIERS["metric_threshold"]


def test_a_draft_names_every_missing_field() -> None:
    found = held(version("Draft", missing=["training.config", "artifact"]), None, [])
    assert [one.what for one in found] == ["Missing metadata: training.config, artifact"]


def test_a_validated_version_links_its_open_review() -> None:
    review = {"number": 3, "state": "open", "environment": "production", "approvers": ["a"], "needs": 2}
    review |= {"roles": ["approver"], "review_id": "r1"}
    (only,) = held(version("Validated"), None, [review, review | {"number": 4}])
    assert only.link == "/reviews/r1"
    assert "1 of 2" in only.what


def test_a_validated_version_that_no_one_requested_states_that() -> None:
    assert held(version("Validated"), None, [])[0].what == "No one has requested its promotion."


def test_a_version_in_production_is_held_by_nothing() -> None:
    promoted = {"at": "2026-03-02T00:00:00Z", "approvers": ["a", "b"], "override": False}
    found = version("Production", promoted=promoted)
    assert held(found, None, []) == []
    assert steps(found)[3].note == "2 approved"


def test_an_archived_version_shows_how_far_it_had_come() -> None:
    promoted = {"at": "2026-03-02T00:00:00Z", "approvers": [], "override": True}
    assert [s.state for s in steps(version("Archived", promoted=promoted))] == ["done"] * 4


def test_a_withdrawn_version_is_held_by_its_withdrawal_first() -> None:
    assert "poisoned" in held(version("Validated", withdrawn="poisoned"), None, [])[0].what


def test_every_kind_of_gate_names_who_can_supply_what_it_lacks() -> None:
    assert set(SUPPLIERS) == set(KINDS)
