"""After an override: who may use one, when its after-review is due, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.approval.domain.gate_events import PromotionDenied
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import BreakGlass, Policy
from services.approval.domain.review import RemindAfterReview
from services.approval.domain.review import decide as decide_review
from services.approval.domain.review_events import AfterReviewOverdue, OverrideReviewed, ReviewOpened
from services.approval.projections.reviews import project
from shared.deciding.changes import Put
from shared.deciding.decider import RuleBroken, Unprocessable
from shared.deciding.events import Actor, Recorded


def overridden(world, **break_glass):
    world.validated([Gate("manual", {"approvers": 2})])
    world.publish(
        "default",
        Policy(
            {
                "Validated": (Gate("artifact_verified", {}),),
                "Production": (Gate("manual", {"approvers": 2}),),
            },
            break_glass=BreakGlass(**break_glass),
        ),
    )
    world.request()
    world.assess()
    world.override("oscar")
    return world


def remind(world):
    return world.append({"review-p": decide_review(RemindAfterReview(world.now), world.review())})


@pytest.mark.parametrize("maker", ["carl", "bea", "pipeline"])
def test_a_maker_overrides_only_where_the_policy_states_so(world, maker):
    world.in_review()
    with pytest.raises(RuleBroken, match="own_work"):
        world.override(maker)


def test_a_maker_overrides_under_a_printed_name_as_little(world):
    world.in_review(asked={"creator": "Grace Hopper"})
    world.named("pipeline", "Grace Hopper")
    world.named("u-1", "grace  hopper")
    with pytest.raises(RuleBroken, match="own_work"):
        world.override("u-1")


def test_where_the_policy_lets_makers_override_the_event_states_so(world):
    world.validated([Gate("manual", {})])
    world.gates([], [Gate("manual", {})], break_glass=BreakGlass(by_maker=True))
    world.request()
    world.assess()
    used, *_ = world.override("carl")
    assert used.by_maker


def test_who_requested_may_override_in_an_emergency(world):
    world.in_review()
    assert world.override("rosa")


def test_an_after_review_is_due_when_the_policy_states_and_overdue_each_day(world):
    overridden(world, after_review_in="2d")
    with pytest.raises(RuleBroken, match="not_due"):
        remind(world)
    world.pass_time(days=2)
    assert remind(world) == [
        AfterReviewOverdue(world.review().about, "oscar", world.now, 1),
    ]
    with pytest.raises(RuleBroken, match="not_due"):
        remind(world)
    world.pass_time(days=1)
    (again,) = remind(world)
    assert (again.reminder, world.now - again.due_at) == (2, timedelta(days=1))


def test_a_made_after_review_is_no_longer_reported(world):
    overridden(world)
    world.pass_time(days=4)
    world.after_review("ann")
    assert remind(world) == []


def test_an_overdue_after_review_blocks_where_the_policy_states_so(world):
    overridden(world, overdue="block")
    world.note("VersionPromoted")
    world.request("q")
    world.assess()
    assert [e.about.promotion_id for e in world.of(ReviewOpened)] == ["p", "q"]
    world.pass_time(days=4)
    world.note("PromotionRefused", {"promotion_id": "q"})
    world.request("r")
    (denied,) = [e for e in world.assess() if isinstance(e, PromotionDenied)]
    assert "the after-review of the override p is overdue" in denied.reasons[0]
    world.after_review("ann")
    world.request("s")
    world.assess()
    assert world.review("s").status == "open"


def test_it_blocks_nothing_where_the_policy_only_reminds(world):
    overridden(world)
    world.pass_time(days=40)
    world.note("VersionPromoted")
    world.request("q")
    world.assess()
    assert world.review("q").status == "open"


@pytest.mark.parametrize(("justified", "consequence"), [(True, ""), (False, "roll_back")])
def test_an_unjustified_override_has_the_consequence_of_the_policy_it_was_used_under(
    world, justified, consequence
):
    overridden(world, unjustified="roll_back")
    world.gates([], [Gate("manual", {"approvers": 2})])
    world.after_review("ann", justified=justified)
    (reviewed,) = world.of(OverrideReviewed)
    assert (reviewed.consequence, reviewed.environment) == (consequence, "production")


@pytest.mark.parametrize(("first", "found"), [(True, "justified"), (False, "unjustified")])
def test_the_opposite_of_an_after_review_that_was_made_is_refused(world, first, found):
    overridden(world)
    world.after_review("ann", justified=first)
    assert world.after_review("ann", justified=first) == []
    with pytest.raises(RuleBroken, match=f"review_closed.*was found {found}"):
        world.after_review("max", justified=not first)


@pytest.mark.parametrize("text", ["soon", "400d", ""])
def test_the_time_of_an_after_review_is_a_duration(world, text):
    with pytest.raises(Unprocessable):
        world.gates([], [Gate("manual", {})], break_glass=BreakGlass(after_review_in=text))


@pytest.mark.parametrize("justified", [True, False])
def test_the_conversation_of_a_review_keeps_what_the_after_review_found_and_its_comment(world, justified):
    overridden(world)
    world.after_review("ann", justified=justified, comment="there was no outage")
    (reviewed,) = world.of(OverrideReviewed)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    event = Recorded(
        "approval", "review-p", 3, UUID(int=3), "OverrideReviewed", 1, at, Actor("ann"), reviewed, b""
    )
    (entry,) = [change.row for change in project(event, reviewed) if isinstance(change, Put)]
    assert (entry["justified"], entry["text"]) == (justified, "there was no outage")
