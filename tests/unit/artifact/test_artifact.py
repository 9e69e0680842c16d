"""Who may use an artifact's bytes, and when they may go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from regista.wire.digests import FileEntry
from services.artifact.domain import noted
from services.artifact.domain.artifact import decide
from services.artifact.domain.artifact_commands import (
    RecordDamaged,
    RecordDeleted,
    RecordDiscarded,
    RecordIntact,
    RecordMismatched,
    RecordTagged,
    RequestCheck,
)
from services.artifact.domain.artifact_events import (
    ArtifactDeleted,
    ArtifactExpired,
    ArtifactMismatched,
    ArtifactQuarantined,
    ArtifactReceived,
    ArtifactReleased,
    ArtifactVerified,
    CheckAsked,
    CopyDiscarded,
    CopyLeft,
    ExpiryTagged,
    VersionRef,
)
from services.artifact.domain.artifact_state import evolve, phase
from services.artifact.domain.manifest import Limits
from services.artifact.domain.possession import UNPROVEN, Proof
from shared.deciding.decider import RuleBroken
from tests.unit.artifact.commands import (
    DAY,
    DIGEST,
    FILES,
    NOW,
    names,
    promotion,
    recalled,
    registered,
    reinstated,
    rejected,
    retired,
    rollout,
    state_after,
    verified,
)


def state_name(state):
    return phase(state.generation, state.verified, state.quarantined, state.expired, state.deleted)


def mismatched(number=1, generation=1):
    return RecordMismatched("m1", number, generation, DIGEST, "model.onnx has other bytes")


def test_a_registered_version_waits_for_its_bytes():
    _noted, received = decide(registered(), state_after())
    assert isinstance(received, ArtifactReceived)
    assert (received.generation, received.model_id, received.number, received.size) == (1, "m1", 1, 7)
    assert state_name(state_after(registered())) == "Received"


def test_verified_bytes_are_released_to_every_waiting_version():
    state = state_after(registered(1), registered(2))
    events = decide(verified(2, generation=2), state)
    assert names(events) == ["ArtifactVerified", "ArtifactReleased", "ArtifactReleased"]
    assert {(e.number, e.generation) for e in events if isinstance(e, ArtifactReleased)} == {(1, 2), (2, 2)}


def test_a_new_reference_to_verified_bytes_is_released_immediately_from_any_location():
    events = decide(registered(2), state_after(registered(1), verified(1)))
    assert names(events) == ["Noted", "ArtifactReleased"]
    assert events[1].uri == "s3://regista/verified/x/g1"


def test_verified_bytes_are_not_released_to_a_claim_without_proof():
    events = decide(registered(2, proof=Proof()), state_after(registered(1), verified(1)))
    assert names(events) == ["Noted", "ArtifactMismatched"]
    assert (events[1].found, events[1].detail) == ("", UNPROVEN)
    assert decide(registered(2, proof=Proof()), state_after())[1] == events[1]


def test_a_claim_whose_own_location_is_not_read_yet_waits_for_it():
    waits = registered(2, proof=Proof(own=True))
    assert names(decide(waits, state_after(registered(1), verified(1)))) == ["Noted", "ArtifactReceived"]
    assert names(decide(verified(1), state_after(registered(1), waits))) == [
        "ArtifactVerified",
        "ArtifactReleased",
    ]
    state = state_after(registered(1), waits, verified(1))
    events = decide(verified(2, 2), state)
    assert names(events) == ["CopyLeft", "ArtifactReleased"]
    assert (events[1].number, events[1].generation) == (2, 1)


def test_bytes_that_a_maker_may_read_need_no_location():
    events = decide(registered(2, proof=Proof(reads=True)), state_after(registered(1), verified(1)))
    assert names(events) == ["Noted", "ArtifactReleased"]


def test_a_version_registered_before_proofs_were_stored_waits_for_its_own_bytes():
    """The stored event of that time has no `proven`."""
    _, received = decide(registered(1), state_after())
    state = evolve(state_after(), replace(received, proven=False))
    assert names(decide(verified(1), state)) == ["ArtifactVerified", "ArtifactReleased"]


def test_a_recall_names_the_other_versions_of_the_bytes():
    state = state_after(registered(1), registered(2), registered(3), retired(3), verified(1))
    (_, recall) = decide(recalled(1), state)
    assert recall.others == (VersionRef("m1", 2),)
    assert decide(recalled(2), state_after(registered(1), registered(2), recalled(1)))[1].others == ()


def test_a_forged_claim_ends_only_itself():
    state = state_after(registered(1), registered(2), mismatched(1, 1))
    assert state.references["m1@1"].status == "mismatched"
    assert names(decide(verified(2, 2), state)) == ["ArtifactVerified", "ArtifactReleased"]


def test_a_claim_whose_files_do_not_hash_to_its_digest_is_a_mismatch_even_when_the_digest_is_verified():
    forged = registered(2, files=[FileEntry("model.onnx", 5, "0" * 64)])
    events = decide(forged, state_after(registered(1), verified(1)))
    assert names(events) == ["Noted", "ArtifactMismatched"]
    assert events[1].found != DIGEST


def test_a_claim_without_files_is_a_mismatch_with_its_reason():
    events = decide(registered(files=[]), state_after())
    assert isinstance(events[1], ArtifactMismatched)
    assert events[1].found == ""
    assert "at least one file" in events[1].detail


def test_a_manifest_of_unacceptable_form_is_quarantined_before_a_byte_is_read():
    events = decide(registered(limits=Limits(files=1)), state_after())
    assert names(events) == ["Noted", "ArtifactQuarantined"]
    assert "2 files, 1 are allowed" in events[1].detail


def test_the_same_message_again_changes_nothing():
    assert decide(registered(), state_after(registered())) == []
    assert decide(registered(), state_after(registered(), verified())) == []


def test_an_older_message_than_the_one_noted_changes_nothing():
    assert decide(registered(revision=5), state_after(retired(revision=6))) == []


def test_a_second_verdict_of_the_same_job_changes_nothing():
    state = state_after(registered(), verified())
    assert decide(verified(), state) == []
    assert decide(mismatched(), state) == []


def test_a_verdict_on_a_generation_that_was_never_handed_out_changes_nothing():
    assert decide(verified(generation=7), state_after(registered())) == []


def test_the_artifact_expires_with_its_last_reference():
    state = state_after(registered(1), registered(2), verified(1))
    assert names(decide(retired(1), state)) == ["Noted"]
    events = decide(retired(2), state_after(registered(1), registered(2), verified(1), retired(1)))
    assert names(events) == ["Noted", "ArtifactExpired"]
    assert events[1] == ArtifactExpired(DIGEST, 2, (VersionRef("m1", 1), VersionRef("m1", 2)))


def test_a_mismatched_claim_leaves_nothing_to_expire():
    assert names(decide(retired(), state_after(registered(), mismatched()))) == ["Noted"]


def test_expired_bytes_are_tagged_then_deleted():
    state = state_after(registered(), verified(), retired())
    assert state_name(state) == "Expired"
    assert decide(RecordTagged(1, timedelta(hours=1), NOW), state) == [
        ExpiryTagged(DIGEST, 1, NOW + timedelta(hours=1))
    ]
    assert decide(RecordDeleted(1), state) == [ArtifactDeleted(DIGEST, 1, (1,), (VersionRef("m1", 1),))]
    gone = state_after(registered(), verified(), retired(), RecordDeleted(1))
    assert state_name(gone) == "Deleted"
    assert decide(RecordDeleted(1), gone) == []


def test_bytes_that_did_not_expire_are_never_recorded_as_deleted():
    with pytest.raises(RuleBroken, match="artifact_in_use"):
        decide(RecordDeleted(1), state_after(registered(), verified()))
    with pytest.raises(RuleBroken, match="artifact_in_use"):
        decide(RecordTagged(1, DAY, NOW), state_after(registered(), verified()))


def test_the_same_bytes_registered_again_get_a_new_generation_that_the_old_deletion_does_not_touch():
    state = state_after(registered(1), verified(1), retired(1), registered(2))
    assert state_name(state) == "Received"
    events = decide(verified(2, generation=2), state)
    assert names(events) == ["ArtifactVerified", "ArtifactReleased"]
    late = state_after(
        registered(1), verified(1), retired(1), registered(2), verified(2, 2), RecordDeleted(1)
    )
    assert state_name(late) == "Verified"
    assert late.verified == 2


def test_a_copy_that_ends_after_the_last_version_ended_is_deleted_too():
    state = state_after(registered(), retired(), RecordDeleted(1))
    assert decide(verified(), state) == [CopyLeft(DIGEST, 1)]
    assert decide(verified(), state_after(registered(), retired(), RecordDeleted(1), verified())) == []
    assert (
        state_name(state_after(registered(), retired(), RecordDeleted(1), verified(), RecordDiscarded(1)))
        == "Deleted"
    )


def test_a_late_copy_of_an_expired_generation_is_deleted_though_the_digest_was_registered_again():
    state = state_after(registered(1), retired(1), RecordDeleted(1), registered(2), verified(2, 2))
    assert decide(verified(1, 1), state) == [CopyLeft(DIGEST, 1)]


def test_a_second_copy_of_verified_bytes_is_deleted_and_the_first_one_stays():
    state = state_after(registered(1), registered(2), verified(1))
    assert decide(verified(2, 2), state) == [CopyLeft(DIGEST, 2)]
    assert (
        state_after(registered(1), registered(2), verified(1), verified(2, 2), RecordDiscarded(2)).verified
        == 1
    )


def test_bytes_of_a_failed_claim_are_deleted_once_and_never_verified_afterwards():
    state = state_after(registered(1), registered(2), mismatched(1, 1))
    assert decide(verified(1, 1), state) == []
    assert decide(RecordDiscarded(1), state) == [CopyDiscarded(DIGEST, 1)]
    assert (
        decide(
            RecordDiscarded(1),
            state_after(registered(1), registered(2), mismatched(1, 1), RecordDiscarded(1)),
        )
        == []
    )
    assert names(
        decide(
            verified(1, 1), state_after(registered(1), registered(2), mismatched(1, 1), RecordDiscarded(1))
        )
    ) == ["CopyLeft"]


def test_verified_bytes_are_neither_discarded_nor_called_wrong_by_a_late_verdict():
    state = state_after(registered(1), registered(2), recalled(1), verified(2, 1))
    assert state.references["m1@1"].status == "received"
    assert decide(mismatched(1, 1), state) == []
    assert decide(RecordDiscarded(1), state) == []


def test_a_damaged_generation_is_not_verified_again_by_a_late_verdict():
    assert decide(verified(1, 1), state_after(registered(1), verified(1), RecordDamaged(1, "x"))) == []


def test_a_rejected_version_keeps_its_verified_bytes_until_it_is_retired():
    state = state_after(registered(), verified(), rejected())
    assert (state_name(state), state.references["m1@1"].live, state.references["m1@1"].withheld) == (
        "Verified",
        True,
        True,
    )
    assert names(decide(retired(), state)) == ["Noted", "ArtifactExpired"]


@pytest.mark.parametrize(
    "before",
    [
        (registered(),),
        (registered(), mismatched()),
        (registered(limits=Limits(files=1)),),
        (registered(files=[]),),
    ],
)
def test_a_rejected_version_without_verified_bytes_refers_to_nothing_any_more(before):
    assert not state_after(*before, rejected()).references["m1@1"].live


def test_damaged_bytes_of_a_rejected_version_stay_and_healed_ones_are_not_released_to_it():
    state = state_after(registered(1), verified(1), rejected(1), RecordDamaged(1, "x"), registered(2))
    assert state.references["m1@1"].live
    assert [e.number for e in decide(verified(2, 2), state) if isinstance(e, ArtifactReleased)] == [2]


def test_a_rollout_noted_first_does_not_hide_an_older_end():
    assert names(
        decide(retired(revision=200), state_after(registered(), verified(), rollout(1, revision=300)))
    ) == ["Noted", "ArtifactExpired"]


def test_a_recall_that_arrives_before_the_registration_still_holds_after_it():
    assert names(decide(registered(revision=10), state_after(recalled(revision=500)))) == [
        "Noted",
        "ArtifactRecalled",
    ]
    state = state_after(recalled(revision=500), registered(1, revision=10), registered(2))
    assert state.references["m1@1"].recalled
    assert [e.number for e in decide(verified(2, 1), state) if isinstance(e, ArtifactReleased)] == [2]


def test_a_promotion_request_is_noted_once_and_only_where_there_are_bytes_to_check():
    state = state_after(registered(1), verified(1))
    assert names(decide(promotion(1), state)) == ["Noted", "CheckAsked"]
    assert decide(promotion(1), state_after(registered(1), verified(1), promotion(1))) == []
    assert names(
        decide(promotion(1, revision=251), state_after(registered(1), verified(1), promotion(1)))
    ) == ["Noted"]
    assert decide(promotion(1), state_after(registered(1))) == []


def test_a_serving_version_with_bytes_is_checked_immediately():
    assert names(decide(rollout(1), state_after(registered(1), verified(1)))) == ["Noted", "CheckAsked"]
    assert names(decide(rollout(1), state_after(registered(1), verified(1), RequestCheck(1)))) == ["Noted"]
    assert names(decide(rollout(1), state_after(registered(1)))) == ["Noted"]
    assert names(decide(rollout(1), state_after(registered(1), verified(1), RecordDamaged(1, "rot")))) == [
        "Noted"
    ]


def test_a_report_of_missing_bytes_ends_with_them():
    assert not state_after(registered(1), verified(1), RequestCheck(1), retired(1)).check_requested


def test_missing_bytes_are_reported_once_until_they_were_checked():
    state = state_after(registered(1), verified(1))
    assert decide(RequestCheck(1), state) == [CheckAsked(DIGEST, 1)]
    assert decide(RequestCheck(1), state_after(registered(1), verified(1), RequestCheck(1))) == []
    assert decide(RequestCheck(2), state) == []
    assert decide(
        RequestCheck(1), state_after(registered(1), verified(1), RequestCheck(1), RecordIntact(1, DAY, NOW))
    ) == [CheckAsked(DIGEST, 1)]


def test_a_recalled_version_keeps_its_bytes_and_other_versions_stay_released():
    state = state_after(registered(1), registered(2), verified(1), recalled(1))
    assert state.references["m1@1"].recalled
    assert state.references["m1@2"].status == "released"
    assert names(decide(retired(2), state)) == ["Noted"]


def test_a_reinstated_version_is_released_again_and_may_be_recalled_again():
    state = state_after(registered(1), verified(1), recalled(1))
    events = decide(reinstated(1), state)
    assert names(events) == ["Noted", "ArtifactReleased"]
    after = state_after(registered(1), verified(1), recalled(1), reinstated(1))
    assert (after.references["m1@1"].recalled, after.references["m1@1"].status) == (False, "released")
    assert decide(reinstated(1), after) == []
    assert decide(recalled(1), after) == []  # the recall that was reversed, a second time
    assert names(decide(recalled(1, revision=700), after)) == ["Noted", "ArtifactRecalled"]


def test_a_version_withdrawn_while_it_waits_is_not_released():
    events = decide(verified(1), state_after(registered(1), recalled(1)))
    assert names(events) == ["ArtifactVerified"]


def test_versions_that_serve_or_served_are_checked_again():
    state = state_after(registered(1), registered(2), registered(3), verified(1), rollout(2, previous=[1]))
    assert [n for n in (1, 2, 3) if state.references[f"m1@{n}"].serves] == [1, 2]
    events = decide(RecordIntact(1, DAY, NOW), state)
    assert names(events) == ["ArtifactVerified", "ArtifactReleased", "ArtifactReleased"]
    assert events[0].check_again_at == NOW + DAY


def test_a_rollout_of_versions_already_watched_is_not_noted_again():
    assert decide(rollout(1, revision=400), state_after(registered(1), verified(1), rollout(1))) == []
    assert decide(rollout(9), state_after(registered(1), verified(1))) == []


def test_checks_end_when_no_version_that_served_is_left():
    state = state_after(registered(1), registered(2), verified(1), rollout(1), retired(1))
    (again,) = decide(RecordIntact(1, DAY, NOW), state)
    assert isinstance(again, ArtifactVerified)
    assert again.check_again_at is None


def test_damaged_bytes_are_quarantined_for_all_versions_and_healed_by_a_new_upload():
    state = state_after(registered(1), registered(2), verified(1))
    events = decide(RecordDamaged(1, "model.onnx has other bytes"), state)
    assert [e.number for e in events if isinstance(e, ArtifactQuarantined)] == [1, 2]
    damaged = state_after(registered(1), registered(2), verified(1), RecordDamaged(1, "x"))
    assert state_name(damaged) == "Quarantined"
    healed = state_after(registered(1), registered(2), verified(1), RecordDamaged(1, "x"), registered(3))
    events = decide(verified(3, 3), healed)
    assert [e.number for e in events if isinstance(e, ArtifactReleased)] == [1, 2, 3]


def test_healed_bytes_are_not_released_to_a_recalled_version():
    state = state_after(registered(1), verified(1), recalled(1), RecordDamaged(1, "x"), registered(2))
    assert [e.number for e in decide(verified(2, 2), state) if isinstance(e, ArtifactReleased)] == [2]


def test_one_deletion_settles_every_expiry_before_it():
    state = state_after(registered(1), verified(1), retired(1), registered(2), verified(2, 2), retired(2))
    assert decide(RecordDeleted(2), state)[0].settled == (1, 2)
    assert (
        decide(
            RecordDeleted(1),
            state_after(
                registered(1),
                verified(1),
                retired(1),
                registered(2),
                verified(2, 2),
                retired(2),
                RecordDeleted(2),
            ),
        )
        == []
    )


def test_a_check_of_another_generation_than_the_verified_one_makes_no_event():
    state = state_after(registered(1), verified(1))
    assert decide(RecordIntact(2, DAY, NOW), state) == []
    assert decide(RecordDamaged(2, "x"), state) == []


def test_the_first_check_is_due_again_only_if_a_version_serves():
    assert decide(verified(1), state_after(registered(1)))[0].check_again_at is None


def test_verification_keeps_the_list_of_files():
    assert decide(replace(verified(1)), state_after(registered(1)))[0].files == FILES


def test_the_bytes_of_a_draft_are_verified_and_released_again_when_it_is_complete():
    draft = registered(type_=noted.DRAFT_REGISTERED, revision=5)
    state = state_after(draft, verified())
    assert state.reference("m1", 1).status == "released"
    complete = decide(registered(revision=6, proof=Proof(reads=True)), state)
    assert names(complete) == ["Noted", "ArtifactReleased"]
