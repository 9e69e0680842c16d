"""What a publisher may do with versions that they published, and not with those of others."""

from __future__ import annotations

from typing import Any

import pytest

from services.registry.domain.model.metadata import Dataset, Metadata, Training
from services.registry.domain.registration.commands import AddMetadata
from services.registry.domain.serving.alias import RemoveAlias, SetAlias
from services.registry.domain.withdrawal.rejection import RejectVersion
from shared.deciding.decider import Forbidden, RuleBroken
from tests.unit.registry.given import MODEL_ID, Story, a_digest, metadata, names


def own(kind: Any, *arguments: Any, by: str = "ci") -> Any:
    return kind(MODEL_ID, *arguments, by=by, own_only=True)


@pytest.fixture
def story() -> Story:
    """Version 1 of ci, and version 2 of another publisher."""
    made = Story()
    made.register(by="ci")
    made.register(metadata(2), by="night")
    return made


def test_an_own_version_is_rejected_and_another_is_not(story: Story) -> None:
    with pytest.raises(Forbidden, match="not_your_version"):
        story.when(own(RejectVersion, 2, "bad"))
    assert names(story.when(own(RejectVersion, 1, "bad"))) == ["VersionRejected"]


def test_an_own_version_in_production_is_not_rejected() -> None:
    story = Story()
    number = story.promote(by="ci")
    with pytest.raises(RuleBroken, match="not_rejectable"):
        story.when(own(RejectVersion, number, "bad"))


def test_the_open_promotion_of_a_rejected_own_version_ends() -> None:
    story = Story()
    number = story.validate(by="ci")
    story.request_promotion(number, "p1")
    assert names(story.when(own(RejectVersion, number, "bad"))) == ["PromotionRefused", "VersionRejected"]


def test_an_alias_is_set_on_an_own_version_and_not_on_another(story: Story) -> None:
    assert names(story.when(own(SetAlias, "candidate", 1))) == ["AliasSet"]
    with pytest.raises(Forbidden, match="not_your_version"):
        story.when(own(SetAlias, "other", 2))


def test_an_alias_is_not_taken_from_the_version_of_another(story: Story) -> None:
    story.when(SetAlias(MODEL_ID, "candidate", 2))
    for command in (own(SetAlias, "candidate", 1), own(RemoveAlias, "candidate")):
        with pytest.raises(Forbidden, match="not_your_version"):
            story.when(command)
    assert story.model.aliases["candidate"].number == 2


def test_an_alias_moves_between_own_versions_and_is_removed(story: Story) -> None:
    three = story.register(metadata(3), by="ci")
    story.when(own(SetAlias, "candidate", 1))
    story.when(own(SetAlias, "candidate", three))
    assert names(story.when(own(RemoveAlias, "candidate"))) == ["AliasRemoved"]


def test_a_protected_alias_stays_for_admins(story: Story) -> None:
    story.when(SetAlias(MODEL_ID, "audited", 1, protected=True, as_admin=True))
    three = story.register(metadata(3), by="ci")
    for command in (own(SetAlias, "audited", three), own(RemoveAlias, "audited")):
        with pytest.raises(Forbidden, match="alias_protected"):
            story.when(command)


def test_who_completed_a_draft_published_it_too() -> None:
    story = Story()
    draft = story.register(metadata(dataset=None), draft=True, by="ci")
    completed = Metadata(training=Training(dataset=Dataset("d", a_digest("d"))))
    story.when(AddMetadata(MODEL_ID, draft, completed, by="night"))
    for by in ("ci", "night"):
        story.when(own(SetAlias, f"of-{by}", draft, by=by))
    with pytest.raises(Forbidden, match="not_your_version"):
        story.when(own(SetAlias, "of-eve", draft, by="eve"))


def test_the_named_creator_is_no_publisher(story: Story) -> None:
    number = story.register(metadata(4, creator="eve"), by="ci")
    with pytest.raises(Forbidden, match="not_your_version"):
        story.when(own(RejectVersion, number, "bad", by="eve"))
