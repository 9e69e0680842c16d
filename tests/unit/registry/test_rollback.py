"""Which version a rollback selects, and which versions stay usable for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.registry.domain.model.metadata import By, Input, Metadata
from services.registry.domain.serving.rollback import DryRun, RollBack
from services.registry.domain.serving.stop import StopRollout
from services.registry.domain.withdrawal.rejection import RecallVersion
from shared.deciding.decider import NotFound, RuleBroken, Stale
from tests.unit.registry.given import MODEL_ID, SIGNATURE, STREAM, Story, metadata, names
from tests.unit.registry.serving import (
    challenger,
    champion,
    change,
    retire,
    roll_back,
    served_in_turn,
    two_promoted,
)


def test_a_rollback_goes_to_what_served_before():
    story = served_in_turn()
    rolled, archived = story.when(roll_back())
    assert (rolled.from_number, rolled.to_number, rolled.champion.number) == (2, 1, 1)
    assert [(e.number, e.percent, e.role) for e in rolled.entries] == [(1, 100, "champion")]
    assert archived.number == 2
    assert (story.version(1).stage, story.version(2).stage) == ("Production", "Archived")


def test_it_goes_to_what_served_before_the_left_version_first_started():
    story = two_promoted()
    story.when(change(champion(1, 95), challenger(2, 5)))
    story.promote(metadata(3))
    story.when(change(champion(3, 95), challenger(2, 5)))
    story.when(change(champion(2)))
    (rolled, *_) = story.when(roll_back())
    assert rolled.to_number == 1


def test_it_skips_what_was_recalled():
    story = served_in_turn(metadata(3), metadata(4))
    story.when(RecallVersion(MODEL_ID, 3))
    rolled = story.when(roll_back())[0]
    assert (rolled.to_number, [(s.number, s.why) for s in rolled.skipped]) == (2, [(3, "withdrawn")])


def test_it_skips_what_was_itself_rolled_back_from():
    story = served_in_turn(metadata(3), metadata(4))
    assert [story.when(roll_back())[0].to_number for _ in range(2)] == [3, 2]
    story.when(roll_back(to_number=4))
    rolled = story.when(roll_back())[0]
    assert rolled.to_number == 2
    assert [(s.number, s.why) for s in rolled.skipped] == [(3, "was itself rolled back from")]


def test_a_version_that_serves_again_is_no_longer_skipped():
    story = served_in_turn(metadata(3), metadata(4))
    assert [story.when(roll_back())[0].to_number for _ in range(2)] == [3, 2]
    story.when(roll_back(to_number=3))
    story.when(roll_back(to_number=4))
    rolled = story.when(roll_back())[0]
    assert (rolled.to_number, rolled.skipped) == (3, ())


def test_it_skips_bytes_that_are_no_longer_good():
    story = served_in_turn(metadata(3))
    story.quarantine(2, revision=9)
    assert story.when(roll_back())[0].to_number == 1


def test_it_skips_a_signature_that_does_not_serve_todays_callers():
    wider = replace(metadata(2), signature=replace(SIGNATURE, inputs=(*SIGNATURE.inputs, Input("x", "int"))))
    story = Story()
    story.promote()
    story.promote(wider)
    story.when(change(champion(2)))
    with pytest.raises(RuleBroken, match="no_rollback_target") as broken:
        story.when(roll_back())
    assert "schema" in broken.value.facts["skipped"][0]
    rolled = story.when(roll_back(even_if_incompatible=True))[0]
    assert (rolled.to_number, [c.path for c in rolled.overruled]) == (1, ["inputs.x"])


def taking(artifact: object, *inputs: Input, by: By | None = None) -> Metadata:
    return replace(metadata(artifact), signature=replace(SIGNATURE, inputs=inputs, inputs_by=by))


def served_after(first: Metadata, second: Metadata) -> Story:
    story = Story()
    story.promote(first)
    story.promote(second)
    story.when(change(champion(2)))
    return story


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ("float32[?, 4]", "float32[?,4]"),
        ("float[-1,4]", "float32[?,4]"),
        ("float32[1,4]", "float32[N,4]"),
        ("bool_", "bool"),
        ("string", "object"),
        ("datetime64[us]", "datetime64[ns]"),
        ("tensor(int64)", "double"),
    ],
)
def test_another_spelling_and_a_wider_type_are_no_reason_to_refuse_a_rollback(now, before):
    story = served_after(taking(1, Input("x", before)), taking(2, Input("x", now)))
    rolled = story.when(roll_back())[0]
    assert (rolled.to_number, rolled.overruled) == (1, ())


def test_a_rollback_to_inputs_in_another_order_is_refused_and_names_the_way():
    a, b = Input("radius", "float32"), Input("texture", "float32")
    story = served_after(taking(1, a, b), taking(2, b, a))
    for command in (roll_back(), roll_back(to_number=1)):
        with pytest.raises(RuleBroken, match="--even-if-incompatible"):
            story.when(command)
    by_name = served_after(taking(1, a, b, by="name"), taking(2, b, a, by="name"))
    assert by_name.when(roll_back())[0].to_number == 1


def test_a_rollback_while_several_serve_gives_the_champion_all_requests():
    story = served_in_turn()
    story.promote(metadata(3))
    story.when(change(champion(2, 95), challenger(3, 5)))
    rolled, spent, validated = story.when(roll_back())
    assert (rolled.from_number, rolled.to_number) == (2, 2)
    assert [(e.number, e.percent, e.role) for e in rolled.entries] == [(2, 100, "champion")]
    assert [e.number for e in rolled.previous] == [2, 3]
    assert (spent.number, validated.number, story.version(3).stage) == (3, 3, "Validated")
    assert story.when(roll_back())[0].to_number == 1


def test_the_first_champion_ends_its_split_too():
    story = Story()
    story.promote()
    story.validate(metadata(2))
    story.when(change(champion(1, 95), challenger(2, 5)))
    for to in ({}, {"to_number": 1}):
        assert [x.number for x in story.decide(roll_back(**to))[STREAM][0].entries] == [1]


def test_a_champion_that_must_not_serve_gets_no_more_requests_by_a_rollback():
    story = served_in_turn()
    story.promote(metadata(3))
    story.when(change(champion(2, 95), challenger(3, 5)))
    story.when(RecallVersion(MODEL_ID, 2))
    with pytest.raises(RuleBroken, match=r"champion_unfit.*withdrawn") as broken:
        story.when(roll_back())
    assert broken.value.facts["targets"] == [1]
    assert story.when(roll_back(to_number=1))[0].to_number == 1


def test_a_challenger_that_was_never_champion_is_no_target():
    story = served_in_turn()
    story.promote(metadata(3))
    story.when(change(champion(2, 50), challenger(3, 50)))
    with pytest.raises(RuleBroken, match=r"never_served.*switch to it"):
        story.when(roll_back(to_number=3))
    story.when(roll_back())
    with pytest.raises(RuleBroken, match=r"never_served.*request its promotion"):
        story.when(roll_back(to_number=3))


def test_a_dry_run_shows_the_rollback_and_changes_nothing():
    story = served_in_turn()
    before = story.model
    with pytest.raises(DryRun) as shown:
        story.when(roll_back(dry_run=True))
    assert story.model == before
    assert shown.value.revision == before.rollouts["production"].revision
    assert shown.value.rolled_back == story.when(roll_back())[0]


def test_a_second_rollback_of_two_at_once_is_stale():
    story = served_in_turn(metadata(3))
    assert story.when(roll_back(from_number=3))[0].to_number == 2
    with pytest.raises(Stale, match="2 \\(champion, 100 %\\) serves in production") as stale:
        story.when(roll_back(from_number=3))
    assert stale.value.facts["champion"] == 2


def test_it_goes_to_a_version_that_shares_recalled_data_only_when_nothing_else_is_left():
    story = served_in_turn(metadata(3), metadata(4))
    doubts = {3: "shares data with team.x 1, which is withdrawn"}
    rolled = story.decide(roll_back(doubts=doubts))[STREAM][0]
    assert (rolled.to_number, rolled.skipped[0].number, rolled.warning) == (2, 3, "")
    doubts |= {1: doubts[3], 2: doubts[3]}
    rolled = story.decide(roll_back(doubts=doubts))[STREAM][0]
    assert (rolled.to_number, rolled.skipped, rolled.warning) == (3, (), doubts[3])
    assert story.decide(roll_back(to_number=1, doubts=doubts))[STREAM][0].warning == doubts[1]


def test_without_a_target_the_refusal_offers_to_stop():
    story = Story()
    story.promote()
    with pytest.raises(RuleBroken, match="rollout stop"):
        story.when(roll_back())


def test_the_first_champion_has_no_rollback_target():
    story = Story()
    story.promote()
    with pytest.raises(RuleBroken, match="no_rollback_target"):
        story.when(roll_back())


@pytest.mark.parametrize("command", [RollBack, StopRollout])
def test_a_mistyped_environment_is_named_and_one_without_a_rollout_is_none(command):
    with pytest.raises(NotFound, match="did you mean production") as mistyped:
        two_promoted().when(command(MODEL_ID, "prodction"))
    assert (mistyped.value.code, mistyped.value.facts["nearest"]) == ("unknown_environment", "production")
    with pytest.raises(NotFound, match="there is nothing to"):
        two_promoted().when(command(MODEL_ID, "staging"))


def test_a_named_target_must_have_served():
    story = served_in_turn(metadata(3))
    assert story.when(roll_back(to_number=1))[0].to_number == 1
    story.promote(metadata(9))
    with pytest.raises(RuleBroken, match="never_served"):
        story.when(roll_back(to_number=4))
    with pytest.raises(RuleBroken, match="already_serving"):
        story.when(roll_back(to_number=1))


def test_rolling_back_twice_walks_further_back():
    story = served_in_turn(metadata(3))
    assert story.when(roll_back())[0].to_number == 2
    assert story.when(roll_back())[0].to_number == 1


def test_a_move_forward_by_name_keeps_the_rollback_target():
    story = served_in_turn()
    story.when(roll_back())
    story.when(roll_back(to_number=2))
    assert names(story.when(retire(1))) == ["Noted", "RetireRefused"]
    assert story.when(roll_back())[0].to_number == 1


def test_a_rollback_names_each_skipped_version_with_the_reason():
    story = served_in_turn(metadata(3), metadata(4))
    story.quarantine(2, revision=9)
    story.when(RecallVersion(MODEL_ID, 3))
    assert [(s.number, s.why) for s in story.when(roll_back())[0].skipped] == [
        (3, "withdrawn"),
        (2, "its artifact is not noted as good"),
    ]


def test_a_stale_view_of_the_rollout_rolls_nothing_back():
    story = served_in_turn(metadata(3))
    seen = story.model.rollouts["production"].revision
    story.when(roll_back(expected=seen))
    with pytest.raises(Stale):
        story.when(roll_back(expected=seen))


def bad_bytes(story: Story) -> None:
    story.quarantine(1, revision=9)


def recalled(story: Story) -> None:
    story.when(RecallVersion(MODEL_ID, 1))


def retired(story: Story) -> None:
    story.when(roll_back(to_number=1))
    story.when(roll_back(to_number=2))
    story.when(RecallVersion(MODEL_ID, 1))
    assert names(story.when(retire(1)))[-1] == "VersionRetired"


@pytest.mark.parametrize(
    ("happened", "code"),
    [(bad_bytes, "artifact_not_good"), (recalled, "version_withdrawn"), (retired, "version_retired")],
)
def test_a_named_target_must_be_fit(happened, code):
    story = served_in_turn()
    happened(story)
    with pytest.raises(RuleBroken, match=code):
        story.when(roll_back(to_number=1))


def test_a_named_target_was_promoted_there():
    story = Story()
    story.promote()
    story.promote(metadata(2), environment="lab")
    story.when(change(champion(1, 95), challenger(2, 5)))
    with pytest.raises(RuleBroken, match="never_served"):
        story.when(roll_back(to_number=2))


def after_a_major(story: Story) -> None:
    story.promote(
        replace(metadata(2), signature=replace(SIGNATURE, inputs=(*SIGNATURE.inputs, Input("x", "int"))))
    )


def with_damaged_bytes(story: Story) -> None:
    story.promote(metadata(2))
    story.quarantine(1, revision=9)


@pytest.mark.parametrize("happened", [after_a_major, with_damaged_bytes])
def test_the_nearest_predecessor_stays_even_while_it_is_no_target(happened):
    story = Story()
    story.promote()
    happened(story)
    story.when(change(champion(2)))
    _note, refused = story.when(retire(1))
    assert "rollback target" in refused.reasons[0]
