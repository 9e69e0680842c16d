from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain.metadata import Input
from services.registry.domain.model_events import Entry
from services.registry.domain.rollout import ChangeRollout, RollBack, Share, pick
from services.registry.domain.verdicts import RecallVersion
from shared.decider import NotFound, RuleBroken, Stale, Unprocessable
from tests.unit.registry.given import MODEL_ID, SIGNATURE, Story, metadata, names


def champion(number: int, percent: int = 100) -> Share:
    return Share(number, percent, "champion")


def challenger(number: int, percent: int) -> Share:
    return Share(number, percent, "challenger")


def change(*shares: Share, **more) -> ChangeRollout:
    return ChangeRollout(MODEL_ID, "production", shares, **more)


def back(**more) -> RollBack:
    return RollBack(MODEL_ID, "production", **more)


def two_promoted() -> Story:
    story = Story()
    story.promotes()
    story.promotes(metadata(2))
    return story


def switched(*others) -> Story:
    """Version 1 served, then 2, then each of `others`."""
    story = two_promoted()
    story.when(change(champion(2)))
    for document in others:
        number = story.promotes(document)
        story.when(change(champion(number)))
    return story


def test_traffic_is_split_and_switched_and_what_left_is_archived():
    story = two_promoted()
    assert names(story.when(change(champion(1, 90), challenger(2, 10)))) == ["RolloutChanged"]
    changed, archived = story.when(change(champion(2)))
    assert [e.number for e in changed.previous] == [1, 2]
    assert (changed.champion.number, archived.number) == (2, 1)
    assert story.version(1).stage == "Archived"


def test_the_same_rollout_again_is_nothing_new():
    story = two_promoted()
    assert story.when(change(champion(1))) == []


def test_a_standby_is_not_archived():
    story = two_promoted()
    assert names(story.when(change(champion(2), Share(1, 0, "standby")))) == ["RolloutChanged"]


def test_a_challenger_that_was_never_in_production_goes_back_to_validated():
    story = Story()
    story.promotes()
    story.validates(metadata(2))
    story.when(change(champion(1, 60), challenger(2, 40)))
    assert names(story.when(change(champion(1)))) == ["RolloutChanged"]
    assert story.version(2).stage == "Validated"


@pytest.mark.parametrize(
    ("shares", "code"),
    [
        ((), "invalid_rollout"),
        ((champion(1, 90),), "invalid_rollout"),
        ((champion(1, 50), champion(2, 50)), "invalid_rollout"),
        ((champion(1, 50), challenger(1, 50)), "invalid_rollout"),
        ((champion(1, 110), challenger(2, -10)), "invalid_rollout"),
        ((champion(1, 90), Share(2, 10, "shadow")), "invalid_rollout"),
        ((champion(1, 0), challenger(2, 100)), "invalid_rollout"),
        ((champion(3),), "champion_not_promoted"),
        ((champion(4),), "champion_not_promoted"),
        ((champion(1, 40), challenger(4, 60)), "challenger_cap"),
        ((champion(1, 90), challenger(3, 10)), "not_validated"),
        ((champion(1), Share(3, 0, "shadow")), "not_validated"),
        ((champion(1, 90), challenger(9, 10)), "unknown_version"),
    ],
)
def test_a_rollout_that_breaks_a_rule_is_refused(shares, code):
    story = two_promoted()
    story.registers(metadata(3))
    story.validates(metadata(4))
    with pytest.raises(RuleBroken) as broken:
        story.when(change(*shares))
    assert broken.value.code == code


def test_a_promoted_challenger_may_take_more_than_the_cap():
    story = two_promoted()
    assert names(story.when(change(champion(1, 10), challenger(2, 90)))) == ["RolloutChanged"]


def test_production_elsewhere_makes_no_champion_here():
    story = Story()
    story.promotes()
    story.promotes(metadata(2), environment="lab")
    with pytest.raises(RuleBroken, match="champion_not_promoted"):
        story.when(change(champion(2)))


def test_bytes_that_are_no_longer_good_do_not_start_to_serve():
    story = two_promoted()
    story.quarantines(2, revision=9)
    with pytest.raises(RuleBroken, match="artifact_not_good"):
        story.when(change(champion(1, 90), challenger(2, 10)))


@pytest.mark.parametrize(
    ("before", "more"),
    [
        ((champion(1, 90), challenger(2, 10)), (champion(1, 80), challenger(2, 20))),
        ((champion(1, 90), challenger(2, 10)), (challenger(1, 90), champion(2, 10))),
        ((champion(1), Share(2, 0, "standby")), (champion(1), Share(2, 0, "shadow"))),
        ((champion(1), Share(2, 0, "shadow")), (champion(1, 90), challenger(2, 10))),
        ((champion(1), Share(2, 0, "shadow")), (champion(1), challenger(2, 0))),
    ],
)
def test_bytes_that_are_no_longer_good_get_no_more_than_they_have(before, more):
    story = two_promoted()
    story.when(change(*before))
    story.quarantines(2, revision=9)
    with pytest.raises(RuleBroken, match="artifact_not_good"):
        story.when(change(*more))


