from __future__ import annotations

from dataclasses import replace

import pytest

from regista.wire import limits
from services.registry.domain.model.metadata import Input
from services.registry.domain.naming.description import DescribeModel
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from services.registry.domain.serving.alias import RemoveAlias, SetAlias
from services.registry.domain.serving.environment import ENVIRONMENTS, EnvironmentCreated
from shared.deciding.decider import Forbidden, NotFound, RuleBroken, Stale, Unprocessable
from tests.unit.registry.given import MODEL_ID, SIGNATURE, Story, metadata, names


def test_a_rename_claims_the_new_name_and_keeps_the_old_one():
    story = Story()
    story.register()
    assert names(story.when(DescribeModel(MODEL_ID, model="team.leave"))) == ["NameClaimed", "ModelRenamed"]
    assert story.state("name-team.churn").model_id == story.state("name-team.leave").model_id == MODEL_ID
    assert names(story.when(DescribeModel(MODEL_ID, model="team.churn"))) == ["ModelRenamed"]


def test_a_taken_name_and_another_namespace_are_refused():
    story = Story()
    story.register()
    story.when(
        RegisterVersion("00000000-0000-5000-8000-000000000002", "team.other", metadata(), new_model=True)
    )
    with pytest.raises(RuleBroken, match="name_taken"):
        story.when(DescribeModel(MODEL_ID, model="team.other"))
    with pytest.raises(RuleBroken, match="namespace_changes"):
        story.when(DescribeModel(MODEL_ID, model="elsewhere.churn"))


def test_each_kind_of_description_is_an_event_and_the_same_again_none():
    story = Story()
    story.register()
    command = DescribeModel(MODEL_ID, owner="risk", description="who leaves", tags={"a": "1"}, tier="high")
    assert names(story.when(command)) == ["OwnerChanged", "TagsChanged"]
    assert story.when(command) == []


def test_only_someone_who_may_approve_lowers_the_tier():
    story = Story()
    story.register(tier="high")
    with pytest.raises(Forbidden):
        story.when(DescribeModel(MODEL_ID, tier="low"))
    assert names(story.when(DescribeModel(MODEL_ID, tier="low", may_approve=True))) == ["TagsChanged"]


def test_a_stale_description_is_refused():
    story = Story()
    story.register()
    seen = story.model.described
    story.when(DescribeModel(MODEL_ID, owner="risk", expected=seen))
    with pytest.raises(Stale):
        story.when(DescribeModel(MODEL_ID, owner="fraud", expected=seen))


def test_an_alias_moves_and_goes():
    story = Story()
    story.register()
    story.register(metadata(2))
    story.when(SetAlias(MODEL_ID, "candidate", 1))
    (moved,) = story.when(SetAlias(MODEL_ID, "candidate", 2))
    assert (moved.number, moved.previous) == (2, 1)
    assert story.when(SetAlias(MODEL_ID, "candidate", 2)) == []
    assert names(story.when(RemoveAlias(MODEL_ID, "candidate"))) == ["AliasRemoved"]
    with pytest.raises(NotFound):
        story.when(RemoveAlias(MODEL_ID, "candidate"))


def test_a_protected_alias_is_the_admins():
    story = Story()
    story.register()
    with pytest.raises(Forbidden):
        story.when(SetAlias(MODEL_ID, "audited", 1, protected=True))
    story.when(SetAlias(MODEL_ID, "audited", 1, protected=True, as_admin=True))
    story.register(metadata(2))
    for command in (
        SetAlias(MODEL_ID, "audited", 2),
        SetAlias(MODEL_ID, "audited", 1, protected=False),
        RemoveAlias(MODEL_ID, "audited"),
    ):
        with pytest.raises(Forbidden):
            story.when(command)


@pytest.mark.parametrize("name", ["latest", "Latest"])
def test_no_alias_and_no_environment_is_called_latest(name: str):
    story = Story()
    story.register()
    with pytest.raises(Unprocessable, match="reserved_alias"):
        story.when(SetAlias(MODEL_ID, name, 1, as_admin=True))


