"""Who may decide: people who depend neither on those who made or requested the version, nor on each other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from services.approval.domain.gate_events import PromotionGranted
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.review_events import ReviewApproved
from services.approval.domain.rules import RULES
from shared.deciding.access import IdentityCreated, KeyIssued, RoleGranted
from shared.deciding.decider import Misrouted, RuleBroken, Unprocessable
from shared.deciding.one_person import MOST

SPELLINGS = [
    "Grace  Hopper",
    " grace hopper\t",
    "GRACE\u00a0HOPPER",
    "Gra\u00adce Hopper",
    "Grace\u200b Hopper\u200d",
    "\u202eGrace Hopper",
    "Ｇｒａｃｅ Hopper",
    "Grace\u3164 Hopper\ufeff",
    "Grace\u2003Hopper\x07",
]


def refused(world, code, by, **more):
    """Return the text of the refusal of an approval."""
    with pytest.raises(RuleBroken) as broken:
        world.approve(by, **more)
    assert broken.value.code == code
    return str(broken.value)


def keyed(subject, by):
    return KeyIssued(subject, f"k-{by}", "hmac-sha256", "0" * 64, None, by)


@pytest.mark.parametrize("creator", SPELLINGS)
def test_a_maker_is_recognised_in_every_spelling_of_the_name(world, creator):
    world.in_review(asked={"creator": creator})
    refused(world, "own_work", "u-1", name="Grace Hopper")


@pytest.mark.parametrize("second", SPELLINGS)
def test_one_person_with_two_identities_approves_once(world, second):
    world.in_review()
    world.approve("u-1", name="Grace Hopper")
    refused(world, "same_person", "u-2", name=second)
    assert world.of(PromotionGranted) == []


def test_an_approver_who_was_renamed_since_is_the_same_person(world):
    world.in_review()
    world.approve("u-1", name="Grace Hopper")
    world.named("u-1", "Ada Lovelace")
    refused(world, "same_person", "u-2", name="Grace Hopper")


def test_former_and_erased_names_of_an_approver_count(world):
    world.in_review()
    world.approve("u-1", name="Grace Hopper")
    world.named("u-2", "New", "grace hopper")
    refused(world, "same_person", "u-2", name="New")
    world.named("u-3", "Newer", erased=("Grace Hopper",))
    refused(world, "same_person", "u-3", name="Newer")


def test_a_maker_with_a_second_identity_is_recognised_by_the_names_of_the_first(world):
    """The version names the subject that published it; both identities are called the same."""
    world.named("pipeline", "Grace Hopper", erased=("Grace Murray",))
    world.in_review()
    text = refused(world, "own_work", "u-2", name="Grace Hopper")
    assert "u-2 has the name of pipeline, or is linked with pipeline, who made this version" in text
    refused(world, "own_work", "u-3", name="Grace Murray")


def test_different_people_are_not_mistaken_for_each_other(world):
    world.in_review()
    world.approve("u-1", name="Grace Hopper")
    assert [type(e) for e in world.approve("u-2", name="Grace Happer")] == [ReviewApproved, PromotionGranted]


@pytest.mark.parametrize("kind", ["publisher", "service"])
def test_only_people_approve(world, kind):
    world.in_review()
    world.identity("robot", kind=kind)
    refused(world, "person_needed", "robot")


def test_a_machine_approves_where_the_policy_names_it_and_why(world):
    manual = {"approvers": 1, "machines": {"robot": "it runs the acceptance tests"}}
    world.validated([Gate("manual", manual)]).request()
    world.assess()
    world.identity("robot", kind="publisher")
    approved, _ = world.approve("robot")
    assert approved.machine_because == "it runs the acceptance tests"


def test_a_machine_without_a_reason_is_no_policy(world):
    with pytest.raises(Unprocessable, match="say why the machine robot may approve"):
        world.gates([], [Gate("manual", {"machines": {"robot": " "}})])


@pytest.mark.parametrize("maker", ["carl", "bea", "pipeline", "rosa"])
@pytest.mark.parametrize("how", ["created", "keyed", "granted"])
def test_whom_a_maker_or_the_requester_appointed_does_not_count(world, maker, how):
    world.in_review()
    made = {
        "created": [IdentityCreated("ann", "person", maker)],
        "keyed": [keyed("ann", maker)],
        "granted": [RoleGranted("ann", "approver", "*", by=maker)],
    }
    world.identity("ann", *made[how])
    refused(world, "not_independent", "ann")


def test_an_appointment_counts_after_the_role_was_granted_again_by_another(world):
    world.in_review()
    world.identity(
        "ann", RoleGranted("ann", "approver", "*", by="rosa"), RoleGranted("ann", "approver", "x", by="z")
    )
    refused(world, "not_independent", "ann")


@pytest.mark.parametrize("kind", ["service", "publisher", "person"])
@pytest.mark.parametrize("how", ["created", "keyed", "granted"])
def test_whom_a_maker_appointed_through_another_identity_does_not_count(world, kind, how):
    """rosa makes a bot (or a second account), which appoints the approver."""
    world.in_review()
    world.identity("bot", keyed("bot", "rosa"), kind=kind)
    made = {
        "created": IdentityCreated("ann", "person", "bot"),
        "keyed": keyed("ann", "bot"),
        "granted": RoleGranted("ann", "approver", "*", by="bot"),
    }
    world.identity("ann", made[how])
    with pytest.raises(RuleBroken, match=f"rosa made this version or .* keyed bot, who {how} ann"):
        world.approve("ann")


def test_a_chain_of_appointments_counts_at_any_distance_and_also_in_a_circle(world):
    world.in_review()
    links = ["rosa", "bot-1", "bot-2", "bot-3", "ann"]
    for by, of in pairwise(links):
        world.identity(of, keyed(of, by))
    world.append({"access-bot-1": [keyed("bot-1", "bot-3")]})
    refused(world, "not_independent", "ann")


@pytest.mark.parametrize(("first", "second"), [("root", "ann"), ("ann", "root")])
def test_approvers_of_whom_one_keyed_the_other_through_a_machine_count_as_one(world, first, second):
    world.in_review()
    world.identity("root")
    world.identity("bot", keyed("bot", "root"), kind="service")
    world.identity("ann", keyed("ann", "bot"))
    world.approve(first)
    refused(world, "not_independent", second)


def test_approvers_with_one_appointer_in_common_count_as_two(world):
    world.in_review()
    for who in ("ann", "bob"):
        world.identity(who, keyed(who, "bot"))
    world.identity("bot", keyed("bot", "root"), kind="service")
    world.approve("ann")
    assert PromotionGranted in [type(e) for e in world.approve("bob")]


def test_an_approver_behind_whom_too_many_identities_stand_does_not_count(world):
    world.in_review()
    for n in range(MOST):
        world.identity(f"bot-{n}", keyed(f"bot-{n}", f"bot-{n + 1}"), kind="service")
    world.identity("ann", keyed("ann", "bot-0"))
    refused(world, "not_independent", "ann")


def test_a_person_with_too_many_identities_decides_nothing(world):
    """What is linked beyond that is not looked at, so a maker may be among it."""
    world.in_review()
    for n in range(MOST):
        world.link(f"u-{n}", f"u-{n + 1}")
    world.identity("ann")
    world.link("ann", "u-0")
    refused(world, "not_independent", "ann")


@pytest.mark.parametrize("other", ["carl", "bob"])
def test_an_approval_does_not_count_any_more_when_a_link_shows_whose_it_was(world, other):
    """ann turns out to be the creator, or bob. A third person has to approve."""
    world.in_review(asked={"creator": "carl"}, approvers=3)
    world.approve("bob")
    world.approve("ann")
    world.link("ann", other)
    (approved,) = world.approve("cid")
    assert (approved.approvers, approved.complete) == (("bob", "cid"), False)
    assert PromotionGranted in [type(e) for e in world.approve("dan")]


def test_a_grant_states_the_rules_by_which_its_approvers_counted(world):
    world.in_review()
    world.approve("ann")
    assert [e.rules for e in world.approve("bob") if isinstance(e, PromotionGranted)] == [RULES]


def test_an_appointer_is_recognised_by_the_printed_name_that_the_version_names(world):
    """The version names its creator by name; the admin who made the approver has that name."""
    world.in_review(asked={"creator": "Grace Hopper"})
    world.named("u-admin", "grace  hopper")
    world.identity("ann", keyed("ann", "u-admin"))
    refused(world, "not_independent", "ann")


def test_an_admin_who_made_nothing_and_requested_nothing_may_have_appointed_every_approver(world):
    world.in_review()
    world.identity("ann", keyed("ann", "root"), RoleGranted("ann", "approver", "*", by="root"))
    world.identity("bob", keyed("bob", "root"), RoleGranted("bob", "approver", "*", by="root"))
    world.approve("ann")
    assert PromotionGranted in [type(e) for e in world.approve("bob")]


@pytest.mark.parametrize(("first", "second"), [("root", "ann"), ("ann", "root")])
def test_who_issued_the_key_of_an_approver_and_that_approver_count_as_one(world, first, second):
    world.in_review()
    world.identity("root")
    world.identity("ann", keyed("ann", "root"))
    world.approve(first)
    refused(world, "not_independent", second)


def test_a_key_that_an_approver_issued_to_herself_appoints_no_one(world):
    world.in_review()
    world.identity("ann", keyed("ann", "ann"))
    assert world.approve("ann")


def test_a_policy_may_accept_appointed_approvers_and_states_why(world):
    manual = {"approvers": 2, "dependent_because": "a team of three, one of whom is admin"}
    world.validated([Gate("manual", manual)]).request()
    world.assess()
    world.identity("ann", keyed("ann", "rosa"))
    world.identity("bob", keyed("bob", "ann"))
    world.approve("ann")
    assert PromotionGranted in [type(e) for e in world.approve("bob")]


def test_also_then_makers_and_second_identities_do_not_count(world):
    world.validated([Gate("manual", {"approvers": 2, "dependent_because": "a small team"})]).request()
    world.assess()
    assert "carl made this version" in refused(world, "own_work", "carl")
    world.approve("u-1", name="Grace Hopper")
    refused(world, "same_person", "u-2", name="Grace Hopper")


def test_people_who_were_not_looked_up_are_looked_up_again(world):
    world.in_review()
    with pytest.raises(Misrouted):
        world.approve("ann", people={})


def test_an_override_and_its_after_review_are_for_independent_people(world):
    world.in_review()
    for by, kind in (("robot", "publisher"), ("artifact", "service")):
        world.identity(by, kind=kind)
        with pytest.raises(RuleBroken, match="person_needed"):
            world.override(by)
    world.override("oscar")
    world.identity("ann", keyed("ann", "oscar"))
    with pytest.raises(RuleBroken, match="not_independent"):
        world.after_review("ann")
    with pytest.raises(RuleBroken, match="person_needed"):
        world.after_review("robot")
    assert world.after_review("bob")
