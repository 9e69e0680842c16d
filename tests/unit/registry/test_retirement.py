from __future__ import annotations

from dataclasses import replace

import pytest

from services.registry.domain.model.metadata import Parent
from services.registry.domain.model.state import stream_of
from services.registry.domain.registration.commands import RegisterVersion
from services.registry.domain.serving.alias import SetAlias
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.withdrawal.legal_hold import PlaceLegalHold
from services.registry.domain.withdrawal.retirement import RetireOnRequest
from shared.deciding.decider import RuleBroken
from tests.unit.registry.given import MODEL_ID, Story, a_digest, metadata, names
from tests.unit.registry.serving import Share, change, retire

OTHER_ID = "00000000-0000-5000-8000-000000000002"


def test_an_unused_version_is_retired_and_leaves_a_tombstone():
    story = Story()
    story.register()
    _note, retired = story.when(retire(1))
    assert (retired.artifact_digest, retired.rule, retired.sweep_id) == (
        a_digest(1),
        "unused for 30 days",
        "s1",
    )
    assert story.version(1).stage == "Archived"
    assert story.when(retire(1)) == []


def test_what_is_retired_is_refused_later_use():
    story = Story()
    story.register()
    story.when(retire(1))
    for command in (SetAlias(MODEL_ID, "a", 1), PlaceLegalHold(MODEL_ID, 1)):
        with pytest.raises(RuleBroken, match="version_retired"):
            story.when(command)


def test_a_retired_version_does_not_stand_for_the_same_bytes_again():
    story = Story()
    story.register()
    story.when(retire(1))
    assert story.register() == 2


def test_a_version_is_retired_on_request_without_a_cleanup_run():
    story = Story()
    story.register()
    (retired,) = story.when(RetireOnRequest(MODEL_ID, 1))
    assert (retired.rule, retired.sweep_id, story.version(1).retired) == ("requested", "", True)
    assert story.when(RetireOnRequest(MODEL_ID, 1)) == []


def test_a_request_to_retire_a_needed_version_names_what_needs_it():
    story = Story()
    story.promote()
    story.when(PlaceLegalHold(MODEL_ID, 1))
    with pytest.raises(RuleBroken, match=r"version_protected: .*in Production; .*legal hold"):
        story.when(RetireOnRequest(MODEL_ID, 1))


def in_production(story: Story) -> int:
    story.promote()
    return story.promote(metadata(2))


def in_a_rollout(story: Story) -> int:
    story.promote()
    number = story.validate(metadata(2))
    story.when(change(Share(1, 95, "champion"), Share(number, 5, "challenger")))
    return number


def the_rollback_target(story: Story) -> int:
    story.promote()
    story.promote(metadata(2))
    story.when(change(Share(2, 100, "champion")))
    return 1


def the_target_behind_one_that_is_unfit(story: Story) -> int:
    the_rollback_target(story)
    story.promote(metadata(3))
    story.when(change(Share(3, 100, "champion")))
    story.quarantine(2, revision=7)
    return 1


def aliased(story: Story) -> int:
    number = story.register()
    story.when(SetAlias(MODEL_ID, "candidate", number))
    return number


def held(story: Story) -> int:
    number = story.register()
    story.when(PlaceLegalHold(MODEL_ID, number))
    return number


def in_an_open_promotion(story: Story) -> int:
    number = story.validate()
    story.request_promotion(number, "p1")
    return number


def a_parent(story: Story) -> int:
    number = story.register()
    story.register(replace(metadata(2), parents=(Parent("team.churn", number, "base_model", MODEL_ID),)))
    return number


PROTECTED = {
    in_production: "Production",
    in_a_rollout: "rollout of production",
    the_rollback_target: "rollback target",
    the_target_behind_one_that_is_unfit: "rollback target",
    aliased: "alias candidate",
    held: "legal hold",
    in_an_open_promotion: "promotion p1 is open",
    a_parent: "made from it",
}


@pytest.mark.parametrize("situation", PROTECTED, ids=lambda s: s.__name__)
def test_a_version_in_use_is_not_retired_and_the_refusal_has_the_reason(situation):
    story = Story()
    number = situation(story)
    _note, refused = story.when(retire(number))
    assert type(refused).__name__ == "RetireRefused"
    assert any(PROTECTED[situation] in reason for reason in refused.reasons)
    assert not story.version(number).retired


def test_a_former_rollback_target_may_be_retired_once_another_version_is_the_target():
    story = Story()
    the_rollback_target(story)
    story.when(RollBack(MODEL_ID, "production"))
    assert names(story.when(retire(2))) == ["Noted", "VersionRetired"]


def test_a_parent_may_go_after_its_last_child():
    story = Story()
    story.when(RegisterVersion(OTHER_ID, "team.base", metadata("base"), new_model=True))
    story.register(replace(metadata(), parents=(Parent("team.base", 1, "base_model", OTHER_ID),)))
    assert names(story.when(retire(1, OTHER_ID))) == ["Noted", "RetireRefused"]
    assert names(story.when(retire(1), stream_of(OTHER_ID))) == ["Noted", "VersionRetired", "ChildUnlinked"]
    assert names(story.when(retire(1, OTHER_ID))) == ["Noted", "VersionRetired"]
