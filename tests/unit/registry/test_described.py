"""What a registration states about its model: what is taken, and what is reported instead."""

from __future__ import annotations

import pytest

from services.registry.domain.naming.description import DescribeModel, RegisterModel
from services.registry.domain.registration.commands import RegisterVersion
from tests.unit.registry.given import MODEL_ID, Story, metadata, names

STATED = frozenset({"owner", "description", "tags"})


def publish(story: Story, number: int = 1, **more):
    new = not story.model.revision
    return story.when(RegisterVersion(MODEL_ID, "team.churn", metadata(number), new_model=new, **more))


@pytest.mark.parametrize("tier", [None, "low", "medium"])
def test_a_new_model_has_the_tier_medium_whatever_lower_one_its_publisher_names(tier):
    story = Story()
    publish(story, tier=tier)
    assert story.model.tier == "medium"


def test_a_model_registered_by_hand_has_the_tier_medium():
    story = Story()
    story.when(RegisterModel(MODEL_ID, "team.churn"))
    assert story.model.tier == "medium"


def test_a_lower_tier_of_a_new_model_is_reported():
    *_, registered = publish(Story(), tier="low")
    (note,) = registered.notes
    assert note.startswith("tier: low was not taken, the tier is medium")
    assert "an approver lowers it with `regista models edit`" in note


def test_a_publisher_raises_the_tier_of_a_new_model_and_of_one_that_exists():
    story = Story()
    publish(story, tier="high")
    assert story.model.tier == "high"
    other = Story()
    publish(other)
    changed, registered = publish(other, 2, tier="high")
    assert (changed.tier, registered.tier, other.model.tier) == ("high", "high", "high")
    assert registered.notes == ()


def test_a_publisher_never_lowers_the_tier_and_is_reported():
    story = Story()
    publish(story, tier="high")
    (registered,) = publish(story, 2, tier="medium")
    assert story.model.tier == "high"
    assert registered.notes[0].startswith("tier: medium was not taken, the model's tier is high")


def test_what_is_stated_about_a_model_that_exists_is_reported_and_not_taken():
    story = Story()
    publish(story, owner="olga", description="d", tags={"a": "1"})
    (registered,) = publish(story, 2, owner="eve", description="e", tags={"a": "2"}, stated=STATED)
    assert [note.partition(":")[0] for note in registered.notes] == ["owner", "description", "tags"]
    assert (story.model.owner, dict(story.model.tags)) == ("olga", {"a": "1"})


def test_what_is_stated_as_it_is_and_what_is_not_stated_is_not_reported():
    story = Story()
    publish(story, owner="olga", description="d", tags={"a": "1"})
    (same,) = publish(story, 2, owner="olga", description="d", tags={"a": "1"}, stated=STATED)
    (silent,) = publish(story, 3, owner="pipeline")
    assert (same.notes, silent.notes) == ((), ())


@pytest.mark.parametrize("number", [1, 2])
def test_strict_refuses_what_would_not_be_taken_for_a_new_version_and_a_repeated_one(number):
    story = Story()
    publish(story)
    (refused,) = publish(
        story, number, tags={"a": "2"}, stated=STATED - {"owner", "description"}, strict=True
    )
    assert names([refused]) == ["RegistrationRefused"]
    assert [p.field for p in refused.problems] == ["tags"]


def test_strict_registers_what_is_taken():
    story = Story()
    publish(story, strict=True, tags={"a": "1"}, stated=frozenset({"tags"}))
    assert names(publish(story, 2, strict=True, tier="high")) == ["TagsChanged", "VersionRegistered"]


def test_a_creator_that_no_one_is_called_is_reported():
    *_, registered = publish(Story(), unknown_creator=True)
    assert "no identity is called 'ci'" in registered.notes[0]


def test_a_raised_tier_lapses_the_open_request():
    story = Story()
    story.validate()
    story.request_promotion(1, "p")
    publish(story, 2, tier="high")
    assert "tier or tags have changed" in story.grant_promotion("p", 1)[-1].reasons[0]


def test_the_tier_that_an_approver_lowered_stays_when_the_next_version_states_none():
    story = Story()
    publish(story)
    story.when(DescribeModel(MODEL_ID, tier="low", by="ann", may_approve=True))
    publish(story, 2)
    assert story.model.tier == "low"
