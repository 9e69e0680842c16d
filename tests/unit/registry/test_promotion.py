from __future__ import annotations

from dataclasses import replace

import pytest

from services.registry.domain import noted
from services.registry.domain.model.events import Evaluation
from services.registry.domain.naming.description import DescribeModel
from services.registry.domain.promotion.promotion import (
    DenyPromotion,
    GrantPromotion,
    RequestPromotion,
)
from services.registry.domain.promotion.refusal import RefusePromotion
from services.registry.domain.validation.evaluations import RecordEvaluation
from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from shared.deciding.decider import RuleBroken, Stale
from shared.deciding.events import Noted
from tests.unit.registry.given import MODEL_ID, SIGNATURE, Story, a_digest, a_note, metadata, names

EVALUATION = Evaluation("auc", 0.91, a_digest("test"), "test", independent=True, by="lab")


def test_the_evidence_of_a_request_keeps_its_digest_from_release_to_release():
    """Open requests would end at an upgrade. Leave a new field out while it has its default (ADR 0186)."""
    story = Story()
    story.validate(metadata())
    requested = next(e for e in story.request_promotion(1, "p") if type(e).__name__ == "PromotionRequested")
    assert requested.digest == "sha256:13f4d1b2036a0a5f604fd890144e5fb8b8c0a3012f197b325b16ce7b03d87981"


def test_a_request_names_its_evidence_by_digest_and_is_asked_once():
    story = Story()
    story.validate()
    (requested,) = story.request_promotion(1, "p1")
    assert (requested.creator, requested.requester, requested.evidence["champion"]) == ("ci", "eva", None)
    assert requested.evidence["evaluations"][0]["name"] == "auc"
    assert story.request_promotion(1, "p2") == []


def test_a_request_over_other_evidence_takes_the_place_of_the_open_one():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    story.when(RecordEvaluation(MODEL_ID, 1, EVALUATION))
    refused, requested = story.request_promotion(1, "p2")
    assert (refused.promotion_id, refused.reasons, requested.promotion_id) == (
        "p1",
        ("superseded by p2",),
        "p2",
    )
    assert list(story.model.promotions) == ["p2"]


def test_an_open_request_stands_when_only_the_champion_is_another():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    story.promote(metadata(2))
    assert story.request_promotion(1, "p3") == []


def test_only_what_is_validated_on_good_bytes_is_promoted():
    story = Story()
    story.register()
    with pytest.raises(RuleBroken, match="not_validated"):
        story.request_promotion(1, "p")
    story.validate(metadata(2))
    story.quarantine(2, revision=9)
    with pytest.raises(RuleBroken, match="artifact_not_good"):
        story.request_promotion(2, "p")


def test_the_first_promoted_version_becomes_the_champion_when_the_request_has_serve():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    refused, requested = story.request_promotion(1, "p2", serve=True)
    assert (refused.promotion_id, requested.serve) == ("p1", True)
    events = story.grant_promotion("p2", 1)
    assert names(events) == ["Noted", "VersionPromoted", "RolloutChanged"]
    assert events[1].approvers == ("ann", "bob")
    assert [(e.number, e.percent, e.role) for e in events[2].entries] == [(1, 100, "champion")]
    assert events[2].champion.evaluations[0].name == "auc"


def test_a_later_one_stays_outside_the_rollout():
    story = Story()
    story.promote()
    story.validate(metadata(2))
    story.request_promotion(2, "p2")
    assert names(story.grant_promotion("p2", 2)) == ["Noted", "VersionPromoted"]


CHANGED = "metadata, evaluations, artifact, tier or tags have changed"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (RecordEvaluation(MODEL_ID, 1, EVALUATION), CHANGED),
        (DescribeModel(MODEL_ID, tags={"pii": "yes"}), CHANGED),
        (DescribeModel(MODEL_ID, tier="high"), CHANGED),
        (RecallVersion(MODEL_ID, 1), "the version is withdrawn"),
        (RejectVersion(MODEL_ID, 1, "no"), "no such promotion is open"),
    ],
)
def test_a_grant_over_what_changed_is_refused(change, reason):
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    story.when(change)
    _note, refused = story.grant_promotion("p1", 1)
    assert type(refused).__name__ == "PromotionRefused"
    assert [why for why in refused.reasons if why.startswith(reason)] == list(refused.reasons)
    assert story.version(1).stage != "Production"


def test_a_new_champion_alone_voids_no_request():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    story.promote(metadata(2))
    assert names(story.grant_promotion("p1", 1)) == ["Noted", "VersionPromoted"]


