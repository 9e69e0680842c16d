"""policy-<name>: published, versioned, chosen by namespace, kind, tags and tier."""

from __future__ import annotations

import pytest

from services.approval.domain.builtin_policies import BUILTIN
from services.approval.domain.gate_kinds import ROLES, Gate
from services.approval.domain.policy import (
    ApplyPolicy,
    Policy,
    PolicyApplied,
    PolicyListed,
    PolicyPublished,
    PolicyState,
    Selector,
    Subject,
    automated,
    decide,
    manual,
    select,
)
from shared.deciding.access import OWN_ROLE_ONLY
from shared.deciding.access import ROLES as GRANTED
from shared.deciding.decider import Stale, Unprocessable

PLAIN = Policy({"Validated": (Gate("artifact_verified", {}),)})


def test_a_new_policy_is_published_with_its_digest_and_listed_once(world):
    published, listed = world.publish("strict", PLAIN)
    assert isinstance(published, PolicyPublished)
    assert published.digest.startswith("sha256:")
    assert listed == PolicyListed("strict")
    other = Policy({"Validated": ()})
    assert [type(e) for e in world.publish("strict", other)] == [PolicyPublished]


def test_the_same_policy_again_changes_nothing(world):
    world.publish("strict", PLAIN)
    assert world.publish("strict", PLAIN) == []


def test_an_author_who_saw_an_older_revision_must_read_again(world):
    world.publish("strict", PLAIN)
    with pytest.raises(Stale, match="revision 1"):
        world.publish("strict", Policy({}), expected=7)
    assert world.publish("strict", Policy({}), expected=1)


def test_a_builtin_policy_never_replaces_what_people_published(world):
    world.publish("default", PLAIN)
    assert world.publish("default", BUILTIN["default"], builtin=True) == []


@pytest.mark.parametrize("name", BUILTIN)
def test_the_builtin_policies_are_policies(world, name):
    assert world.publish(name, BUILTIN[name], builtin=True)


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ({"Validated": (Gate("horoscope", {}),)}, "no gate of kind 'horoscope'"),
        ({"Draft": ()}, "no stage 'Draft'"),
        ({"Validated": (Gate("metric_threshold", {"metric": "f1"}),)}, "needs min or max"),
        (
            {"Validated": (Gate("metric_threshold", {"metric": "f1", "minimum": 0.5}),)},
            "no parameter minimum",
        ),
        ({"Validated": (Gate("metric_threshold", {"metric": 3, "min": 0.5}),)}, "Expected `str"),
        ({"Validated": (Gate("no_regression", {"different_data": "maybe"}),)}, "Invalid enum value"),
        ({"Validated": (Gate("manual", {}),)}, "only promotions may have a manual gate"),
        ({"Production": (Gate("manual", {}), Gate("manual", {}, "second"))}, "only one"),
        ({"Production": (Gate("manual", {"approvers": 0}),)}, "at least one approver"),
        ({"Production": (Gate("manual", {"expires_in": "soon"}),)}, "is no duration"),
        ({"Production": (Gate("manual", {"expires_in": "9999999d"}),)}, "is too long"),
        ({"Production": (Gate("manual", {"expires_in": "0d"}),)}, "leaves no time"),
        ({"Production": (Gate("manual", {"expires_in": "99999d"}),)}, "366d at most"),
        ({"Validated": (Gate("artifact_verified", {}), Gate("artifact_verified", {}))}, "same name"),
        (
            {"Validated": (Gate("metric_threshold", {"metric": "f1", "min": float("nan")}),)},
            "no canonical JSON",
        ),
    ],
)
def test_a_policy_that_could_never_be_evaluated_is_refused_with_the_reason(world, stages, reason):
    with pytest.raises(Unprocessable, match=reason):
        world.publish("broken", Policy(stages))


@pytest.mark.parametrize("role", ["any", "override", "aprover", ""])
def test_people_are_asked_by_roles_that_can_be_granted_for_it(world, role):
    with pytest.raises(Unprocessable, match="name roles of publisher, engineer, approver, auditor, admin"):
        world.publish("broken", Policy({"Production": (Gate("manual", {"roles": ["approver", role]}),)}))


def test_the_roles_that_may_be_asked_are_those_that_can_be_granted_but_break_glass():
    assert set(ROLES) == set(GRANTED) - OWN_ROLE_ONLY


@pytest.mark.parametrize("name", ["", "a b", "größe", "-x", "x" * 101, "a\n", "a.b", "١"])
def test_a_policy_has_a_plain_name(world, name):
    with pytest.raises(Unprocessable, match="bad_name"):
        world.publish(name, PLAIN)


