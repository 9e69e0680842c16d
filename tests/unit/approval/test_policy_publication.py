"""Publishing policies: what opens Production states so, and what weakens them needs a second admin."""

from __future__ import annotations

import pytest

from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import (
    BreakGlass,
    Policy,
    PolicyListed,
    PolicyProposed,
    PolicyPublished,
    ProposalWithdrawn,
    Selector,
)
from shared.deciding.access import KeyIssued, RoleGranted
from shared.deciding.decider import NotFound, RuleBroken, Stale, Unprocessable

OPEN = Policy({"Production": ()}, unreviewed=True, unreviewed_reason="toys")


def production(approvers: int, *gates: Gate, **more) -> Policy:
    manual = Gate("manual", {"approvers": approvers, **more.pop("manual", {})})
    return Policy({"Production": (*gates, manual)}, **more)


def kinds(events) -> list[type]:
    return [type(e) for e in events]


@pytest.fixture
def guarded(world):
    """A default policy with two approvers, and a second admin from then on."""
    world.publish("default", production(2))

    def publish(policy, name="default", **more):
        return world.publish(name, policy, **{"by": "root", "other_admins": ("amy",), **more})

    world.guarded = publish
    return world


@pytest.mark.parametrize(
    "policy",
    [
        Policy({"Production": ()}),
        Policy({"Production": (Gate("artifact_verified", {}),)}),
        Policy({"Production": ()}, unreviewed=True),
        Policy({"Production": ()}, unreviewed=True, unreviewed_reason=" \n"),
        Policy({"Production": ()}, unreviewed_reason="toys"),
        Policy({"Production": ()}, active=False),
    ],
)
def test_gates_for_production_without_people_say_so_and_why(world, policy):
    with pytest.raises(Unprocessable, match="no person approves Production"):
        world.publish("open", policy)


def test_who_states_unreviewed_has_gates_for_production_and_no_manual_one(world):
    with pytest.raises(Unprocessable, match="contradicts the manual gate"):
        world.publish("p", production(1, unreviewed=True, unreviewed_reason="toys"))
    with pytest.raises(Unprocessable, match="there are none"):
        world.publish("p", Policy({"Validated": ()}, unreviewed=True, unreviewed_reason="toys"))


def test_one_admin_alone_publishes_a_weaker_policy_and_the_event_states_how(world):
    world.publish("default", production(2))
    published, _ = world.publish("open", OPEN, other_admins=())
    assert published.weaker[0] == (
        "Production of models of tier high: default (2 approvers) → open (no approver): no person approves; "
        "before, 2 did"
    )


@pytest.mark.parametrize(
    ("policy", "name", "how"),
    [
        (OPEN, "open", "no person approves; before, 2 did"),
        (OPEN, "default", "no person approves"),
        (production(1), "default", "1 of the 2 approvers are enough"),
        (production(1, applies_to=Selector(tags={"toy": "yes"})), "toys", "1 of the 2 approvers"),
        (
            production(2, manual={"roles": ["approver", "engineer"]}),
            "default",
            "the role engineer may approve",
        ),
        (production(2, manual={"machines": {"robot": "tests"}}), "default", "the machine robot may approve"),
        (production(2, manual={"dependent_because": "few"}), "default", "may depend on those who made"),
        (production(2, break_glass=BreakGlass(by_maker=True)), "default", "who made a version may override"),
    ],
)
def test_a_weaker_revision_waits_for_a_second_admin(guarded, policy, name, how):
    before = guarded.state(f"policy-{name}").policy
    proposed, *listed = guarded.guarded(policy, name)
    assert isinstance(proposed, PolicyProposed)
    assert any(how in sentence for sentence in proposed.weaker), proposed.weaker
    assert kinds(listed) == ([PolicyListed] if name != "default" else [])
    assert guarded.state(f"policy-{name}").policy == before