def test_an_alias_is_no_environment_and_no_nonsense():
    story = Story()
    story.promote(environment="lab")
    for name in ("production", "lab", "staging"):
        with pytest.raises(RuleBroken, match="alias_is_environment"):
            story.when(SetAlias(MODEL_ID, name, 1))
    with pytest.raises(Unprocessable):
        story.when(SetAlias(MODEL_ID, "a b", 1))
    story.when(SetAlias(MODEL_ID, "canary", 1))
    story.append(EnvironmentCreated("", "canary", True, 5, ""), ENVIRONMENTS)
    with pytest.raises(RuleBroken, match="name_is_alias"):
        story.request_promotion(1, "p9", "canary")


def test_a_draft_takes_no_alias():
    story = Story()
    story.register(replace(metadata(), signature=None), draft=True)
    with pytest.raises(RuleBroken, match="version_draft"):
        story.when(SetAlias(MODEL_ID, "candidate", 1))
    story.when(
        AddMetadata(
            MODEL_ID, 1, replace(metadata(), signature=replace(SIGNATURE, inputs=(Input("x", "int"),)))
        )
    )
    assert names(story.when(SetAlias(MODEL_ID, "candidate", 1))) == ["AliasSet"]


def test_a_stale_alias_is_neither_moved_nor_removed():
    story = Story()
    story.register()
    story.register(metadata(2))
    story.when(SetAlias(MODEL_ID, "candidate", 1, expected=0))
    seen = story.model.aliases["candidate"].revision
    story.when(SetAlias(MODEL_ID, "candidate", 2, expected=seen))
    for command in (
        SetAlias(MODEL_ID, "candidate", 1, expected=seen),
        RemoveAlias(MODEL_ID, "candidate", expected=seen),
    ):
        with pytest.raises(Stale):
            story.when(command)


def test_a_tag_is_added_changed_or_removed_and_the_others_stay():
    story = Story()
    story.register(tags={"team": "risk", "region": "eu"})
    (changed,) = story.when(
        DescribeModel(MODEL_ID, tag_changes={"region": "us", "tier2": "yes", "team": None})
    )
    assert changed.tags == {"region": "us", "tier2": "yes"}


def test_a_tag_that_is_there_or_not_there_already_changes_nothing():
    story = Story()
    story.register(tags={"team": "risk"})
    assert story.when(DescribeModel(MODEL_ID, tag_changes={"team": "risk", "region": None})) == []
    assert story.when(DescribeModel(MODEL_ID, tag_changes={})) == []


def test_removing_a_tag_that_selects_a_policy_is_governed_like_replacing_all():
    story = Story()
    story.register(tags={"team": "risk"}, tier="high")
    with pytest.raises(Forbidden):
        story.when(DescribeModel(MODEL_ID, tier="low", tag_changes={"team": None}))


def test_more_tags_than_a_model_may_have_are_refused():
    story = Story()
    story.register(tags={f"t{number}": "" for number in range(limits.TAGS)})
    with pytest.raises(RuleBroken, match="too_many_tags"):
        story.when(DescribeModel(MODEL_ID, tag_changes={"one": "more"}))
    story.when(DescribeModel(MODEL_ID, tag_changes={"one": "more", "t0": None}))
    assert story.model.tags["one"] == "more"


def test_tags_that_are_too_long_together_are_refused():
    story = Story()
    story.register(tags={f"t{number}": "x" * limits.TAG_VALUE for number in range(12)})
    with pytest.raises(RuleBroken, match="at most 64,000 characters in all names and values"):
        story.when(DescribeModel(MODEL_ID, tag_changes={"one": "x" * limits.TAG_VALUE}))


def test_an_empty_description_clears_it():
    story = Story()
    story.register()
    story.when(DescribeModel(MODEL_ID, description="who leaves"))
    (changed,) = story.when(DescribeModel(MODEL_ID, description=""))
    assert changed.description == ""
