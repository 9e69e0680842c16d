"""A recall that was a mistake is reversed by a second person; what is withdrawn shows as what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from services.registry.domain.withdrawal.reversal import ReinstateVersion, ReopenVersion
from services.registry.stored_events import EVENTS
from shared.deciding.decider import Forbidden, RuleBroken
from shared.deciding.events import Actor, Envelope, encode
from tests.unit.registry.given import MODEL_ID, STREAM, Story, metadata, names
from tests.unit.registry.serving import champion, change, retire, roll_back, served_in_turn, two_promoted


def test_a_second_person_reinstates_what_was_recalled_and_it_may_serve_again():
    story = served_in_turn()
    story.when(RecallVersion(MODEL_ID, 1, by="eva"))
    with pytest.raises(Forbidden, match=r"own_withdrawal.*second person"):
        story.when(ReinstateVersion(MODEL_ID, 1, "eva"))
    (reinstated,) = story.when(ReinstateVersion(MODEL_ID, 1, "ann"))
    assert (reinstated.stage, reinstated.recalled_by) == ("Archived", "eva")
    assert reinstated.artifact_digest == story.digest_of(1)
    assert story.when(roll_back())[0].to_number == 1


def test_what_is_not_recalled_is_left_as_it_is():
    story = two_promoted()
    assert story.when(ReinstateVersion(MODEL_ID, 1, "ann")) == []
    assert story.when(ReopenVersion(MODEL_ID, 1)) == []


def test_a_second_recall_needs_another_person_than_its_own():
    story = two_promoted()
    for recaller, other in (("eva", "ann"), ("ann", "eva")):
        story.when(RecallVersion(MODEL_ID, 1, by=recaller))
        with pytest.raises(Forbidden):
            story.when(ReinstateVersion(MODEL_ID, 1, recaller))
        story.when(ReinstateVersion(MODEL_ID, 1, other))


def test_a_promoted_version_that_was_recalled_by_mistake_is_promoted_again():
    story = two_promoted()
    story.when(RecallVersion(MODEL_ID, 2, by="eva"))
    story.when(ReinstateVersion(MODEL_ID, 2, "ann"))
    story.request_promotion(2, "again")
    story.grant_promotion("again", 2)
    assert names(story.when(change(champion(2)))) == ["RolloutChanged", "VersionArchived"]


def test_a_retired_version_is_neither_reinstated_nor_reopened():
    story = served_in_turn()
    story.when(RecallVersion(MODEL_ID, 1, by="eva"))
    story.when(retire(1))
    with pytest.raises(RuleBroken, match="version_retired"):
        story.when(ReinstateVersion(MODEL_ID, 1, "ann"))
    with pytest.raises(RuleBroken, match="version_retired"):
        story.when(ReopenVersion(MODEL_ID, 1))


@pytest.mark.parametrize("withdrawn", ["recalled", "retired"])
def test_a_draft_or_rejected_version_keeps_its_stage_when_it_is_withdrawn(withdrawn):
    story = Story()
    story.register(metadata(1, dataset=None), draft=True)
    story.register(metadata(2))
    story.when(RejectVersion(MODEL_ID, 2, "no"))
    for number in (1, 2):
        story.when(RecallVersion(MODEL_ID, number) if withdrawn == "recalled" else retire(number))
        assert getattr(story.version(number), withdrawn)
    assert [story.version(n).stage for n in (1, 2)] == ["Draft", "Rejected"]


# Where the policy that validated a version wants a second person for its recall


def of_a_strict_policy() -> Story:
    story = Story()
    story.register()
    story.note_artifact(1)
    story.note_gates(1, policy={"two_to_recall": True})
    return story


def test_a_second_person_confirms_a_recall_where_the_policy_wants_it():
    story = of_a_strict_policy()
    (proposed,) = story.when(RecallVersion(MODEL_ID, 1, by="eva", withdrawal_id="w1"))
    assert (type(proposed).__name__, proposed.by, proposed.withdrawal_id) == ("RecallProposed", "eva", "w1")
    assert not story.version(1).recalled
    assert story.when(RecallVersion(MODEL_ID, 1, by="eva")) == []
    (recalled,) = story.when(RecallVersion(MODEL_ID, 1, by="ann", withdrawal_id="w2"))
    assert (type(recalled).__name__, recalled.by, recalled.withdrawal_id) == ("VersionRecalled", "ann", "w2")


def test_only_a_person_confirms_a_recall():
    story = of_a_strict_policy()
    story.when(RecallVersion(MODEL_ID, 1, by="eva"))
    with pytest.raises(Forbidden, match="person_needed"):
        story.when(RecallVersion(MODEL_ID, 1, by="ci", person=False))


def test_a_machine_may_propose_a_recall():
    story = of_a_strict_policy()
    assert names(story.when(RecallVersion(MODEL_ID, 1, by="scanner", person=False))) == ["RecallProposed"]
    assert names(story.when(RecallVersion(MODEL_ID, 1, by="eva"))) == ["VersionRecalled"]


@pytest.mark.parametrize("party", ["eva", "ann"])
def test_neither_who_proposed_nor_who_confirmed_undoes_a_recall(party):
    story = of_a_strict_policy()
    story.when(RecallVersion(MODEL_ID, 1, by="eva"))
    story.when(RecallVersion(MODEL_ID, 1, by="ann"))
    with pytest.raises(Forbidden, match="own_withdrawal"):
        story.when(ReinstateVersion(MODEL_ID, 1, party))
    story.when(ReinstateVersion(MODEL_ID, 1, "bob"))
    assert names(story.when(RecallVersion(MODEL_ID, 1, by="ann"))) == ["RecallProposed"]


def test_a_second_identity_of_who_proposed_a_recall_does_not_confirm_it():
    story = of_a_strict_policy()
    story.when(RecallVersion(MODEL_ID, 1, by="eva"))
    assert story.when(RecallVersion(MODEL_ID, 1, by="eva-2", others=frozenset({"eva"}))) == []
    assert not story.version(1).recalled


@pytest.mark.parametrize("party", ["eva", "ann"])
def test_a_second_identity_of_who_proposed_or_confirmed_undoes_no_recall(party):
    story = of_a_strict_policy()
    story.when(RecallVersion(MODEL_ID, 1, by="eva"))
    story.when(RecallVersion(MODEL_ID, 1, by="ann"))
    with pytest.raises(Forbidden, match=f"own_withdrawal: You count as one person with {party}"):
        story.when(ReinstateVersion(MODEL_ID, 1, "u-2", others=frozenset({party})))
    assert names(story.when(ReinstateVersion(MODEL_ID, 1, "u-2", others=frozenset({"bob"})))) == [
        "VersionReinstated"
    ]


def test_who_recalled_a_version_before_the_event_named_them_does_not_undo_it():
    """The first form of VersionRecalled has the subject in its envelope only."""
    story = Story()
    story.register()
    data = {"model": "team.churn", "number": 1, "semver": "1.0.0", "artifact_digest": "sha256:a"}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    stored = Envelope(
        UUID(int=1), "VersionRecalled", 1, STREAM, 9, at, Actor("eva"), msgspec.Raw(encode(data))
    )
    story.append(EVENTS.recorded("registry", encode(stored)).event)
    with pytest.raises(Forbidden, match="own_withdrawal"):
        story.when(ReinstateVersion(MODEL_ID, 1, "eva"))
    assert names(story.when(ReinstateVersion(MODEL_ID, 1, "bob"))) == ["VersionReinstated"]
