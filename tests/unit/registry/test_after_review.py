"""An override whose after-review found it unjustified, and the conditions of approvals."""

from __future__ import annotations

import pytest

from services.registry.domain import noted
from services.registry.domain.model.events import GrantWithdrawn, PromotionRefused, RolledBack
from services.registry.domain.serving.after_review import NoteAfterReview
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from shared.deciding.decider import RuleBroken
from tests.unit.registry.given import MODEL_ID, Story, a_note, metadata, names


def change(*shares: Share) -> ChangeRollout:
    return ChangeRollout(MODEL_ID, "production", shares)


def champion(number: int, percent: int = 100) -> Share:
    return Share(number, percent, "champion")


def overridden(story: Story, document=None) -> int:
    """A version that an override let into production; its review is `r<number>`."""
    number = story.validate(document)
    story.request_promotion(number, f"p{number}", serve=not story.serves())
    story.grant_promotion(f"p{number}", number, override=True, review_id=f"r{number}", approvers=["olga"])
    return number


def requested(story: Story, document=None) -> int:
    """A version whose promotion `p2` is requested, and not granted yet."""
    number = story.validate(document)
    story.request_promotion(number, "p2", serve=not story.serves())
    return number


def after_review(story: Story, number: int, *, justified: bool = False, consequence: str = "stop", **more):
    data = {
        "review_id": f"r{number}",
        "model_id": MODEL_ID,
        "number": number,
        "environment": "production",
        "justified": justified,
        "consequence": "" if justified else consequence,
    } | more
    note = a_note("approval", f"review-r{number}", 9, noted.OVERRIDE_REVIEWED, data)
    return story.when(NoteAfterReview(MODEL_ID, note))


@pytest.fixture
def story() -> Story:
    """Version 1 was promoted by people and served; version 2 is the champion by an override."""
    story = Story()
    story.promote()
    overridden(story, metadata(2))
    story.when(change(champion(2)))
    return story


@pytest.fixture
def split() -> Story:
    """Version 1, promoted by people, is the champion with 60 %; version 2 has 40 % by an override."""
    story = Story()
    story.promote()
    overridden(story, metadata(2))
    story.when(change(champion(1, 60), Share(2, 40, "challenger")))
    return story


def test_a_justified_override_changes_nothing(story):
    assert after_review(story, 2, justified=True) == []


def test_an_unjustified_one_keeps_what_the_version_has_and_gives_it_no_more(split):
    story = split
    assert names(after_review(story, 2))[:2] == ["Noted", "GrantWithdrawn"]
    for more in (change(champion(1, 50), Share(2, 50, "challenger")), change(champion(2))):
        with pytest.raises(RuleBroken, match="grant_withdrawn"):
            story.when(more)
    assert story.when(change(champion(1, 90), Share(2, 10, "challenger")))
    assert story.when(change(champion(1)))
    for again in (
        change(champion(1, 99), Share(2, 1, "challenger")),
        change(champion(1), Share(2, 0, "shadow")),
    ):
        with pytest.raises(RuleBroken, match="grant_withdrawn"):
            story.when(again)


def test_the_champion_may_keep_its_share_while_others_change(story):
    after_review(story, 2)
    story.validate(metadata(3))
    assert story.when(change(champion(2, 95), Share(3, 5, "challenger")))


def test_a_version_that_did_not_serve_yet_is_validated_again_and_never_serves_by_that_grant():
    story = Story()
    story.promote()
    number = overridden(story, metadata(2))
    assert names(after_review(story, number)) == ["Noted", "GrantWithdrawn", "VersionValidated"]
    with pytest.raises(RuleBroken, match="grant_withdrawn"):
        story.when(change(champion(2)))


def test_where_the_policy_states_so_it_is_rolled_back_in_the_same_step(story):
    *_, withdrawn, back = [
        e
        for e in after_review(story, 2, consequence="roll_back")
        if isinstance(e, GrantWithdrawn | RolledBack)
    ]
    assert (back.from_number, back.to_number, withdrawn.not_rolled_back) == (2, 1, "")
    assert story.serves() == 1


def test_of_a_split_only_the_challenger_goes(split):
    story = split
    after_review(story, 2, consequence="roll_back")
    assert [(e.number, e.percent) for e in story.model.rollouts["production"].entries] == [(1, 100)]


