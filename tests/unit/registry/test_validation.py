from __future__ import annotations

from dataclasses import replace

import pytest

from services.registry.domain import noted
from services.registry.domain.model.events import Evaluation
from services.registry.domain.model.metadata import Parent
from services.registry.domain.serving.alias import SetAlias
from services.registry.domain.validation.evaluations import RecordEvaluation
from services.registry.domain.validation.gate_verdicts import NoteArtifact
from services.registry.domain.withdrawal.legal_hold import PlaceLegalHold, ReleaseLegalHold
from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from shared.deciding.decider import NotFound, RuleBroken, Stale
from tests.unit.registry.given import MODEL_ID, Story, a_digest, a_note, metadata, names
from tests.unit.registry.serving import challenger, champion, change

EVALUATION = Evaluation("auc", 0.91, a_digest("test"), "test", independent=True, by="lab")


# Validation: gates and bytes, in whatever order they come


def test_a_version_is_validated_when_its_gates_pass_on_released_bytes():
    story = Story()
    story.register()
    assert names(story.note_artifact(1)) == ["Noted"]
    assert names(story.note_gates(1)) == ["Noted", "VersionValidated"]


def test_gates_that_passed_wait_for_the_bytes():
    story = Story()
    story.register()
    assert names(story.note_gates(1)) == ["Noted"]
    assert names(story.note_artifact(1)) == ["Noted", "VersionValidated"]


def test_failing_gates_leave_the_version_where_it_is():
    story = Story()
    story.register()
    story.note_artifact(1)
    assert names(story.note_gates(1, passed=False)) == ["Noted"]
    assert story.version(1).stage == "Staging"
    assert names(story.note_gates(1)) == ["Noted", "VersionValidated"]


def test_older_news_than_what_is_noted_changes_nothing():
    story = Story()
    story.register()
    story.note_artifact(1, revision=5)
    story.note_gates(1, passed=False, revision=5)
    assert story.note_gates(1, passed=True, revision=4) == []
    assert story.note_artifact(1, noted.ARTIFACT_MISMATCHED, revision=4) == []


def test_gates_of_production_validate_nothing_and_leave_no_note():
    story = Story()
    story.register()
    story.note_artifact(1)
    assert names(story.note_gates(1, stage="Production")) == []


def test_wrong_bytes_reject_the_version_with_the_reason():
    story = Story()
    story.register()
    _, rejected = story.note_artifact(1, noted.ARTIFACT_MISMATCHED, detail="wrong size.", found="sha256:ff")
    assert rejected.reasons == ("artifact: wrong size; all files together hash to sha256:ff",)
    assert story.version(1).stage == "Rejected"


def test_a_report_about_other_bytes_than_registered_changes_nothing():
    story = Story()
    story.register()
    assert story.note_artifact(1, digest=a_digest("something else")) == []


def test_bytes_of_a_refused_form_reject_the_version():
    story = Story()
    story.register()
    assert names(story.quarantine(1, revision=2, generation=0)) == ["Noted", "VersionRejected"]


def test_deleted_bytes_are_noted_for_the_tombstone():
    story = Story()
    story.register()
    data = {"digest": story.digest_of(1), "generation": 1, "versions": [{"model_id": MODEL_ID, "number": 1}]}
    assert names(
        story.when(NoteArtifact(MODEL_ID, a_note("artifact", "artifact-x", 5, noted.ARTIFACT_DELETED, data)))
    ) == ["Noted"]


def test_damaged_bytes_hold_the_version_until_they_are_good_again():
    story = Story()
    story.register()
    story.note_artifact(1, revision=1)
    story.quarantine(1, revision=2)
    assert names(story.note_gates(1)) == ["Noted"]
    assert names(story.note_artifact(1, revision=3)) == ["Noted", "VersionValidated"]


# Evaluations, rejection, recall, hold


def test_an_evaluation_is_recorded_once():
    story = Story()
    story.register()
    assert names(story.when(RecordEvaluation(MODEL_ID, 1, EVALUATION))) == ["EvaluationRecorded"]
    assert story.when(RecordEvaluation(MODEL_ID, 1, EVALUATION)) == []
    assert names(story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, value=0.92)))) == [
        "EvaluationRecorded"
    ]


def test_who_made_a_version_measures_it_not_independently():
    story = Story()
    story.register()
    with pytest.raises(RuleBroken, match="not_independent"):
        story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, by="ci")))
    assert story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, by="ci", independent=False)))


