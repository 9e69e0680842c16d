"""Break-glass overrides: what they grant, what they never do, and the after-review."""

from __future__ import annotations

import pytest

from services.approval.domain.gate_events import (
    AfterReviewDone,
    AfterReviewOwed,
    OverrideStands,
    OverrideWithdrawn,
    PromotionDenied,
    PromotionGranted,
)
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.review_events import OverrideReviewed, OverrideUsed, ReviewCommented
from shared.deciding.decider import NotFound, RuleBroken, Unprocessable


def kinds(events) -> list[type]:
    return [type(e) for e in events]


def test_an_override_grants_is_marked_and_needs_an_after_review(world):
    world.in_review()
    world.approve("ann")
    used, granted, _ = world.override("oscar", "production is down")
    assert used.bypassed == ("1 of 2 approvals",)
    assert (granted.override, granted.approvers) == (True, ("oscar",))
    assert world.review().status == "overridden"
    for own in ({"by": "oscar"}, {"by": "carl"}, {"by": "rosa"}, {"by": "robot", "names": ("New", "Rosa")}):
        with pytest.raises(RuleBroken, match="own_work"):
            world.after_review(**own)
    assert world.after_review("ann", justified=False)
    assert world.review().status == "closed"
    assert world.after_review("bob", justified=False) == []


def test_break_glass_on_what_the_gates_denied_grants_the_next_request_once(world):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    used, stands, _ = world.override("oscar")
    assert isinstance(used, OverrideUsed)
    assert "metric_threshold" in used.bypassed[0]
    assert stands.by == "oscar"
    assert world.override("oscar") == []
    world.note("PromotionRefused", {"promotion_id": "p"})
    world.request("again")
    _, granted = world.assess()
    assert (granted.promotion_id, granted.override, granted.approvers, granted.review_id) == (
        "again",
        True,
        ("oscar",),
        "p",
    )
    world.request("once more")
    assert PromotionDenied in kinds(world.assess())


def test_an_override_does_not_stand_for_other_evidence(world, given):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    world.override("oscar")
    world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.2, independent=True)})
    world.request("again")
    assert PromotionDenied in kinds(world.assess())


@pytest.mark.parametrize(("justified", "answer"), [(False, PromotionDenied), (True, PromotionGranted)])
def test_an_override_that_was_not_justified_grants_nothing_further(world, justified, answer):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    world.override("oscar")
    assert OverrideReviewed in kinds(world.after_review("ann", justified=justified))
    assert world.after_review("ann", justified=justified) == []
    world.request("again")
    assert answer in kinds(world.assess())


def test_who_overrode_without_justification_may_override_again_and_owes_an_after_review(world):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    world.override("oscar")
    assert world.override("oscar") == []
    world.after_review("ann", justified=False)
    assert kinds(world.override("oscar")) == [OverrideUsed, OverrideStands, AfterReviewOwed]
    assert world.review().status == "overridden"


def test_the_same_override_again_changes_nothing_while_it_stands(world):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    world.override("oscar")
    world.after_review("ann")
    assert world.override("oscar") == []


def test_a_grant_that_was_not_justified_is_not_overridden_again(world):
    world.in_review()
    world.override("oscar")
    world.after_review("ann", justified=False)
    with pytest.raises(RuleBroken, match=r"promotion_closed.*request a new one"):
        world.override("oscar")


def test_a_machine_reads_that_a_policy_may_name_it_only_where_it_may(world):
    world.in_review()
    world.identity("robot", kind="publisher")
    for decide, machines in ((world.approve, True), (world.override, False)):
        with pytest.raises(RuleBroken, match="ask a person") as refused:
            decide("robot")
        assert ("machines" in refused.value.detail) is machines
    world.override("oscar")
    with pytest.raises(RuleBroken, match=r"only people review an override: ask a person$"):
        world.after_review("robot")


def test_an_after_review_ends_only_the_override_that_it_reviews(world):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    world.override("oscar")
    world.pass_time(days=1)
    world.request("later", environment="staging")
    world.assess()
    world.override("oscar", promotion_id="later")
    assert kinds(world.after_review("ann", justified=False)) == [
        OverrideReviewed,
        OverrideWithdrawn,
        AfterReviewDone,
    ]
    assert set(world.version.overrides) == {"staging"}


def test_an_override_names_what_it_bypassed_even_a_rejection_by_a_person(world):
    world.in_review()
    world.reject("ann")
    used, _, _ = world.override("oscar")
    assert used.bypassed == ("the review was rejected",)


def test_break_glass_never_passes_bytes_that_are_not_verified(world):
    world.in_review()
    world.artifact("ArtifactRecalled")
    with pytest.raises(RuleBroken, match="not_overridable"):
        world.override("oscar")


def test_an_override_never_passes_a_recalled_version_even_when_it_is_archived(world):
    world.in_review()
    world.note("VersionRecalled")
    world.note("VersionArchived")
    with pytest.raises(RuleBroken, match="not_overridable"):
        world.override("oscar")


def test_break_glass_needs_a_reason_and_an_open_or_denied_promotion(world):
    world.in_review(approvers=1)
    with pytest.raises(Unprocessable, match="reason_missing"):
        world.override("oscar", "")
    world.approve("ann")
    with pytest.raises(RuleBroken, match="promotion_closed"):
        world.override("oscar")
    with pytest.raises(NotFound):
        world.override("oscar", promotion_id="other")


def test_the_same_override_again_changes_nothing(world):
    world.in_review()
    world.override("oscar")
    assert world.override("oscar") == []


def test_another_reason_of_the_same_override_is_a_comment(world):
    world.in_review()
    world.override("oscar", reason="the outage")
    (comment,) = world.override("oscar", reason="the outage, ticket 4711")
    assert (type(comment), comment.comment) == (ReviewCommented, "the outage, ticket 4711")
    world.after_review("ann", comment="it was real")
    assert world.after_review("ann", comment="it was real") == []
    (comment,) = world.after_review("ann", comment="see the minutes")
    assert (type(comment), comment.by) == (ReviewCommented, "ann")


def test_no_one_who_used_an_override_does_its_after_review(world, given):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    world.override("oscar")
    world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.2, independent=True)})
    world.override("olga")
    for own in ("oscar", "olga"):
        with pytest.raises(RuleBroken, match="own_work"):
            world.after_review(own)
    assert OverrideReviewed in kinds(world.after_review("ann"))


def test_a_promotion_that_the_gates_grant_leaves_a_standing_override_alone(world, given):
    world.note_model("RolloutChanged", {"environment": "production", "champion": given.champion(7, 0.99)})
    world.validated([Gate("no_regression", {})]).request()
    world.assess()
    world.override("oscar")
    world.note_model("RolloutChanged", {"environment": "production", "champion": given.champion(8, 0.5)})
    world.request("again")
    [granted] = [e for e in world.assess() if isinstance(e, PromotionGranted)]
    assert (granted.override, granted.approvers) == (False, ())
    assert set(world.version.overrides) == {"production"}


def test_an_override_never_passes_a_version_that_is_not_validated(world):
    world.gates([Gate("independent_evaluation", {})], [])
    world.registered()
    world.artifact()
    world.request()
    assert PromotionDenied in kinds(world.assess())
    with pytest.raises(RuleBroken, match="not_overridable"):
        world.override("oscar")


def test_the_withdrawal_of_one_override_leaves_a_later_one_standing(world):
    world.validated([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})]).request()
    world.assess()
    world.override("oscar")
    world.append({"gate-m@1": [OverrideWithdrawn("other", "m", 1, "production", "ann")]})
    assert set(world.version.overrides) == {"production"}