def published(name: str, policy: Policy) -> PolicyState:
    return PolicyState(1, name, 1, policy, "sha256:" + name)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (Subject("", "model", "medium", {}), "default"),
        (Subject("risk.cards", "model", "medium", {}), "risk"),
        (Subject("risky", "model", "medium", {}), "default"),
        (Subject("risk", "model", "high", {}), "high"),
        (Subject("", "embedding", "medium", {"eu": "yes"}), "tagged"),
    ],
)
def test_the_most_specific_of_the_highest_priority_rules(subject, expected):
    gates = {"Validated": ()}
    policies = [
        published("default", Policy(gates, priority=-1)),
        published("risk", Policy(gates, Selector(namespaces=("risk",)))),
        published("high", Policy(gates, Selector(tiers=("high",)), priority=5)),
        published("kinds", Policy(gates, Selector(kinds=("embedding",)))),
        published("tagged", Policy(gates, Selector(kinds=("embedding",), tags={"eu": "yes"}))),
        published("asleep", Policy(gates, priority=99, active=False)),
        published("elsewhere", Policy({"Production": ()}, priority=99)),
    ]
    chosen = select(policies, subject, "Validated")
    assert chosen is not None
    assert chosen.name == expected


TAGGED = {"eu": "yes", "pii": "no"}


@pytest.mark.parametrize(
    ("other", "namespaces"),
    [
        pytest.param(Selector(namespaces=("risk", "team")), ("risk.cards",), id="one deep beats one wide"),
        pytest.param(
            Selector(namespaces=("risk.cards", "team")), ("risk.cards",), id="the widest of several counts"
        ),
        pytest.param(
            Selector(namespaces=("risk", "risk.cards")),
            ("risk.cards", "team.x"),
            id="depth is that of the widest",
        ),
    ],
)
@pytest.mark.parametrize("other_is_last_by_name", [False, True])
def test_the_widest_of_several_namespaces_decides_how_specific_a_policy_is(
    other, namespaces, other_is_last_by_name
):
    """A policy for `risk.cards` and `team` is as specific as one for `team` alone, whatever its name."""
    gates = {"Validated": ()}
    names = ("a", "z") if other_is_last_by_name else ("z", "a")
    policies = [
        published(names[0], Policy(gates, Selector(namespaces=namespaces))),
        published(names[1], Policy(gates, other)),
    ]
    for listed in (policies, policies[::-1]):
        chosen = select(listed, Subject("risk.cards.eu", "model", "medium", {}), "Validated")
        assert chosen is not None
        assert chosen.name == names[0]


@pytest.mark.parametrize(
    ("specific", "general"),
    [
        (Selector(tags=TAGGED), Selector(tags={"eu": "yes"})),
        (Selector(kinds=("model",), tiers=("medium",)), Selector(namespaces=("risk.cards",))),
        (Selector(namespaces=("risk",)), Selector()),
        (Selector(namespaces=("risk",)), Selector(kinds=("model",))),
        (Selector(tags={"eu": "yes"}), Selector()),
        (Selector(tiers=("medium",)), Selector()),
    ],
)
def test_the_policy_with_more_kinds_of_restriction_applies(specific, general):
    gates = {"Validated": ()}
    policies = [published("a", Policy(gates, specific)), published("z", Policy(gates, general))]
    chosen = select(policies, Subject("risk.cards", "model", "medium", TAGGED), "Validated")
    assert chosen is not None
    assert chosen.name == "a"


def test_of_equally_specific_policies_the_last_by_name_applies():
    policies = [published(name, Policy({"Validated": ()})) for name in ("b", "c", "a")]
    chosen = select(policies, Subject("", "model", "low", {}), "Validated")
    assert chosen is not None
    assert chosen.name == "c"


def test_no_fitting_policy_is_none():
    subject = Subject("", "model", "low", {"eu": "no"})
    for selector in (Selector(kinds=("prompt",)), Selector(tags={"eu": "yes"})):
        assert select([published("p", Policy({"Validated": ()}, selector))], subject, "Validated") is None


def test_the_manual_gate_is_separate_from_the_automated_ones():
    gates = (Gate("artifact_verified", {}), Gate("manual", {"approvers": 3, "roles": ["approver", "admin"]}))
    assert [g.kind for g in automated(gates)] == ["artifact_verified"]
    found = manual(gates)
    assert found is not None
    assert (found.approvers, found.roles, found.lifetime.days) == (3, ("approver", "admin"), 7)


def test_each_revision_is_applied_once_in_whatever_order_its_work_ends(world):
    """Work for an older revision may end after that for a newer one; its due row must go, too."""
    world.publish("strict", PLAIN)
    world.publish("strict", Policy({"Validated": ()}))

    def applied(revision: int) -> list[PolicyApplied]:
        stream = "policy-strict"
        return world.append({stream: decide(ApplyPolicy("strict", revision), world.state(stream))})

    assert applied(2) == [PolicyApplied("strict", 2)]
    assert applied(1) == [PolicyApplied("strict", 1)]
    assert applied(2) == applied(1) == []