@pytest.mark.parametrize("wrong", [{"digest": "sha256:other"}, {"environment": "elsewhere"}, {"number": 2}])
def test_a_grant_of_something_else_is_refused(wrong):
    story = Story()
    story.validate()
    story.validate(metadata(2))
    story.request_promotion(1, "p1")
    assert names(story.grant_promotion("p1", **{"number": 1, **wrong})) == ["Noted", "PromotionRefused"]
    assert "Production" not in {v.stage for v in story.model.versions.values()}


def test_a_second_grant_of_the_same_request_changes_nothing():
    story = Story()
    story.promote()
    assert story.grant_promotion("p1", 1) == []


def test_a_grant_without_a_request_is_refused():
    story = Story()
    story.validate()
    assert names(story.grant_promotion("never", 1)) == ["Noted", "PromotionRefused"]


def test_a_denial_closes_the_request_with_its_reasons():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    data = {"promotion_id": "p1", "model_id": MODEL_ID, "number": 1, "reasons": ["no"]}
    deny = DenyPromotion(MODEL_ID, a_note("approval", "review-p1", 2, noted.PROMOTION_DENIED, data))
    events = story.when(deny)
    assert (names(events), events[1].reasons) == (["Noted", "PromotionRefused"], ("no",))
    assert story.when(deny) == []
    assert names(story.request_promotion(1, "p2")) == ["PromotionRequested"]


def test_promotion_to_one_environment_is_none_to_another():
    story = Story()
    story.promote(environment="lab")
    assert names(story.request_promotion(1, "p9")) == ["PromotionRequested"]
    assert story.request_promotion(1, "p8", "lab") == []


def test_a_grant_over_bytes_that_are_no_longer_good_is_refused():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    story.quarantine(1, revision=9)
    _note, refused = story.grant_promotion("p1", 1)
    assert [why.split(":")[0] for why in refused.reasons] == ["the artifact is not noted as good"]
    assert story.version(1).stage == "Validated"


@pytest.mark.parametrize(
    "document",
    [
        metadata(2),
        metadata(config={"depth": 4}),
        metadata(seed=7),
        replace(metadata(), signature=replace(SIGNATURE, inputs=())),
    ],
    ids=["artifact", "config", "seed", "signature"],
)
def test_the_digest_covers_artifact_training_and_signature(document):
    digests = []
    for changed in (metadata(), document):
        story = Story()
        story.validate(changed)
        digests.append(story.request_promotion(1, "p1")[0].digest)
    assert digests[0] != digests[1]


def test_a_request_about_a_version_that_changed_is_stale():
    story = Story()
    story.validate()
    with pytest.raises(Stale):
        story.when(RequestPromotion(MODEL_ID, 1, "production", "p1", "eva", story.version(1).revision - 1))


RECALLED = ("was made from team.base 1, which is withdrawn",)


def test_recalled_ancestors_are_part_of_the_evidence():
    story = Story()
    story.validate()
    (sound,) = story.request_promotion(1, "p1")
    assert "recalled_ancestors" not in sound.evidence
    refused, unsound = story.request_promotion(1, "p2", recalled_ancestors=RECALLED)
    assert (refused.promotion_id, unsound.evidence["recalled_ancestors"]) == ("p1", list(RECALLED))
    assert story.request_promotion(1, "p3", recalled_ancestors=RECALLED) == []


def test_a_grant_after_an_ancestor_was_recalled_is_refused_with_the_ancestor():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    note = a_grant_of(story, "p1")
    _, refused = story.when(GrantPromotion(MODEL_ID, note, RECALLED))
    assert refused.reasons == (f"since the request: the version {RECALLED[0]}: request it again",)


@pytest.mark.parametrize("now", [RECALLED, (), None])
def test_a_grant_stands_when_no_further_ancestor_was_recalled(now):
    story = Story()
    story.validate()
    story.request_promotion(1, "p1", recalled_ancestors=RECALLED)
    events = story.when(GrantPromotion(MODEL_ID, a_grant_of(story, "p1"), now))
    assert "VersionPromoted" in names(events)


def test_an_open_promotion_is_refused_once():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    (refused,) = story.when(RefusePromotion(MODEL_ID, "p1", RECALLED))
    assert (refused.promotion_id, refused.reasons) == ("p1", RECALLED)
    assert story.when(RefusePromotion(MODEL_ID, "p1", RECALLED)) == []


def a_grant_of(story: Story, promotion_id: str) -> Noted:
    data = {
        "promotion_id": promotion_id,
        "model_id": MODEL_ID,
        "number": 1,
        "environment": "production",
        "digest": story.model.promotions[promotion_id].digest,
        "approvers": ["ann", "bob"],
    }
    return a_note("approval", f"review-{promotion_id}", 3, noted.PROMOTION_GRANTED, data)
