from __future__ import annotations

from dataclasses import replace

import pytest

from services.registry.domain import noted
from services.registry.domain.alias import RemoveAlias, SetAlias
from services.registry.domain.description import DescribeModel
from services.registry.domain.metadata import Input
from services.registry.domain.model_events import Evaluation
from services.registry.domain.promotion import DenyPromotion
from services.registry.domain.registration import AddMetadata, RegisterVersion
from services.registry.domain.verdicts import NoteArtifact, PlaceLegalHold, RecallVersion, RecordEvaluation, RejectVersion, ReleaseLegalHold
from shared.decider import Forbidden, NotFound, RuleBroken, Stale, Unprocessable
from tests.unit.registry.given import MODEL_ID, SIGNATURE, Story, a_digest, a_note, metadata, names

EVALUATION = Evaluation("auc", 0.91, a_digest("test"), "test", independent=True, by="lab")


# Validation: gates and bytes, in whatever order they come


def test_a_version_is_validated_when_its_gates_pass_on_released_bytes():
    story = Story()
    story.registers()
    assert names(story.artifact(1)) == ["Noted"]
    assert names(story.gates(1)) == ["Noted", "VersionValidated"]


def test_gates_that_passed_wait_for_the_bytes():
    story = Story()
    story.registers()
    assert names(story.gates(1)) == ["Noted"]
    assert names(story.artifact(1)) == ["Noted", "VersionValidated"]


def test_failing_gates_leave_the_version_where_it_is():
    story = Story()
    story.registers()
    story.artifact(1)
    assert names(story.gates(1, passed=False)) == ["Noted"]
    assert story.version(1).stage == "Staging"
    assert names(story.gates(1)) == ["Noted", "VersionValidated"]


def test_older_news_than_what_is_noted_changes_nothing():
    story = Story()
    story.registers()
    story.artifact(1, revision=5)
    story.gates(1, passed=False, revision=5)
    assert story.gates(1, passed=True, revision=4) == []
    assert story.artifact(1, noted.ARTIFACT_MISMATCHED, revision=4) == []


def test_gates_of_production_validate_nothing():
    story = Story()
    story.registers()
    story.artifact(1)
    assert names(story.gates(1, stage="Production")) == ["Noted"]


def test_wrong_bytes_reject_the_version_with_the_reason():
    story = Story()
    story.registers()
    _, rejected = story.artifact(1, noted.ARTIFACT_MISMATCHED, detail="wrong size", found="sha256:ff")
    assert rejected.reasons == ("artifact: wrong size, found sha256:ff",)
    assert story.version(1).stage == "Rejected"


def test_news_about_other_bytes_than_registered_is_passed_over():
    story = Story()
    story.registers()
    assert story.artifact(1, digest=a_digest("something else")) == []


def test_bytes_of_a_refused_form_reject_the_version():
    story = Story()
    story.registers()
    assert names(story.quarantines(1, revision=2, generation=0)) == ["Noted", "VersionRejected"]


def test_deleted_bytes_are_noted_for_the_tombstone():
    story = Story()
    story.registers()
    data = {"digest": story.digest_of(1), "generation": 1, "versions": [{"model_id": MODEL_ID, "number": 1}]}
    assert names(story.when(NoteArtifact(MODEL_ID, a_note("artifact", "artifact-x", 5, noted.ARTIFACT_DELETED, data)))) == ["Noted"]


def test_damaged_bytes_hold_the_version_until_they_are_good_again():
    story = Story()
    story.registers()
    story.artifact(1, revision=1)
    story.quarantines(1, revision=2)
    assert names(story.gates(1)) == ["Noted"]
    assert names(story.artifact(1, revision=3)) == ["Noted", "VersionValidated"]


# Evaluations, rejection, recall, hold


def test_an_evaluation_is_recorded_once():
    story = Story()
    story.registers()
    assert names(story.when(RecordEvaluation(MODEL_ID, 1, EVALUATION))) == ["EvaluationRecorded"]
    assert story.when(RecordEvaluation(MODEL_ID, 1, EVALUATION)) == []
    assert names(story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, value=0.92)))) == ["EvaluationRecorded"]


def test_who_made_a_version_measures_it_not_independently():
    story = Story()
    story.registers()
    with pytest.raises(RuleBroken, match="not_independent"):
        story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, by="ci")))
    assert story.when(RecordEvaluation(MODEL_ID, 1, replace(EVALUATION, by="ci", independent=False)))


def test_an_unknown_version_has_no_evaluations():
    story = Story()
    story.registers()
    with pytest.raises(NotFound):
        story.when(RecordEvaluation(MODEL_ID, 7, EVALUATION))


def test_a_person_rejects_with_a_reason():
    story = Story()
    story.validates()
    (rejected,) = story.when(RejectVersion(MODEL_ID, 1, "biased"))
    assert rejected.reasons == ("biased",)
    assert story.when(RejectVersion(MODEL_ID, 1, "again")) == []
    with pytest.raises(RuleBroken, match="version_rejected"):
        story.requests(1, "p")


