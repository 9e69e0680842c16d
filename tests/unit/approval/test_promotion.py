"""A promotion from its request to grant or denial: gates, reviews, quorum, seal, expiry."""

from __future__ import annotations

import pytest

from services.approval.domain.builtin_policies import BUILTIN
from services.approval.domain.gate_events import GatesEvaluated, PromotionDenied, PromotionGranted
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import Policy
from services.approval.domain.promotion import AssessGates, assess_gates
from services.approval.domain.review_events import (
    ReviewApproved,
    ReviewCommented,
    ReviewExpired,
    ReviewLapsed,
    ReviewOpened,
    ReviewRefreshed,
    ReviewRejected,
)
from shared.deciding.decider import Misrouted, NotFound, RuleBroken, Stale, Unprocessable


def kinds(events) -> list[type]:
    return [type(e) for e in events]


def test_without_a_manual_gate_passing_gates_grant_immediately(world):
    world.validated([Gate("artifact_verified", {})]).request()
    evaluated, granted = world.assess()
    assert (evaluated.stage, evaluated.promotion_id) == ("Production", "p")
    assert (granted.promotion_id, granted.digest, granted.approvers, granted.override) == (
        "p",
        "sha256:asked",
        (),
        False,
    )
    assert world.assess() == []


def test_failing_gates_deny_with_every_reason(world):
    world.validated(
        [Gate("metric_threshold", {"metric": "accuracy", "min": 0.99}), Gate("independent_evaluation", {})]
    ).request()
    evaluated, denied = world.assess()
    assert not evaluated.passed
    assert [r.split(":")[0] for r in denied.reasons] == ["metric_threshold", "independent_evaluation"]
    assert world.review().status == ""


def test_the_builtin_policy_blocks_what_was_made_from_a_recalled_version(world):
    recalled = "was made from team.base 1, which is withdrawn"
    world.publish("default", BUILTIN["default"], builtin=True)
    world.registered()
    world.artifact()
    world.note("VersionValidated")
    world.request(evidence={"recalled_ancestors": [recalled], "number": 1})
    evaluated, denied = world.assess()[-2:]
    assert evaluated.evidence.recalled_ancestors == (recalled,)
    assert len(denied.reasons) == 1
    assert denied.reasons[0].startswith(f"lineage_sound: the version {recalled}; train it again")
    world.request("q", evidence={"number": 1})
    assert isinstance(world.assess()[-1], ReviewOpened)


def test_no_policy_for_production_denies(world):
    world.publish("default", Policy({"Validated": ()}))
    world.registered()
    world.artifact()
    world.note("VersionValidated")
    world.request()
    assert "publish one" in world.assess()[1].reasons[0]


def test_a_version_that_is_not_validated_never_gets_to_a_review(world):
    world.gates([], [Gate("manual", {})])
    world.registered()
    world.artifact()
    world.request()
    assert PromotionDenied in kinds(world.assess())


def test_a_manual_gate_opens_a_review_sealed_to_what_is_shown(world):
    world.in_review()
    [opened] = world.of(ReviewOpened)
    assert (opened.needs, opened.roles, opened.excluded) == (
        2,
        ("approver",),
        ("carl", "bea", "pipeline", "rosa"),
    )
    assert opened.seal.version == "sha256:leaf1"
    assert opened.seal.artifact == "sha256:artifact1"
    assert opened.evidence.evaluations[0].value == 0.9
    assert (opened.expires_at - world.now).days == 7


def test_two_others_approve_and_the_promotion_is_granted(world):
    world.in_review()
    [first] = world.approve("ann")
    assert (first.approvers, first.complete) == (("ann",), False)
    approved, granted = world.approve("bob", comment="fine", conditions=("watch drift",))
    assert (approved.complete, approved.conditions) == (True, ("watch drift",))
    assert granted.approvers == ("ann", "bob")
    assert granted.digest == "sha256:asked"
    assert world.review().status == "approved"
    assert world.version.open_promotions == ()


@pytest.mark.parametrize("who", ["carl", "bea", "pipeline", "dora", "rosa", "cleo", "basil"])
def test_a_contributor_or_requester_never_counts_by_subject_or_printed_name(world, who):
    """rosa requests it. The request, unlike the registration, names cleo as creator, on behalf of basil."""
    world.in_review(asked={"creator": "cleo", "on_behalf_of": "basil"}, contributors=["dora"])
    for face in (
        {"by": who},
        {"by": who.upper()},
        {"by": "u-0", "name": who.title()},
        {"by": "u-1", "name": "New", "former": ("Old", who.title())},
        {"by": "u-2", "name": "New", "erased": (f"{who} ",)},
    ):
        by, name = face["by"], face.get("name", "")
        world.named(by, name, *face.pop("former", ()), erased=face.pop("erased", ()))
        with pytest.raises(RuleBroken) as broken:
            world.approve(**face)
        assert broken.value.code == "own_work"


