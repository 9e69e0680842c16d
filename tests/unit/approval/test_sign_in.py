"""A policy requires a sign-in of approvers: a recent one, a level, a method."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from regista.wire.policies import weaker
from services.approval.domain.gate_kinds import Gate, params_of
from services.approval.domain.review_events import ReviewApproved, ReviewLapsed
from services.approval.domain.sign_in import Authentication
from shared.deciding.decider import RuleBroken
from tests.unit.approval.conftest import World


def manual(**sign_in: Any) -> Gate:
    return Gate("manual", {"approvers": 1, "sign_in": sign_in})


def in_review(world: World, **sign_in: Any) -> World:
    world.validated([manual(**sign_in)])
    world.request()
    world.assess()
    return world


def code_of(world: World, used: Authentication | None) -> str:
    with pytest.raises(RuleBroken) as broken:
        world.approve("ann", authentication=used)
    return broken.value.code


def approval(events: list[Any]) -> ReviewApproved:
    return next(one for one in events if isinstance(one, ReviewApproved))


def test_an_approval_by_token_records_how_the_approver_signed_in(world: World):
    in_review(world)
    used = Authentication("k", world.now - timedelta(hours=9), "2", ("pwd", "otp"))
    assert approval(world.approve("ann", authentication=used)).authentication == used


def test_an_api_key_approves_nothing_where_a_sign_in_is_asked(world: World):
    in_review(world)
    assert code_of(world, None) == "sign_in_required"


def test_an_api_key_approves_where_the_policy_requires_no_sign_in(world: World):
    world.validated([Gate("manual", {"approvers": 1})])
    world.request()
    world.assess()
    assert approval(world.approve("ann")).authentication is None


@pytest.mark.parametrize(("minutes", "allowed"), [(0, True), (15, True), (16, False)])
def test_a_sign_in_is_recent_enough_up_to_the_limit(world: World, minutes: int, allowed: bool):
    in_review(world, max_age="15m")
    used = Authentication("k", world.now - timedelta(minutes=minutes))
    if allowed:
        assert approval(world.approve("ann", authentication=used)).complete
    else:
        assert code_of(world, used) == "sign_in_too_old"


def test_a_sign_in_of_an_unknown_time_is_not_recent(world: World):
    in_review(world, max_age="15m")
    assert code_of(world, Authentication("k")) == "sign_in_too_old"


@pytest.mark.parametrize(
    ("acr", "amr", "allowed"),
    [
        ("2", ("otp",), True),
        ("3", ("pwd", "hwk"), True),
        ("1", ("otp",), False),
        ("2", ("pwd",), False),
        ("", (), False),
    ],
)
def test_level_and_method_each_have_to_be_one_that_is_asked(
    world: World, acr: str, amr: tuple[str, ...], allowed: bool
):
    in_review(world, acr=["2", "3"], amr=["otp", "hwk"])
    used = Authentication("k", world.now, acr, amr)
    if allowed:
        assert approval(world.approve("ann", authentication=used)).complete
    else:
        assert code_of(world, used) == "sign_in_too_weak"


def test_a_review_lapses_when_the_policy_requires_another_sign_in(world: World):
    in_review(world, max_age="8h")
    world.gates([Gate("artifact_verified", {})], [manual(max_age="15m")])
    assert any(isinstance(one, ReviewLapsed) for one in world.assess())


@pytest.mark.parametrize(
    "sign_in", [{"max_age": "soon"}, {"max_age": "0m"}, {"acr": "2"}, {"amr": [7]}, {"factor": "otp"}, "yes"]
)
def test_what_a_policy_requires_is_checked_when_it_is_published(sign_in: Any):
    with pytest.raises(ValueError, match=r"sign_in|duration|max_age"):
        params_of(Gate("manual", {"sign_in": sign_in}))


@pytest.mark.parametrize(
    ("before", "after", "weak"),
    [
        ({}, None, True),
        (None, {}, False),
        ({"max_age": "15m"}, {"max_age": "1h"}, True),
        ({"max_age": "15m"}, {}, True),
        ({"max_age": "1h"}, {"max_age": "15m"}, False),
        ({"amr": ["otp"]}, {"amr": ["otp", "sms"]}, True),
        ({"amr": ["otp", "hwk"]}, {"amr": ["hwk"]}, False),
        ({"acr": ["2"]}, {}, True),
        ({}, {"acr": ["2"]}, False),
    ],
)
def test_requiring_less_is_a_weaker_policy(before: Any, after: Any, weak: bool):
    def gate(sign_in: Any) -> list[Gate]:
        return [Gate("manual", {} if sign_in is None else {"sign_in": sign_in})]

    assert bool(weaker(gate(before), gate(after))) is weak