def test_what_is_in_production_is_recalled_not_rejected():
    story = Story()
    story.promotes()
    with pytest.raises(RuleBroken, match="not_rejectable"):
        story.when(RejectVersion(MODEL_ID, 1, "late"))
    (recalled,) = story.when(RecallVersion(MODEL_ID, 1))
    assert recalled.artifact_digest == a_digest(1)


def test_a_hold_is_placed_and_released_once():
    story = Story()
    story.registers()
    assert names(story.when(PlaceLegalHold(MODEL_ID, 1))) == ["LegalHoldPlaced"]
    assert story.when(PlaceLegalHold(MODEL_ID, 1)) == []
    assert names(story.when(ReleaseLegalHold(MODEL_ID, 1))) == ["LegalHoldReleased"]
    assert story.when(ReleaseLegalHold(MODEL_ID, 1)) == []


# Promotion


def test_a_request_names_its_evidence_by_digest_and_is_asked_once():
    story = Story()
    story.validates()
    (requested,) = story.requests(1, "p1")
    assert (requested.creator, requested.requester, requested.evidence["champion"]) == ("ci", "eva", None)
    assert requested.evidence["evaluations"][0]["name"] == "auc"
    assert story.requests(1, "p2") == []


def test_a_request_over_other_evidence_takes_the_place_of_the_open_one():
    story = Story()
    story.validates()
    story.requests(1, "p1")
    story.when(RecordEvaluation(MODEL_ID, 1, EVALUATION))
    refused, requested = story.requests(1, "p2")
    assert (refused.promotion_id, refused.reasons, requested.promotion_id) == ("p1", ("superseded by p2",), "p2")
    assert list(story.model.promotions) == ["p2"]


def test_an_open_request_stands_when_only_the_champion_is_another():
    story = Story()
    story.validates()
    story.requests(1, "p1")
    story.promotes(metadata(2))
    assert story.requests(1, "p3") == []


def test_only_what_is_validated_on_good_bytes_is_promoted():
    story = Story()
    story.registers()
    with pytest.raises(RuleBroken, match="not_validated"):
        story.requests(1, "p")
    story.validates(metadata(2))
    story.quarantines(2, revision=9)
    with pytest.raises(RuleBroken, match="artifact_not_good"):
        story.requests(2, "p")


def test_the_first_promoted_version_becomes_the_champion():
    story = Story()
    story.validates()
    story.requests(1, "p1")
    events = story.grants("p1", 1)
    assert names(events) == ["Noted", "VersionPromoted", "RolloutChanged"]
    assert events[1].approvers == ("ann", "bob")
    assert [(e.number, e.percent, e.role) for e in events[2].entries] == [(1, 100, "champion")]
    assert events[2].champion.evaluations[0].name == "auc"


def test_a_later_one_stays_outside_the_rollout():
    story = Story()
    story.promotes()
    story.validates(metadata(2))
    story.requests(2, "p2")
    assert names(story.grants("p2", 2)) == ["Noted", "VersionPromoted"]


@pytest.mark.parametrize(
    "change",
    [
        RecordEvaluation(MODEL_ID, 1, EVALUATION),
        DescribeModel(MODEL_ID, tags={"pii": "yes"}),
        DescribeModel(MODEL_ID, tier="high"),
        RecallVersion(MODEL_ID, 1),
        RejectVersion(MODEL_ID, 1, "no"),
    ],
)
def test_a_grant_over_evidence_that_changed_is_refused(change):
    story = Story()
    story.validates()
    story.requests(1, "p1")
    story.when(change)
    _note, refused = story.grants("p1", 1)
    assert type(refused).__name__ == "PromotionRefused"
    assert refused.reasons
    assert story.version(1).stage != "Production"


def test_a_new_champion_alone_voids_no_request():
    story = Story()
    story.validates()
    story.requests(1, "p1")
    story.promotes(metadata(2))
    assert names(story.grants("p1", 1)) == ["Noted", "VersionPromoted"]


@pytest.mark.parametrize("wrong", [{"digest": "sha256:other"}, {"environment": "elsewhere"}, {"number": 2}])
def test_a_grant_of_something_else_is_refused(wrong):
    story = Story()
    story.validates()
    story.validates(metadata(2))
    story.requests(1, "p1")
    assert names(story.grants("p1", **{"number": 1, **wrong})) == ["Noted", "PromotionRefused"]
    assert "Production" not in {v.stage for v in story.model.versions.values()}


def test_a_second_grant_of_the_same_request_changes_nothing():
    story = Story()
    story.promotes()
    assert story.grants("p1", 1) == []


def test_a_grant_nobody_asked_for_is_refused():
    story = Story()
    story.validates()
    assert names(story.grants("never", 1)) == ["Noted", "PromotionRefused"]