def test_a_maker_spelt_in_another_unicode_form_is_the_same_maker(world):
    world.in_review(asked={"creator": "Zoe\u0308"})
    with pytest.raises(RuleBroken) as broken:
        world.approve(by="u-1", name="Zo\u00eb")
    assert broken.value.code == "own_work"


def test_approving_twice_counts_once(world):
    world.in_review()
    world.approve("ann")
    assert world.approve("ann") == []
    assert world.review().approvals == ("ann",)


def test_what_an_approver_adds_later_is_a_comment(world):
    world.in_review()
    world.approve("ann", comment="checked on March", conditions=("shadow first",))
    assert world.approve("ann", comment="checked on March", conditions=("shadow first",)) == []
    (comment,) = world.approve("ann", comment="and on April")
    assert (type(comment), comment.by, comment.comment) == (ReviewCommented, "ann", "and on April")
    assert world.approve("ann", comment="and on April") == []
    with pytest.raises(RuleBroken, match="approved_already"):
        world.approve("ann", conditions=("a second one",))
    assert world.review().approvals == ("ann",)


def test_a_role_that_the_policy_does_not_ask_for_does_not_count(world):
    world.in_review()
    with pytest.raises(RuleBroken, match="role_not_asked"):
        world.approve("ann", role="engineer")


def test_an_approver_who_saw_another_revision_must_read_again(world):
    world.in_review()
    assert world.approve("ann", expected=1)
    with pytest.raises(Stale) as stale:
        world.approve("bob", expected=1)
    assert stale.value.facts["revision"] == 2


def test_one_rejection_denies(world):
    world.in_review()
    world.approve("ann")
    rejected, denied = world.reject("bob", "too risky")
    assert isinstance(rejected, ReviewRejected)
    assert denied.reasons == ("rejected by bob: too risky",)
    with pytest.raises(RuleBroken, match="review_closed"):
        world.approve("cid")


def test_a_rejection_has_its_reason(world):
    world.in_review()
    with pytest.raises(Unprocessable, match="reason_missing"):
        world.reject("ann", " ")


def test_a_role_that_the_policy_does_not_ask_for_cannot_reject(world):
    world.in_review()
    with pytest.raises(RuleBroken, match="role_not_asked"):
        world.reject("ann", role="engineer")


def test_a_rejection_of_an_older_revision_is_refused_as_stale(world):
    world.in_review()
    world.approve("ann")
    with pytest.raises(Stale, match="revision 2"):
        world.reject("bob", expected=1)
    assert world.reject("bob", expected=2)


def test_an_unknown_review_is_not_found(world):
    world.in_review()
    with pytest.raises(NotFound):
        world.approve("ann", "other")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda w, g: w.note("EvaluationRecorded", {"evaluation": g.accuracy(0.95, independent=True)}),
            "evidence changed",
        ),
        (lambda w, _: w.artifact("ArtifactRecalled"), "evidence changed"),
        (
            lambda w, _: w.note_model("TagsChanged", {"tags": {"new": "tag"}, "tier": "medium"}),
            "evidence changed",
        ),
        (lambda w, g: w.note("VersionRegistered", g.version(1, 0.9, semver="2.0.0")), "version changed"),
        (
            lambda w, _: w.gates([], [Gate("manual", {"approvers": 1})]),
            "requires 1 of approver, before 2 of approver",
        ),
        (
            lambda w, g: w.note_model(
                "RolloutChanged", {"environment": "production", "champion": g.champion(7, 0.99)}
            ),
            "is worse than",
        ),
        (lambda w, _: w.note("VersionRecalled"), "was withdrawn"),
    ],
)
def test_a_review_lapses_when_what_it_showed_changes_or_a_gate_flips(world, given, change, reason):
    world.in_review()
    world.note_model(
        "ModelRegistered",
        {"model": "team.churn", "kind": "model", "owner": "olga", "tier": "medium", "tags": {}},
    )
    assert world.assess() == []
    world.approve("ann")
    change(world, given)
    happened = world.assess()
    [lapsed] = [e for e in happened if isinstance(e, ReviewLapsed)]
    [denied] = [e for e in happened if isinstance(e, PromotionDenied)]
    assert any(reason in r for r in lapsed.reasons)
    assert all(r.startswith("lapsed: ") for r in denied.reasons)
    assert world.review().status == "lapsed"


