"""What an open review survives, and what each approver accepts by name."""

from __future__ import annotations

import pytest

from services.approval.domain.gate_events import GatesEvaluated, PromotionDenied, PromotionGranted
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.review_events import ReviewLapsed, ReviewRefreshed
from shared.deciding.decider import RuleBroken

MANUAL = Gate("manual", {"approvers": 2, "expires_in": "7d"})
NO_REGRESSION = Gate("no_regression", {})


def kinds(events) -> list[type]:
    return [type(e) for e in events]


@pytest.mark.parametrize(
    ("gates", "more"),
    [
        ([NO_REGRESSION, MANUAL], {"description": "the same gates in other words"}),
        ([NO_REGRESSION, Gate("artifact_verified", {}), MANUAL], {}),
        ([Gate("no_regression", {"tolerance": 0.1}), MANUAL], {}),
        ([NO_REGRESSION, Gate("manual", {"approvers": 2, "expires_in": "1d"})], {}),
        ([NO_REGRESSION, Gate("manual", {"approvers": 2, "roles": ["approver"]})], {}),
    ],
)
def test_a_policy_that_requires_the_same_people_and_passes_keeps_the_review_and_its_approvals(
    world, gates, more
):
    world.in_review()
    world.approve("ann")
    world.gates([Gate("artifact_verified", {})], gates, **more)
    evaluated, refreshed = world.assess()
    assert kinds([evaluated, refreshed]) == [GatesEvaluated, ReviewRefreshed]
    assert refreshed.why == f"policy default revision {refreshed.policy.revision} applies now"
    assert world.assess() == []
    _, granted = world.approve("bob")
    assert (granted.approvers, granted.policy) == (("ann", "bob"), refreshed.policy)


def test_another_policy_with_the_same_quorum_keeps_the_review(world):
    world.in_review()
    world.approve("ann")
    world.gates([], [NO_REGRESSION, MANUAL], name="newer", priority=5)
    _, refreshed = world.assess()
    assert refreshed.policy.name == "newer"


@pytest.mark.parametrize(
    ("gates", "reason"),
    [
        ([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99}), MANUAL], "must be at least 0.99"),
        ([Gate("manual", {"approvers": 1})], "requires 1 of approver, before 2 of approver"),
        ([Gate("manual", {"approvers": 3})], "requires 3 of approver, before 2 of approver"),
        ([Gate("manual", {"approvers": 2, "roles": ["admin"]})], "requires 2 of admin, before 2 of approver"),
        ([Gate("manual", {"approvers": 2, "machines": {"robot": "t"}})], "and the machines robot"),
        ([Gate("manual", {"approvers": 2, "dependent_because": "few"})], "who may depend on the makers"),
        ([NO_REGRESSION], "requires no person now"),
    ],
)
def test_a_policy_with_another_outcome_or_quorum_lapses_the_review_and_names_the_requester(
    world, gates, reason
):
    world.in_review()
    world.approve("ann")
    world.gates([], gates)
    happened = world.assess()
    (lapsed,) = [e for e in happened if isinstance(e, ReviewLapsed)]
    assert lapsed.requester == "rosa"
    assert any(reason in r for r in lapsed.reasons), lapsed.reasons
    assert PromotionDenied in kinds(happened)


def breaking(world, given, gate, champion_data=None):
    """A champion with other inputs or data, and a version that is requested."""
    world.validated([gate, Gate("manual", {"approvers": 2})], bump={"level": "major"})
    evaluation = given.accuracy(0.5, **({"dataset_digest": champion_data} if champion_data else {}))
    champion = given.champion(7, 0.5, signature=given.signature("z"), evaluations=[evaluation])
    world.note_model("RolloutChanged", {"environment": "production", "champion": champion})
    world.request()
    world.assess()
    return world


BREAKS = Gate("schema_compatible", {"breaking": "tick"})


def test_each_approver_accepts_by_name_what_breaks_callers(world, given):
    breaking(world, given, BREAKS)
    with pytest.raises(RuleBroken, match="would break") as broken:
        world.approve("ann")
    assert (broken.value.code, broken.value.facts) == ("not_accepted", {"gates": ["schema_compatible"]})
    with pytest.raises(RuleBroken, match="schema_compatibel: no gate of that name waits"):
        world.approve("ann", accepts=("schema_compatibel",))
    approved = world.approve("ann", accepts=("schema_compatible",))
    assert approved[0].accepted == ("schema_compatible",)
    with pytest.raises(RuleBroken, match="not_accepted"):
        world.approve("bob")
    assert PromotionGranted in kinds(world.approve("bob", accepts=("schema_compatible",)))


def test_each_approver_accepts_by_name_what_was_measured_on_other_data(world, given):
    gate = Gate("no_regression", {"different_data": "tick"})
    breaking(world, given, gate, champion_data="sha256:" + "e" * 64)
    with pytest.raises(RuleBroken, match="was not measured on the same data"):
        world.approve("ann")
    assert world.approve("ann", accepts=("no_regression",))


def test_an_acceptance_that_nothing_needs_is_not_recorded(world):
    world.in_review()
    assert world.approve("ann", accepts=("schema_compatible",))[0].accepted == ()


def test_without_people_nothing_is_accepted(world, given):
    world.validated([BREAKS], bump={"level": "major"})
    champion = given.champion(7, 0.5, signature=given.signature("z"))
    world.note_model("RolloutChanged", {"environment": "production", "champion": champion})
    world.request()
    (denied,) = [e for e in world.assess() if isinstance(e, PromotionDenied)]
    assert "no person reviews this" in denied.reasons[0]


def test_what_must_be_accepted_since_an_approval_lapses_the_review(world, given):
    world.validated([BREAKS, Gate("manual", {"approvers": 2})])
    world.request()
    world.assess()
    world.approve("ann")
    champion = given.champion(7, 0.5, signature=given.signature("z"))
    world.note_model("RolloutChanged", {"environment": "production", "champion": champion})
    (lapsed,) = [e for e in world.assess() if isinstance(e, ReviewLapsed)]
    assert lapsed.reasons == ("schema_compatible must be accepted by name now, which no approval did",)