@pytest.mark.parametrize(
    "less",
    [
        (champion(1, 95), challenger(2, 5)),
        (champion(1), Share(2, 0, "shadow")),
        (champion(1),),
        (champion(1, 80), challenger(2, 10), challenger(3, 10)),
    ],
)
def test_bytes_that_are_no_longer_good_may_keep_what_they_have_or_be_turned_down(less):
    story = two_promoted()
    story.promotes(metadata(3))
    story.when(change(champion(1, 90), challenger(2, 10)))
    story.quarantines(2, revision=9)
    assert names(story.when(change(*less)))[0] == "RolloutChanged"


def test_a_stale_rollout_is_refused():
    story = two_promoted()
    seen = story.model.rollouts["production"].revision
    story.when(change(champion(1, 90), challenger(2, 10), expected=seen))
    with pytest.raises(Stale):
        story.when(change(champion(2), expected=seen))


def test_what_names_no_environment_is_unprocessable():
    with pytest.raises(Unprocessable):
        two_promoted().when(ChangeRollout(MODEL_ID, "Not one", (champion(1),)))


# The way back


def test_a_rollback_goes_to_what_served_before():
    story = switched()
    rolled, archived = story.when(back())
    assert (rolled.from_number, rolled.to_number, rolled.champion.number) == (2, 1, 1)
    assert [(e.number, e.percent, e.role) for e in rolled.entries] == [(1, 100, "champion")]
    assert archived.number == 2
    assert (story.version(1).stage, story.version(2).stage) == ("Production", "Archived")


def test_it_goes_to_what_served_before_the_left_version_first_started():
    story = two_promoted()
    story.when(change(champion(1, 90), challenger(2, 10)))
    story.promotes(metadata(3))
    story.when(change(champion(3, 90), challenger(2, 10)))
    story.when(change(champion(2)))
    (rolled, *_) = story.when(back())
    assert rolled.to_number == 1


def test_it_skips_what_was_recalled_or_rolled_back_from():
    story = switched(metadata(3), metadata(4))
    story.when(RecallVersion(MODEL_ID, 3))
    assert story.when(back())[0].to_number == 2
    story = switched(metadata(3))
    story.when(back())
    story.promotes(metadata(5))
    story.when(change(champion(4)))
    story.when(RecallVersion(MODEL_ID, 2))
    assert story.when(back())[0].to_number == 1


def test_it_skips_bytes_that_are_no_longer_good():
    story = switched(metadata(3))
    story.quarantines(2, revision=9)
    assert story.when(back())[0].to_number == 1


def test_it_skips_a_signature_that_does_not_serve_todays_callers():
    wider = replace(metadata(2), signature=replace(SIGNATURE, inputs=(*SIGNATURE.inputs, Input("x", "int"))))
    story = Story()
    story.promotes()
    story.promotes(wider)
    story.when(change(champion(2)))
    with pytest.raises(RuleBroken, match="no_rollback_target") as broken:
        story.when(back())
    assert "signature" in broken.value.facts["skipped"][0]
    rolled = story.when(back(even_if_incompatible=True))[0]
    assert (rolled.to_number, [c.path for c in rolled.overruled]) == (1, ["inputs.x"])


def test_the_first_champion_has_no_way_back():
    story = Story()
    story.promotes()
    with pytest.raises(RuleBroken, match="no_rollback_target"):
        story.when(back())


def test_nothing_serves_in_an_unknown_environment():
    with pytest.raises(NotFound):
        two_promoted().when(RollBack(MODEL_ID, "lab"))


def test_a_named_target_must_have_served():
    story = switched(metadata(3))
    assert story.when(back(to_number=1))[0].to_number == 1
    story.promotes(metadata(9))
    with pytest.raises(RuleBroken, match="never_served"):
        story.when(back(to_number=4))
    with pytest.raises(RuleBroken, match="already_serving"):
        story.when(back(to_number=1))


def test_rolling_back_twice_walks_further_back():
    story = switched(metadata(3))
    assert story.when(back())[0].to_number == 2
    assert story.when(back())[0].to_number == 1


# Which version serves a request

ENTRIES = (Entry(1, "1.0.0", 90, "champion"), Entry(2, "1.1.0", 10, "challenger"), Entry(3, "1.2.0", 0, "shadow"))


def test_shares_are_kept_within_a_percent_or_two():
    served = [pick(ENTRIES, f"user-{n}").number for n in range(5_000)]
    assert abs(served.count(2) / 5_000 - 0.1) < 0.02
    assert 3 not in served


@given(st.text(max_size=20), st.integers(1, 98))
def test_raising_a_share_moves_keys_to_that_version_only(key, percent):
    before = (Entry(1, "", 100 - percent, "champion"), Entry(2, "", percent, "challenger"))
    after = (Entry(1, "", 99 - percent, "champion"), Entry(2, "", percent + 1, "challenger"))
    assert pick(after, key).number in {pick(before, key).number, 2}