@pytest.mark.parametrize(
    "policy",
    [
        production(3),
        production(2, Gate("independent_evaluation", {})),
        production(2, description="the same gates"),
        production(2, manual={"expires_in": "1d"}),
        production(2, applies_to=Selector(tags={"eu": "yes"}), priority=5),
    ],
)
def test_as_strict_or_stricter_applies_immediately(guarded, policy):
    assert PolicyPublished in kinds(guarded.guarded(policy))


@pytest.mark.parametrize(
    ("before", "after", "weaker"),
    [
        (Gate("metric_threshold", {"metric": "f1", "min": 0.9}), {"min": 0.8}, True),
        (Gate("metric_threshold", {"metric": "f1", "min": 0.9}), {"min": 0.95}, False),
        (Gate("metric_threshold", {"metric": "f1", "max": 0.9}), {"max": 0.95}, True),
        (Gate("metric_threshold", {"metric": "f1", "min": 0.9}), {"min": 0.9, "max": 1.0}, False),
        (Gate("no_regression", {"tolerance": 0.0}), {"tolerance": 0.1}, True),
        (Gate("no_regression", {"different_data": "fail"}), {"different_data": "tick"}, True),
        (Gate("no_regression", {"different_data": "pass"}), {"different_data": "tick"}, False),
        (Gate("schema_compatible", {}), {"allow_major": True}, True),
        (Gate("schema_compatible", {}), {"breaking": "tick"}, True),
        (Gate("independent_evaluation", {"metric": "f1"}), {"metric": None}, True),
        (Gate("independent_evaluation", {}), {"metric": "f1"}, False),
    ],
)
def test_an_automated_gate_that_requires_less_is_weaker(guarded, before, after, weaker):
    guarded.guarded(production(2, before))
    changed = Gate(before.kind, {**before.params, **after})
    assert kinds(guarded.guarded(production(2, changed))) == [PolicyProposed if weaker else PolicyPublished]


def test_an_automated_gate_that_goes_is_weaker(guarded):
    guarded.guarded(production(2, Gate("independent_evaluation", {})))
    (proposed,) = guarded.guarded(production(2))
    assert "independent_evaluation is not required or requires less" in proposed.weaker[0]


def test_a_policy_that_goes_lets_a_weaker_one_apply(guarded):
    guarded.guarded(production(3, applies_to=Selector(tags={"eu": "yes"})), "eu")
    asleep = production(3, applies_to=Selector(tags={"eu": "yes"}), active=False)
    proposed, *_ = guarded.guarded(asleep, "eu")
    assert "eu (3 approvers) → default (2 approvers)" in proposed.weaker[0]


def test_a_policy_for_other_tags_of_higher_priority_is_weaker_for_models_with_both(guarded):
    guarded.guarded(production(3, applies_to=Selector(tags={"eu": "yes"})), "eu")
    toys = production(2, applies_to=Selector(tags={"toy": "yes"}), priority=9)
    proposed, *_ = guarded.guarded(toys, "toys")
    assert any("eu=yes toy=yes" in sentence for sentence in proposed.weaker)


def validated(**more) -> Policy:
    """The gates of one policy, with what it may state beside them."""
    return Policy({"Validated": (), **production(2).stages}, **more)


BLOCKING = BreakGlass(overdue="block", unjustified="roll_back")


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        ({}, {"challenger_cap": 100}, "Validated of models of tier low: default"),
        ({}, {"challenger_cap": 1}, "tier high: default (no approver) → zzz (no approver): versions without"),
        ({"challenger_cap": 0}, {}, "may take 10 percent of the requests; before, 0"),
        ({"two_to_recall": True}, {}, "the withdrawal of a version needs no second person"),
        ({}, {"break_glass": BreakGlass(by_maker=True)}, "who made a version may override its gates"),
        ({"break_glass": BLOCKING}, {}, "an overdue after-review blocks no promotion"),
        ({"break_glass": BLOCKING}, {}, "an unjustified override is not rolled back"),
    ],
)
@pytest.mark.parametrize("name", ["zzz", "default"])
def test_what_a_policy_states_beside_its_gates_is_weaker_under_any_name(guarded, before, after, how, name):
    guarded.publish("default", validated(**before))
    proposed, *_ = guarded.guarded(validated(priority=1000, **after), name)
    assert isinstance(proposed, PolicyProposed)
    assert any(how.replace("zzz", name) in sentence for sentence in proposed.weaker), proposed.weaker