def test_a_new_champion_alone_is_shown_and_the_review_goes_on(world, given):
    world.in_review()
    world.approve("ann")
    world.note_model("RolloutChanged", {"environment": "production", "champion": given.champion(7, 0.8)})
    assert kinds(world.assess()) == [GatesEvaluated, ReviewRefreshed]
    with pytest.raises(Stale):
        world.approve("bob", expected=2)
    assert kinds(world.approve("bob", expected=3)) == [ReviewApproved, PromotionGranted]


def test_a_rename_is_shown_and_the_review_goes_on(world):
    world.in_review()
    world.note_model(
        "ModelRegistered", {"model": "team.churn", "kind": "model", "tier": "medium", "tags": {}}
    )
    world.approve("ann")
    world.note_model("ModelRenamed", {"model": "team.attrition"})
    [_, refreshed] = world.assess()
    assert (type(refreshed), refreshed.about.model) == (ReviewRefreshed, "team.attrition")
    assert PromotionGranted in kinds(world.approve("bob"))


def test_an_approval_on_changed_evidence_lapses_instead_of_granting(world, given):
    world.in_review(approvers=1)
    world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.1, independent=True)})
    assert kinds(world.approve("ann")) == [GatesEvaluated, PromotionDenied, ReviewLapsed]


def test_a_lapsed_promotion_is_asked_for_again_under_a_new_id(world, given):
    world.in_review(approvers=1)
    world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.95, independent=True)})
    world.assess()
    world.request("again")
    assert ReviewOpened in kinds(world.assess())
    assert PromotionGranted in kinds(world.approve("ann", "again"))


def test_a_review_expires_when_its_time_is_up_and_not_before(world):
    world.in_review()
    world.pass_time(days=6)
    with pytest.raises(
        RuleBroken, match="not_due"
    ):  # no outcome: the inbox would answer every later attempt with "nothing"
        world.expire()
    world.pass_time(days=1)
    assert kinds(world.expire()) == [ReviewExpired, PromotionDenied]
    assert world.expire() == []


def test_an_approval_after_the_time_is_up_expires_the_review(world):
    world.in_review()
    world.pass_time(days=8)
    assert kinds(world.approve("ann")) == [ReviewExpired, PromotionDenied]


def test_a_promotion_that_came_up_meanwhile_sends_the_command_back(world):
    world.validated([])
    before = world.streams()
    world.request()
    before.states["gate-m@1"] = world.version  # type: ignore[index]
    with pytest.raises(Misrouted):
        assess_gates(AssessGates("m", 1, world.now), before)


def test_a_promotion_that_registry_refused_is_not_open_any_more(world):
    world.validated([]).request()
    world.note("PromotionRefused", {"promotion_id": "p"})
    assert world.assess() == []


def superseded(world):
    """A newer request supersedes it, over newer evidence that no one has reviewed yet."""
    world.in_review(approvers=1)
    world.note("PromotionRefused", {"promotion_id": "p"})
    world.request("newer")
    return world


def test_the_review_of_a_superseded_promotion_lapses_and_the_newer_one_is_opened(world):
    happened = superseded(world).assess()
    assert [(type(e), e.about.promotion_id) for e in happened if not isinstance(e, GatesEvaluated)] == [
        (ReviewOpened, "newer"),
        (ReviewLapsed, "p"),
    ]
    assert world.version.promotions["p"].status == "refused"
    assert world.assess() == []
    assert PromotionGranted in kinds(world.approve("ann", "newer"))


def test_a_superseded_promotion_gets_no_decision(world):
    superseded(world)
    for decide in (world.approve, world.reject):
        with pytest.raises(RuleBroken, match="review_closed"):
            decide("ann")


def test_the_review_of_a_superseded_promotion_lapses_at_the_end_of_its_time_at_the_latest(world):
    superseded(world).pass_time(days=8)
    assert kinds(world.expire()) == [ReviewLapsed]


def test_registrys_answer_to_our_own_denial_is_not_noted(world):
    world.validated([Gate("independent_evaluation", {})]).request()
    assert PromotionDenied in kinds(world.assess())
    assert world.note("PromotionRefused", {"promotion_id": "p"}) == []
