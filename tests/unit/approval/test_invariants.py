"""I9 in the domain: no grant without the distinct approvers that the policy needs, or an override."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.approval.domain import approving
from services.approval.domain.approving import Reject
from services.approval.domain.deciders import FOLDS as ALL_FOLDS
from services.approval.domain.gate_events import PromotionDenied, PromotionGranted
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.review_events import (
    OverrideUsed,
    ReviewApproved,
    ReviewLapsed,
    ReviewOpened,
    ReviewRefreshed,
    ReviewRejected,
)
from shared.deciding.access import ACCESS
from shared.deciding.decider import RuleBroken
from shared.log.snapshots import SnapshotCodec

FOLDS = {fold.category: fold for fold in (*ALL_FOLDS, ACCESS)}
MAKERS = {"carl", "bea", "pipeline", "rosa"}
PEOPLE = st.sampled_from([*sorted(MAKERS), "ann", "bob", "cid", "dan"])


class Promotions(RuleBasedStateMachine):
    """Everything that can happen to a version and its promotions, in any order."""

    world_type: type
    reached: Counter[str]
    """How often examples got somewhere: properties that nothing ever reaches hold of nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.world = self.world_type()
        self.asked: list[str] = []
        self.refused: dict[str, int] = {}

    def teardown(self) -> None:
        self.reached.update("override" if e.override else "grant" for e in self.world.of(PromotionGranted))
        self.reached.update(
            "left behind" for e in self.world.of(ReviewLapsed) if e.about.promotion_id in self.refused
        )

    @initialize(approvers=st.integers(1, 3))
    def begin_in_review(self, approvers):
        """Most of what is interesting happens while a review is open."""
        self.publish_policy(approvers, 0.5)
        self.register(0.9)
        self.note_artifact("ArtifactReleased")
        self.evaluate()
        self.note_version("VersionValidated")
        self.request()
        self.evaluate()

    @rule(approvers=st.integers(1, 3), minimum=st.sampled_from([0.5, 0.93]))
    def publish_policy(self, approvers, minimum):
        threshold = Gate("metric_threshold", {"metric": "accuracy", "min": minimum})
        self.world.gates(
            [Gate("artifact_verified", {})],
            [threshold, Gate("manual", {"approvers": approvers, "expires_in": "1h"})],
        )

    @rule(value=st.sampled_from([0.9, 0.95]))
    def register(self, value):
        self.world.registered(value)

    @rule(type_=st.sampled_from(["ArtifactReleased", "ArtifactReleased", "ArtifactRecalled"]))
    def note_artifact(self, type_):
        self.world.artifact(type_)

    @rule(type_=st.sampled_from(["VersionValidated", "VersionValidated", "VersionRejected"]))
    def note_version(self, type_):
        self.world.note(type_)

    @rule(value=st.sampled_from([0.1, 0.99, None]), independent=st.booleans())
    def record_evaluation(self, value, independent):
        evaluation = {
            "name": "accuracy",
            "value": value,
            "dataset_digest": "d",
            "independent": independent,
            "by": "iris",
        }
        self.world.note("EvaluationRecorded", {"evaluation": evaluation})

    @precondition(lambda self: not self.world.version.open_promotions)
    @rule()
    def request(self):
        self.asked.append(f"p{len(self.asked)}")
        self.world.request(self.asked[-1])

    @precondition(lambda self: self.world.version.open_promotions)
    @rule()
    def refuse(self):
        """Refuse the open requests, as registry does when a newer request replaces one.

        Approval may assess the gates immediately or later.
        """
        for promotion in self.world.version.open_promotions:
            self.refused[promotion.id] = len(self.world.events)
            self.world.note("PromotionRefused", {"promotion_id": promotion.id})

    @rule()
    def evaluate(self):
        self.world.assess()
        open_ = {p.id for p in self.world.version.open_promotions}
        assert all(self.world.review(p).status != "open" for p in self.asked if p not in open_)

    @precondition(lambda self: self.asked)
    @rule(who=PEOPLE)
    def approve(self, who):
        with suppress(RuleBroken):
            self.world.approve(who, self.asked[-1])

    @precondition(lambda self: self.asked)
    @rule(who=PEOPLE)
    def reject(self, who):
        with suppress(RuleBroken):
            self.world.append(
                approving.reject(
                    Reject(self.asked[-1], "m", 1, who, "approver", "no"),
                    self.world.streams(1, self.asked[-1]),
                )
            )

    @precondition(lambda self: self.asked)
    @rule(people=st.permutations(["ann", "bob", "cid", "dan"]), votes=st.integers(1, 4))
    def approve_as_those_who_may(self, people, votes):
        for who in people[:votes]:
            self.approve(who)

    @rule()
    def have_a_review(self):
        """Back to an open review, so that examples do not end at the first denial."""
        self.register(0.95)
        self.note_artifact("ArtifactReleased")
        self.note_version("VersionValidated")
        if not self.world.version.open_promotions:
            self.request()
        self.evaluate()

    @precondition(lambda self: self.asked)
    @rule(who=PEOPLE, data=st.data())
    def break_glass(self, who, data):
        with suppress(RuleBroken):
            self.world.override(who, promotion_id=data.draw(st.sampled_from(self.asked)))

    @rule(minutes=st.integers(1, 61))
    def wait(self, minutes):
        self.world.pass_time(minutes=minutes)

    @invariant()
    def no_grant_without_approvers_or_override(self):
        overridden = {e.about.promotion_id for e in self.world.of(OverrideUsed)}
        for granted in self.world.of(PromotionGranted):
            if granted.override:
                assert granted.review_id in overridden
                continue
            [opened] = [
                e for e in self.world.of(ReviewOpened) if e.about.promotion_id == granted.promotion_id
            ]
            approved = [
                e for e in self.world.of(ReviewApproved) if e.about.promotion_id == granted.promotion_id
            ]
            assert len(set(granted.approvers)) == len(granted.approvers) >= opened.needs
            assert set(granted.approvers) == {e.approver for e in approved}
            assert not set(granted.approvers) & MAKERS
            assert {e.sealed_digest for e in approved} == {opened.sealed_digest}
            refreshed = [
                e.policy
                for e in self.world.of(ReviewRefreshed)
                if e.policy and e.about.promotion_id == granted.promotion_id
            ]
            shown = [opened.policy, *refreshed][-1]  # the same text may have been published again since
            assert (granted.policy.name, granted.policy.digest) == (shown.name, shown.digest)

    @invariant()
    def a_promotion_is_granted_at_most_once(self):
        granted = [e.promotion_id for e in self.world.of(PromotionGranted)]
        assert len(granted) == len(set(granted))

    @invariant()
    def a_decided_promotion_has_no_open_review(self):
        closed = {e.promotion_id for e in (*self.world.of(PromotionGranted), *self.world.of(PromotionDenied))}
        assert all(self.world.review(p).status != "open" for p in closed)

    @invariant()
    def no_decision_follows_a_refusal_by_registry(self):
        for promotion_id, since in self.refused.items():
            later = [e for _, e in self.world.events[since + 1 :]]
            decided = [
                e
                for e in later
                if isinstance(e, PromotionGranted | PromotionDenied) and e.promotion_id == promotion_id
            ]
            voted = [
                e
                for e in later
                if isinstance(e, ReviewApproved | ReviewRejected) and e.about.promotion_id == promotion_id
            ]
            assert not decided + voted