def test_a_champion_of_a_split_gives_all_to_what_served_before(split):
    story = split
    story.when(change(champion(2, 60), Share(1, 40, "challenger")))
    after_review(story, 2, consequence="roll_back")
    assert [(e.number, e.percent) for e in story.model.rollouts["production"].entries] == [(1, 100)]


def test_without_a_target_it_states_why_it_was_not_rolled_back():
    story = Story()
    overridden(story)
    _, withdrawn = after_review(story, 1, consequence="roll_back")
    assert "nothing that can serve" in withdrawn.not_rolled_back
    assert story.serves() == 1


def test_a_rollback_never_goes_to_a_version_whose_override_was_not_justified(story):
    after_review(story, 2)
    story.promote(metadata(3))
    story.when(change(champion(3)))
    (back, *_) = story.when(RollBack(MODEL_ID, "production"))
    assert (back.to_number, [s.why for s in back.skipped]) == (1, ["its override was not justified"])
    with pytest.raises(RuleBroken, match="grant_withdrawn"):
        story.when(RollBack(MODEL_ID, "production", to_number=2))


def test_a_promotion_that_people_approve_lets_it_serve_again(story):
    after_review(story, 2)
    story.when(RollBack(MODEL_ID, "production"))
    story.request_promotion(2, "again")
    story.grant_promotion("again", 2)
    assert story.when(change(champion(2)))
    assert after_review(story, 2, review_id="r2") == []


def test_the_after_review_of_another_override_changes_nothing(story):
    assert after_review(story, 2, review_id="other") == []
    assert after_review(story, 2, environment="lab") == []
    assert after_review(story, 1) == []


def test_a_repeated_after_review_changes_nothing(story):
    after_review(story, 2)
    assert after_review(story, 2) == []


@pytest.mark.parametrize("champion_first", [True, False])
def test_an_after_review_that_arrives_before_the_grant_refuses_it(champion_first):
    story = Story()
    if champion_first:
        story.promote()
    number = requested(story, metadata(2))
    assert names(after_review(story, number, review_id="p2")) == ["Noted"]
    _, refused = story.grant_promotion("p2", number, override=True, review_id="p2")
    assert isinstance(refused, PromotionRefused)
    assert "unjustified" in refused.reasons[0]
    assert story.model.versions[number].stage == "Validated"


def test_an_after_review_that_arrives_first_refuses_the_request_that_uses_the_standing_override():
    story = Story()
    number = requested(story)
    after_review(story, number, review_id="denied before")
    events = story.grant_promotion("p2", number, override=True, review_id="denied before")
    assert names(events) == ["Noted", "PromotionRefused"]


@pytest.mark.parametrize(
    ("reviewed", "granted"),
    [
        ({"justified": True}, {"override": True, "review_id": "p2"}),
        ({"review_id": "other"}, {"override": True, "review_id": "p2"}),
        ({"environment": "lab"}, {"override": True, "review_id": "p2"}),
        ({}, {"review_id": "p2"}),
    ],
)
def test_only_the_override_that_was_found_unjustified_is_refused(reviewed, granted):
    story = Story()
    number = requested(story)
    after_review(story, number, **{"review_id": "p2"} | reviewed)
    assert "VersionPromoted" in names(story.grant_promotion("p2", number, **granted))


def test_a_request_after_the_refused_one_is_for_people_to_grant():
    story = Story()
    number = requested(story)
    after_review(story, number, review_id="p2")
    story.grant_promotion("p2", number, override=True, review_id="p2")
    story.request_promotion(number, "again")
    assert "VersionPromoted" in names(story.grant_promotion("again", number, review_id="again"))


def test_an_override_of_an_older_release_is_ended_by_the_review_with_the_promotions_id():
    story = Story()
    number = requested(story)
    story.grant_promotion("p2", number, override=True)
    assert names(after_review(story, number, review_id="p2"))[:2] == ["Noted", "GrantWithdrawn"]


def test_the_conditions_of_a_grant_go_with_the_promotion():
    story = Story()
    story.validate()
    story.request_promotion(1, "p1")
    *_, promoted = story.grant_promotion("p1", 1, conditions=["shadow for a week"])
    assert promoted.conditions == ("shadow for a week",)