def test_a_denial_closes_the_request_with_its_reasons():
    story = Story()
    story.validates()
    story.requests(1, "p1")
    data = {"promotion_id": "p1", "model_id": MODEL_ID, "number": 1, "reasons": ["no"]}
    deny = DenyPromotion(MODEL_ID, a_note("approval", "review-p1", 2, noted.PROMOTION_DENIED, data))
    events = story.when(deny)
    assert (names(events), events[1].reasons) == (["Noted", "PromotionRefused"], ("no",))
    assert story.when(deny) == []
    assert names(story.requests(1, "p2")) == ["PromotionRequested"]


def test_promotion_to_one_environment_is_none_to_another():
    story = Story()
    story.promotes(environment="lab")
    assert names(story.requests(1, "p9")) == ["PromotionRequested"]
    assert story.requests(1, "p8", "lab") == []


# Names, description, aliases


def test_a_rename_claims_the_new_name_and_keeps_the_old_one():
    story = Story()
    story.registers()
    assert names(story.when(DescribeModel(MODEL_ID, model="team.leave"))) == ["NameClaimed", "ModelRenamed"]
    assert story.state("name-team.churn").model_id == story.state("name-team.leave").model_id == MODEL_ID
    assert names(story.when(DescribeModel(MODEL_ID, model="team.churn"))) == ["ModelRenamed"]


def test_a_taken_name_and_another_namespace_are_refused():
    story = Story()
    story.registers()
    story.when(RegisterVersion("00000000-0000-5000-8000-000000000002", "team.other", metadata(), new_model=True))
    with pytest.raises(RuleBroken, match="name_taken"):
        story.when(DescribeModel(MODEL_ID, model="team.other"))
    with pytest.raises(RuleBroken, match="namespace_changes"):
        story.when(DescribeModel(MODEL_ID, model="elsewhere.churn"))


def test_each_kind_of_description_is_an_event_and_the_same_again_none():
    story = Story()
    story.registers()
    asked = DescribeModel(MODEL_ID, owner="risk", description="who leaves", tags={"a": "1"}, tier="high")
    assert names(story.when(asked)) == ["OwnerChanged", "TagsChanged"]
    assert story.when(asked) == []


def test_only_an_admin_lowers_the_tier():
    story = Story()
    story.registers(tier="high")
    with pytest.raises(Forbidden):
        story.when(DescribeModel(MODEL_ID, tier="low"))
    assert names(story.when(DescribeModel(MODEL_ID, tier="low", as_admin=True))) == ["TagsChanged"]


def test_a_stale_description_is_refused():
    story = Story()
    story.registers()
    seen = story.model.described
    story.when(DescribeModel(MODEL_ID, owner="risk", expected=seen))
    with pytest.raises(Stale):
        story.when(DescribeModel(MODEL_ID, owner="fraud", expected=seen))


def test_an_alias_moves_and_goes():
    story = Story()
    story.registers()
    story.registers(metadata(2))
    story.when(SetAlias(MODEL_ID, "candidate", 1))
    (moved,) = story.when(SetAlias(MODEL_ID, "candidate", 2))
    assert (moved.number, moved.previous) == (2, 1)
    assert story.when(SetAlias(MODEL_ID, "candidate", 2)) == []
    assert names(story.when(RemoveAlias(MODEL_ID, "candidate"))) == ["AliasRemoved"]
    with pytest.raises(NotFound):
        story.when(RemoveAlias(MODEL_ID, "candidate"))


def test_a_protected_alias_is_the_admins():
    story = Story()
    story.registers()
    with pytest.raises(Forbidden):
        story.when(SetAlias(MODEL_ID, "audited", 1, protected=True))
    story.when(SetAlias(MODEL_ID, "audited", 1, protected=True, as_admin=True))
    story.registers(metadata(2))
    for asked in (SetAlias(MODEL_ID, "audited", 2), SetAlias(MODEL_ID, "audited", 1, protected=False), RemoveAlias(MODEL_ID, "audited")):
        with pytest.raises(Forbidden):
            story.when(asked)


def test_an_alias_is_no_environment_and_no_nonsense():
    story = Story()
    story.promotes(environment="lab")
    for name in ("production", "lab"):
        with pytest.raises(RuleBroken, match="alias_is_environment"):
            story.when(SetAlias(MODEL_ID, name, 1))
    with pytest.raises(Unprocessable):
        story.when(SetAlias(MODEL_ID, "a b", 1))
    story.when(SetAlias(MODEL_ID, "canary", 1))
    with pytest.raises(RuleBroken, match="name_is_alias"):
        story.requests(1, "p9", "canary")


def test_a_draft_takes_no_alias():
    story = Story()
    story.registers(replace(metadata(), signature=None), draft=True)
    with pytest.raises(RuleBroken, match="version_draft"):
        story.when(SetAlias(MODEL_ID, "candidate", 1))
    story.when(AddMetadata(MODEL_ID, 1, replace(metadata(), signature=replace(SIGNATURE, inputs=(Input("x", "int"),)))))
    assert names(story.when(SetAlias(MODEL_ID, "candidate", 1))) == ["AliasSet"]
