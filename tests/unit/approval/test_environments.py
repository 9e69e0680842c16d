"""Promotions by environment: which gates, which policy, and what people are shown."""

from __future__ import annotations

from uuid import uuid4

import pytest

from services.approval.domain.builtin_policies import BUILTIN
from services.approval.domain.gate_events import GatesEvaluated, PromotionGranted
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import Policy, Selector
from services.approval.domain.review import ReviewOpened
from services.approval.publish import publish
from shared.deciding.decider import Unprocessable
from shared.deciding.events import Actor, Recorded

STAGING = {"environment": "staging", "production": False}
TWO_PEOPLE = Gate("manual", {"approvers": 2})


def under_the_builtin_policies(world):
    for name, policy in BUILTIN.items():
        world.publish(name, policy)
    world.registered()
    world.artifact()
    world.assess()
    world.note("VersionValidated")
    return world


def test_an_environment_that_is_not_production_needs_no_people_by_default(world):
    under_the_builtin_policies(world).request(**STAGING)
    evaluated, granted = world.assess()
    assert (evaluated.stage, granted.policy.name, granted.approvers) == (
        "NonProduction",
        "non-production",
        (),
    )


def test_production_needs_two_people_by_default(world):
    under_the_builtin_policies(world).request()
    _, opened = world.assess()
    assert (type(opened), opened.needs, opened.production) == (ReviewOpened, 2, True)


def test_a_policy_selects_an_environment(world):
    under_the_builtin_policies(world)
    world.publish(
        "eu", Policy({"Production": (Gate("manual", {"approvers": 3}),)}, Selector(environments=("eu",)))
    )
    world.publish(
        "staging", Policy({"NonProduction": (Gate("manual", {}),)}, Selector(environments=("staging",)))
    )
    world.request("p1", environment="eu")
    world.request("p2", **STAGING)
    world.request("p3", environment="us")
    world.assess()
    needs = {opened.environment: opened.needs for opened in world.of(ReviewOpened)}
    assert needs == {"eu": 3, "staging": 1, "us": 2}


def test_without_a_policy_for_environments_outside_production_the_gates_deny(world):
    world.validated([TWO_PEOPLE]).request(**STAGING)
    _, denied = world.assess()
    assert "no policy has gates for NonProduction" in denied.reasons[0]


def test_a_promotion_outside_production_leaves_the_stage(world):
    under_the_builtin_policies(world)
    world.note("VersionPromoted", {"promotion_id": "p", **STAGING})
    assert world.version.version.stage == "Validated"
    world.note("VersionPromoted", {"promotion_id": "p", "environment": "production", "production": True})
    assert world.version.version.stage == "Production"


def test_a_promotion_is_granted_until_the_registry_carried_it_out(world):
    under_the_builtin_policies(world).request(**STAGING)
    world.assess()
    assert world.version.promotions["p"].status == "granted"
    world.note("VersionPromoted", {"promotion_id": "p", **STAGING})
    assert world.version.promotions["p"].status == "promoted"
    world.note("PromotionSpent", {"promotion_id": "p", "environment": "staging", "champion": 2})
    assert world.version.promotions["p"].status == "spent"
    assert world.assess() == []


def test_the_review_shows_that_the_last_approval_switches_the_requests(world):
    world.in_review(asked={"serve": True})
    (opened,) = world.of(ReviewOpened)
    assert (opened.serve, opened.production) == (True, True)


def test_a_version_is_granted_for_each_environment_on_its_own(world):
    under_the_builtin_policies(world).request("p1", **STAGING)
    world.request("p2", environment="lab", production=False)
    world.assess()
    assert [g.environment for g in world.of(PromotionGranted)] == ["staging", "lab"]


def test_the_verdict_is_published_with_the_cap_of_its_policy(world):
    world.publish("default", Policy({"Validated": ()}, challenger_cap=20))
    world.registered()
    world.artifact()
    world.assess()
    (verdict,) = world.of(GatesEvaluated)
    actor = Actor("service:approval")
    stored = Recorded(
        "approval", "gate-m@1", 4, uuid4(), "GatesEvaluated", 2, world.now, actor, verdict, b"{}"
    )
    message = publish(stored)
    assert message is not None
    assert message.data.policy.challenger_cap == 20


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy({"Validated": ()}, Selector(environments=("staging",))), "Validated has no environment"),
        (Policy({"Production": ()}, challenger_cap=5), "versions that the policy validates"),
        (Policy({"Validated": (TWO_PEOPLE,)}), "only promotions may have a manual gate"),
        (Policy({"NonProduction": (TWO_PEOPLE, Gate("manual", {}, "more"))}), "only one"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(world, policy, why):
    with pytest.raises(Unprocessable, match=why):
        world.publish("wrong", policy)
