"""gate-<model>@<number>: what was noted, and when its gates are asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from services.approval.domain.gate_events import GatesEvaluated, PromotionGranted
from services.approval.domain.gate_kinds import Gate
from services.approval.domain.policy import Policy, Selector
from services.approval.domain.promotion import AssessGates, assess_gates
from shared.deciding.decider import Misrouted

GATES = [
    Gate("metadata_complete", {}),
    Gate("artifact_verified", {}),
    Gate("no_regression", {"different_data": "pass"}),
]
REQUEST = {"promotion_id": "p", "environment": "production", "digest": "sha256:asked"}


def test_gates_wait_for_the_version_and_for_the_verdict_on_its_artifact(world):
    world.gates(GATES)
    assert world.version.waits_for == ("version",)
    world.registered()
    assert world.version.waits_for == ("artifact",)
    assert world.assess() == []
    world.artifact()
    [evaluated] = world.assess()
    assert (evaluated.stage, evaluated.passed, evaluated.policy.name) == ("Validated", True, "default")


def test_the_artifact_may_come_before_the_version(world):
    world.gates(GATES)
    world.artifact()
    assert world.assess() == []
    world.registered()
    [evaluated] = world.assess()
    assert evaluated.passed


def test_a_mismatched_artifact_is_named_as_the_reason(world):
    world.gates(GATES)
    world.registered()
    world.artifact("ArtifactMismatched")
    [evaluated] = world.assess()
    assert not evaluated.passed
    assert {r.gate: r.passed for r in evaluated.results}["artifact_verified"] is False


def test_a_second_assessment_of_the_same_facts_makes_no_event(world):
    world.gates(GATES)
    world.registered()
    world.artifact()
    assert world.assess()
    assert world.assess() == []


def test_new_evidence_or_another_policy_is_evaluated_again(world, given):
    world.gates([Gate("metric_threshold", {"metric": "accuracy", "min": 0.95})])
    world.registered()
    world.artifact()
    assert not world.assess()[0].passed
    world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.97, independent=True, by="iris")})
    assert world.assess()[0].passed
    world.gates([Gate("metric_threshold", {"metric": "accuracy", "min": 0.99})])
    assert not world.assess()[0].passed


def test_a_tighter_policy_for_the_new_tier_takes_over_when_the_tier_changes(world):
    world.gates(GATES)
    world.publish(
        "high",
        Policy({"Validated": (Gate("independent_evaluation", {}),)}, Selector(tiers=("high",)), priority=1),
    )
    world.registered()
    world.artifact()
    assert world.assess()[0].passed
    world.note_model("ModelRegistered", {"model": "team.churn", "kind": "model", "tier": "medium"})
    world.note_model("TagsChanged", {"model": "team.churn", "tags": {}, "tier": "high"})
    [evaluated] = world.assess()
    assert (evaluated.policy.name, evaluated.passed) == ("high", False)


def test_a_worse_version_is_blocked_by_the_champion_with_the_figures(world, given):
    world.gates(GATES)
    world.note_model("RolloutChanged", {"environment": "production", "champion": given.champion(7, 0.95)})
    world.registered(0.9)
    world.artifact()
    [evaluated] = world.assess()
    assert not evaluated.passed
    assert "accuracy 0.9 on holdout is worse than 0.95 of the champion 7.0.0" in evaluated.results[2].detail


def test_later_evaluations_of_the_champion_count(world, given):
    world.gates(GATES)
    world.note_model("RolloutChanged", {"environment": "production", "champion": given.champion(7, 0.85)})
    world.registered(0.9)
    world.artifact()
    assert world.assess()[0].passed
    stranger = {"number": 3, "evaluation": given.accuracy(0.99)}
    assert world.note_model("EvaluationRecorded", stranger) == []
    assert world.note_model(
        "EvaluationRecorded", {"number": 7, "evaluation": given.accuracy(0.99, independent=True)}
    )
    assert not world.assess()[0].passed


def test_a_champion_of_another_environment_does_not_count_for_validation(world, given):
    world.gates(GATES)
    world.note_model("RolloutChanged", {"environment": "edge", "champion": given.champion(7, 0.99)})
    world.registered(0.9)
    world.artifact()
    assert world.assess()[0].passed


def test_once_validated_the_question_is_closed(world, given):
    world.gates(GATES)
    world.registered()
    world.artifact()
    world.assess()
    world.note("VersionValidated")
    world.note_model("RolloutChanged", {"environment": "production", "champion": given.champion(7, 0.99)})
    assert world.assess() == []


def test_without_any_policy_the_gates_deny_and_say_so(world):
    world.registered()
    world.artifact()
    [evaluated] = world.assess()
    assert not evaluated.passed
    assert "publish one" in evaluated.results[0].detail


def test_an_older_revision_than_the_one_noted_changes_nothing(world, given):
    world.note("VersionRegistered", given.version(), revision=5)
    assert world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.1)}, revision=4) == []
    assert world.note("VersionRegistered", given.version(1, 0.1), revision=5) == []
    assert [e.value for e in world.version.evaluations] == [0.9]


def test_a_request_that_overtook_earlier_events_leaves_them_to_be_noted(world, given):
    world.registered()
    world.note("PromotionRequested", REQUEST, revision=9)
    assert world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.1)}, revision=8)
    assert [e.value for e in world.version.evaluations] == [0.1]


def test_a_request_is_noted_once_whichever_way_it_came(world):
    world.registered()
    assert world.note("PromotionRequested", REQUEST, revision=9)
    assert world.note("PromotionRequested", REQUEST, revision=9) == []


def test_a_request_is_decided_although_the_word_that_the_version_is_validated_comes_later(world):
    world.gates([])
    world.registered()
    world.artifact()
    assert world.assess()[0].passed
    world.request()
    assert [e.promotion_id for e in world.assess() if isinstance(e, PromotionGranted)] == ["p"]


def test_a_request_does_not_revive_a_version_that_ended(world):
    world.registered()
    world.note("VersionRejected")
    world.request()
    assert world.version.version.stage == "Rejected"


def test_missing_metadata_is_what_registry_lists_as_missing(world):
    world.gates([Gate("metadata_complete", {})])
    world.registered(missing=["signature", "training.config"])
    world.artifact()
    [evaluated] = world.assess()
    assert evaluated.results[0].detail.startswith("missing: signature, training.config;")


def test_a_version_is_complete_when_registry_misses_nothing(world):
    world.gates([Gate("metadata_complete", {})])
    world.registered(training={}, signature=None)
    world.artifact()
    assert world.assess()[0].passed


def test_an_evaluation_by_a_maker_does_not_take_the_place_of_an_independent_one(world, given):
    world.gates([Gate("metric_threshold", {"metric": "accuracy", "min": 0.9})])
    world.registered(0.95, contributors=["dora"])
    world.artifact()
    world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.7, independent=True, by="iris")})
    for maker in ("carl", "Dora", "bea", "pipeline"):
        world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.99, independent=True, by=maker)})
    assert not world.assess()[0].passed
    world.note("EvaluationRecorded", {"evaluation": given.accuracy(0.92, independent=True, by="ivan")})
    assert world.assess()[0].passed


@pytest.mark.parametrize(
    ("ended", "stage"),
    [("VersionRecalled", "Withdrawn"), ("VersionRejected", "Rejected"), ("VersionRetired", "Retired")],
)
def test_a_version_that_ended_stays_ended_when_it_is_archived(world, ended, stage):
    world.registered()
    world.note("VersionPromoted")
    world.note(ended)
    world.note("VersionArchived")
    assert world.version.version.stage == stage


def test_a_reinstated_version_is_in_the_stage_that_registry_names(world):
    world.registered()
    world.note("VersionRecalled")
    world.note("VersionReinstated", {"stage": "Archived"})
    assert world.version.version.stage == "Archived"


def test_the_gates_of_a_reopened_version_are_assessed_again(world):
    world.gates(GATES)
    world.registered()
    world.artifact()
    assert world.assess()[0].passed
    world.note("VersionValidated")
    world.note("VersionArchived")
    assert world.assess() == []
    world.note("VersionReopened")
    assert world.assess()[0].passed


def test_a_recalled_version_may_still_be_retired(world):
    world.registered()
    world.note("VersionRecalled")
    world.note("VersionRetired")
    assert world.version.version.stage == "Retired"


def test_a_policy_that_came_up_meanwhile_sends_the_command_back(world):
    world.gates(GATES)
    world.registered()
    streams = world.streams()
    del streams.states["policy-default"]  # type: ignore[attr-defined]
    with pytest.raises(Misrouted):
        assess_gates(AssessGates("m", 1, world.now), streams)


def topics(given: Any) -> dict[str, list[Any]]:
    """Two topics and the policies, each in its own order."""
    return {
        "registry": [
            lambda w: w.note_model(
                "ModelRegistered", {"model": "team.churn", "kind": "model", "tier": "medium", "tags": {}}
            ),
            lambda w: w.registered(0.9),
            lambda w: w.note_model(
                "RolloutChanged", {"environment": "production", "champion": given.champion(7, 0.85)}
            ),
            lambda w: w.note(
                "EvaluationRecorded", {"evaluation": given.accuracy(0.91, independent=True, by="iris")}
            ),
            lambda w: w.note_model(
                "TagsChanged", {"model": "team.churn", "tags": {"eu": "yes"}, "tier": "high"}
            ),
        ],
        "artifact": [lambda w: w.artifact("ArtifactQuarantined"), lambda w: w.artifact("ArtifactReleased")],
        "policies": [
            lambda w: w.gates(GATES),
            lambda w: w.gates([*GATES, Gate("independent_evaluation", {})], description="stricter"),
        ],
    }


@settings(max_examples=100, deadline=None)
@examples(data=st.data())
def test_the_verdict_does_not_depend_on_the_order_of_the_topics(new_world, given, data):
    left = topics(given)
    world = new_world()
    while any(left.values()):
        name = data.draw(st.sampled_from([n for n, rest in left.items() if rest]))
        left[name].pop(0)(world)
        world.assess()
    straight = new_world()
    for rest in topics(given).values():
        for step in rest:
            step(straight)
    straight.assess()
    last, expected = world.of(GatesEvaluated)[-1], straight.of(GatesEvaluated)[-1]
    assert last.passed
    assert last.results == expected.results
    assert (last.evidence, last.evidence_digest, last.policy.digest) == (
        expected.evidence,
        expected.evidence_digest,
        expected.policy.digest,
    )


@settings(max_examples=50, deadline=None)
@examples(bytes_come=st.integers(0, 4), champion=st.sampled_from([None, 0.5, 0.99]))
def test_the_promotion_does_not_depend_on_when_the_bytes_are_verified(new_world, given, bytes_come, champion):
    published = given.champion(7, champion) if champion else None
    steps: list[Any] = [
        lambda w: w.registered(0.9),
        lambda w: w.note("VersionValidated"),
        lambda w: w.note_model("RolloutChanged", {"environment": "production", "champion": published}),
        lambda w: w.request(),
    ]
    steps.insert(bytes_come, lambda w: w.artifact())
    world = new_world()
    world.gates([], [Gate("no_regression", {}), Gate("manual", {"approvers": 1})])
    for step in steps:
        step(world)
        world.assess()
    assert world.review().status == ("" if champion == 0.99 else "open")
    assert world.version.promotions["p"].status == ("denied" if champion == 0.99 else "open")


@settings(max_examples=100, deadline=None)
@examples(data=st.data())
def test_messages_that_come_twice_or_late_change_nothing(new_world, given, data):
    once, often = new_world(), new_world()
    steps: list[tuple[str, dict[str, Any], str, int]] = [
        ("VersionRegistered", given.version(1, 0.9), "model-m", 1),
        ("ArtifactReleased", {"digest": "sha256:artifact1"}, "artifact-1", 1),
        ("EvaluationRecorded", {"evaluation": given.accuracy(0.91)}, "model-m", 2),
        ("ArtifactRecalled", {"digest": "sha256:artifact1"}, "artifact-1", 2),
        ("VersionRejected", {}, "model-m", 3),
    ]
    for n, (type_, fields, stream, revision) in enumerate(steps):
        once.note(type_, fields, stream=stream, revision=revision)
        often.note(type_, fields, stream=stream, revision=revision)
        type_, fields, stream, revision = steps[data.draw(st.integers(0, n))]  # noqa: PLW2901
        assert often.note(type_, fields, stream=stream, revision=revision) == []
    assert once.version == often.version