def test_an_unknown_version_has_no_evaluations():
    story = Story()
    story.register()
    with pytest.raises(NotFound):
        story.when(RecordEvaluation(MODEL_ID, 7, EVALUATION))


def test_a_person_rejects_with_a_reason():
    story = Story()
    story.validate()
    (rejected,) = story.when(RejectVersion(MODEL_ID, 1, "biased"))
    assert rejected.reasons == ("biased",)
    assert story.when(RejectVersion(MODEL_ID, 1, "again")) == []
    with pytest.raises(RuleBroken, match="version_rejected"):
        story.request_promotion(1, "p")


def test_what_is_in_production_is_recalled_not_rejected():
    story = Story()
    story.promote()
    with pytest.raises(RuleBroken, match="not_rejectable"):
        story.when(RejectVersion(MODEL_ID, 1, "late"))
    (recalled,) = story.when(RecallVersion(MODEL_ID, 1))
    assert recalled.artifact_digest == a_digest(1)


def test_a_hold_is_placed_and_released_once():
    story = Story()
    story.register()
    assert names(story.when(PlaceLegalHold(MODEL_ID, 1))) == ["LegalHoldPlaced"]
    assert story.when(PlaceLegalHold(MODEL_ID, 1)) == []
    assert names(story.when(ReleaseLegalHold(MODEL_ID, 1))) == ["LegalHoldReleased"]
    assert story.when(ReleaseLegalHold(MODEL_ID, 1)) == []


def in_a_rollout(story: Story) -> None:
    story.when(change(champion(1, 95), challenger(2, 5)))


def held(story: Story) -> None:
    story.when(PlaceLegalHold(MODEL_ID, 2))


def aliased(story: Story) -> None:
    story.when(SetAlias(MODEL_ID, "candidate", 2))


def a_parent(story: Story) -> None:
    story.register(replace(metadata(3), parents=(Parent("team.churn", 2, "base_model", MODEL_ID),)))


@pytest.mark.parametrize(
    ("happened", "reason"),
    [
        (in_a_rollout, "rollout of production"),
        (held, "legal hold"),
        (aliased, "alias candidate"),
        (a_parent, "made from it"),
    ],
)
def test_a_version_that_something_needs_is_not_rejected(happened, reason):
    story = Story()
    story.promote()
    story.validate(metadata(2))
    happened(story)
    with pytest.raises(RuleBroken, match="version_protected") as broken:
        story.when(RejectVersion(MODEL_ID, 2, "no"))
    assert reason in broken.value.facts["protections"][0]


def test_a_rejection_ends_the_open_promotions():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    refused, rejected = story.when(RejectVersion(MODEL_ID, 1, "biased"))
    assert (refused.promotion_id, refused.reasons, rejected.reasons) == (
        "p1",
        ("the version is rejected: biased",),
        ("biased",),
    )
    assert not story.model.promotions


@pytest.mark.parametrize("command", [RecallVersion, PlaceLegalHold, ReleaseLegalHold])
def test_a_decision_about_a_version_that_changed_is_stale(command):
    story = Story()
    story.register()
    seen = story.version(1).revision
    story.note_artifact(1)
    with pytest.raises(Stale):
        story.when(command(MODEL_ID, 1, seen))
    with pytest.raises(Stale):
        story.when(RejectVersion(MODEL_ID, 1, "no", seen))
    with pytest.raises(Stale):
        story.when(RecordEvaluation(MODEL_ID, 1, EVALUATION, seen))


def test_a_figure_corrected_back_is_recorded_again():
    story = Story()
    story.register()
    for value in (0.9, 0.5, 0.9):
        assert names(story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, value=value)))) == [
            "EvaluationRecorded"
        ]
    assert story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, value=0.9))) == []
    assert story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, value=0.9, by="other lab")))


def test_a_version_takes_two_hundred_evaluations():
    story = Story()
    story.register()
    for n in range(200):
        story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, name=f"m{n}")))
    with pytest.raises(RuleBroken, match="too_many_evaluations"):
        story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, name="one more")))


def test_what_was_recalled_is_never_validated():
    story = Story()
    story.register()
    story.when(RecallVersion(MODEL_ID, 1))
    story.note_artifact(1)
    assert names(story.note_gates(1)) == ["Noted"]
    assert story.version(1).stage == "Staging"