def test_every_state_survives_its_snapshot(new_world):
    world = new_world().in_review()
    world.note_model(
        "RolloutChanged",
        {"environment": "production", "champion": {"number": 7, "semver": "7.0.0", "evaluations": []}},
    )
    world.approve("ann")
    world.override("oscar")
    for stream, state in world.states.items():
        codec = SnapshotCodec(FOLDS[stream.partition("-")[0]])
        assert codec.load(codec.dump(state)) == state, stream


LAWS = (
    Promotions.no_grant_without_approvers_or_override,
    Promotions.a_promotion_is_granted_at_most_once,
    Promotions.a_decided_promotion_has_no_open_review,
    Promotions.no_decision_follows_a_refusal_by_registry,
)


def machine_in(new_world) -> type[Promotions]:
    return type("Machine", (Promotions,), {"world_type": new_world, "reached": Counter()})


def test_no_grant_without_the_needed_distinct_approvers_or_an_override(new_world):
    run_state_machine_as_test(
        machine_in(new_world), settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )


def test_one_history_reaches_every_end_that_the_laws_judge(new_world):
    """Random histories may miss one, and a law of what never happens holds of nothing."""
    machine = machine_in(new_world)()
    steps = (
        lambda: machine.begin_in_review(1),
        lambda: machine.approve("ann"),
        machine.have_a_review,
        lambda: machine.world.override("bob", promotion_id=machine.asked[-1]),
        machine.have_a_review,
        machine.refuse,
        machine.evaluate,
    )
    for step in steps:
        step()
        for law in LAWS:
            law(machine)
    machine.teardown()
    assert set(machine.reached) == {"grant", "override", "left behind"}


@settings(max_examples=200, deadline=None)
@examples(
    needs=st.integers(1, 4), who=st.lists(PEOPLE, max_size=12), shown=st.sets(st.integers(0, 11), max_size=2)
)
def test_a_promotion_is_granted_exactly_when_enough_others_have_approved(new_world, given, needs, who, shown):
    world = new_world().in_review(approvers=needs)
    for n, person in enumerate(who):
        if n in shown:
            world.note_model(
                "RolloutChanged", {"environment": "production", "champion": given.champion(50 + n, 0.5)}
            )
            world.assess()
        with suppress(RuleBroken):
            world.approve(person)
    others = list(dict.fromkeys(p for p in who if p not in MAKERS))
    granted = world.of(PromotionGranted)
    assert [g.approvers for g in granted] == ([tuple(others[:needs])] if len(others) >= needs else [])