@pytest.mark.parametrize(
    "more", [{"priority": -5, "challenger_cap": 100}, {"challenger_cap": 0}, {"two_to_recall": True}]
)
def test_a_new_policy_that_allows_no_model_more_applies_immediately(guarded, more):
    guarded.publish("default", validated())
    stricter = validated(**{"priority": 1000, **more})
    assert PolicyPublished in kinds(guarded.guarded(stricter, "aaa"))


def test_a_cap_equal_to_that_of_the_only_tier_is_not_weaker(guarded):
    guarded.publish("default", validated())
    low = validated(applies_to=Selector(tiers=("low",)), challenger_cap=10)
    assert PolicyPublished in kinds(guarded.guarded(low, "low"))


def test_another_admin_confirms_what_was_proposed(guarded):
    guarded.guarded(production(1))
    (published,) = guarded.confirm("default", "amy")
    assert (published.proposed_by, published.policy) == ("root", production(1))
    state = guarded.state("policy-default")
    assert (state.policy, state.proposal) == (production(1), None)


@pytest.mark.parametrize("names", [{}, {"amy": ("Root User",), "root": ("root  user",)}])
def test_who_proposed_does_not_confirm_under_any_name(guarded, names):
    guarded.guarded(production(1))
    with pytest.raises(RuleBroken, match="own_work"):
        guarded.confirm("default", "amy" if names else "root", **names)


@pytest.mark.parametrize("kind", ["publisher", "service"])
def test_a_machine_does_not_confirm_though_it_is_admin(guarded, kind):
    guarded.identity("bot", kind=kind)
    guarded.guarded(production(1))
    with pytest.raises(RuleBroken, match=f"bot is a {kind}, and only people confirm a policy"):
        guarded.confirm("default", "bot")


@pytest.mark.parametrize(("holder", "issuer"), [("amy", "root"), ("root", "amy")])
def test_two_admins_of_whom_one_issued_a_key_of_the_other_count_as_one(guarded, holder, issuer):
    guarded.identity(holder, KeyIssued(holder, "k1", "hmac-sha256", "v", by=issuer))
    guarded.guarded(production(1))
    with pytest.raises(RuleBroken, match=f"{issuer} issued a key of {holder}.*another admin"):
        guarded.confirm("default", "amy")
    guarded.identity("bob", RoleGranted("bob", "admin", "*", by="root"))
    assert kinds(guarded.confirm("default", "bob")) == [PolicyPublished]


def test_a_proposal_that_was_replaced_or_withdrawn_is_not_confirmed(guarded):
    guarded.guarded(production(1))
    seen = guarded.state("policy-default").proposal.revision
    guarded.guarded(OPEN)
    with pytest.raises(Stale):
        guarded.confirm("default", "amy", seen)
    assert kinds(guarded.guarded(production(2))) == [ProposalWithdrawn]
    with pytest.raises(NotFound):
        guarded.confirm("default", "amy")


def test_the_same_proposal_again_changes_nothing(guarded):
    guarded.guarded(production(1))
    assert guarded.guarded(production(1)) == []


def test_a_proposed_new_policy_selects_no_model(guarded):
    guarded.guarded(OPEN, "open")
    guarded.registered()
    guarded.artifact()
    guarded.note("VersionValidated")
    guarded.request()
    guarded.assess()
    assert guarded.review().needs == 2


def test_a_builtin_policy_needs_no_second_admin(world):
    assert kinds(world.publish("open", OPEN, builtin=True, other_admins=("amy",))) == [
        PolicyPublished,
        PolicyListed,
    ]
