from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain.model.events import Entry
from services.registry.domain.serving.rollout import ChangeRollout
from services.registry.domain.serving.routing import pick
from services.registry.domain.withdrawal.rejection import RecallVersion
from shared.deciding.decider import RuleBroken, Stale, Unprocessable
from tests.unit.registry.given import MODEL_ID, Story, metadata, names
from tests.unit.registry.serving import (
    Share,
    challenger,
    champion,
    change,
    promote_in_lab,
    retire,
    roll_back,
    served_in_turn,
    two_promoted,
)


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
    story.promote()
    story.validate(metadata(2))
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
    story.register(metadata(3))
    story.validate(metadata(4))
    with pytest.raises(RuleBroken) as broken:
        story.when(change(*shares))
    assert broken.value.code == code


def test_a_promoted_challenger_may_take_more_than_the_cap():
    story = two_promoted()
    assert names(story.when(change(champion(1, 10), challenger(2, 90)))) == ["RolloutChanged"]


def test_production_elsewhere_makes_no_champion_here():
    story = Story()
    story.promote()
    story.promote(metadata(2), environment="lab")
    with pytest.raises(RuleBroken, match="champion_not_promoted"):
        story.when(change(champion(2)))


def test_bytes_that_are_no_longer_good_do_not_start_to_serve():
    story = two_promoted()
    story.quarantine(2, revision=9)
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
    story.quarantine(2, revision=9)
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
    story.promote(metadata(3))
    story.when(change(champion(1, 90), challenger(2, 10)))
    story.quarantine(2, revision=9)
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


def test_challengers_that_are_not_promoted_share_one_cap():
    story = two_promoted()
    story.validate(metadata(3))
    story.validate(metadata(4))
    with pytest.raises(RuleBroken, match="challenger_cap"):
        story.when(change(champion(1, 1), challenger(3, 50), challenger(4, 49)))
    assert names(
        story.when(change(champion(1, 20), challenger(2, 30), challenger(3, 25), challenger(4, 25)))
    ) == ["RolloutChanged"]


def test_a_rollout_has_at_most_twenty_entries():
    story = Story()
    story.promote()
    for n in range(2, 22):
        story.validate(metadata(n))
    shadows = [Share(n, 0, "shadow") for n in range(2, 22)]
    with pytest.raises(Unprocessable, match="at most 20 entries"):
        story.when(change(champion(1), *shadows))
    assert names(story.when(change(champion(1), *shadows[:19]))) == ["RolloutChanged"]


# Who has left, and who is still to come


def left_production_for_lab() -> Story:
    """Version 2 is lab's champion and was rolled back from in production."""
    story = served_in_turn()
    promote_in_lab(story, 2)
    story.when(roll_back())
    assert story.version(2).stage == "Production"
    return story


def test_what_has_left_is_champion_again_by_a_rollback_only():
    story = left_production_for_lab()
    for command in (change(champion(2)), change(champion(1, 40), challenger(2, 60))):
        with pytest.raises(RuleBroken, match=r"served_before|challenger_cap"):
            story.when(command)
    story.when(change(champion(1, 90), challenger(2, 10)))
    with pytest.raises(RuleBroken, match="served_before"):
        story.when(change(champion(2)))
    assert story.when(roll_back(to_number=2))[0].to_number == 2


def test_what_has_left_needs_no_new_promotion_but_a_rollback():
    story = left_production_for_lab()
    with pytest.raises(RuleBroken, match="served_before"):
        story.request_promotion(2, "again")
    assert story.request_promotion(1, "again") == []


def test_who_challenged_before_its_promotion_may_become_champion():
    story = Story()
    story.promote()
    story.validate(metadata(2))
    story.when(change(champion(1, 90), challenger(2, 10)))
    story.when(change(champion(1)))
    story.request_promotion(2, "p2")
    story.grant_promotion("p2", 2)
    assert names(story.when(change(champion(2)))) == ["RolloutChanged", "VersionArchived"]


def test_what_is_promoted_and_yet_to_serve_is_not_archived_for_leaving_elsewhere():
    story = two_promoted()
    promote_in_lab(story, 2)
    story.promote(metadata(3), environment="lab")
    assert names(story.when(change(champion(3), environment="lab"))) == ["RolloutChanged"]
    assert names(story.when(change(champion(2)))) == ["RolloutChanged", "VersionArchived"]


def test_a_promoted_standby_that_never_served_is_not_archived_for_leaving():
    story = two_promoted()
    story.when(change(champion(1), Share(2, 0, "standby")))
    assert names(story.when(change(champion(1)))) == ["RolloutChanged"]
    assert names(story.when(change(champion(2)))) == ["RolloutChanged", "VersionArchived"]


def test_a_switch_archives_what_it_overtakes():
    story = two_promoted()
    story.promote(metadata(3))
    events = story.when(change(champion(3)))
    assert [(type(e).__name__, getattr(e, "number", 0)) for e in events[1:]] == [
        ("VersionArchived", 1),
        ("VersionArchived", 2),
    ]
    assert names(story.when(retire(2))) == ["Noted", "VersionRetired"]


def test_an_older_version_promoted_after_a_newer_champion_may_still_serve():
    story = Story()
    story.promote()
    story.validate(metadata(2))
    story.promote(metadata(3))
    story.when(change(champion(3)))
    story.request_promotion(2, "late")
    story.grant_promotion("late", 2)
    story.validate(metadata(4))
    assert names(story.when(change(champion(3), Share(4, 0, "shadow")))) == ["RolloutChanged"]
    assert names(story.when(change(champion(2)))) == ["RolloutChanged", "VersionArchived"]


def test_what_is_recalled_and_serves_nowhere_is_archived():
    story = two_promoted()
    assert names(story.when(RecallVersion(MODEL_ID, 2))) == ["VersionRecalled", "VersionArchived"]
    assert names(story.when(retire(2))) == ["Noted", "VersionRetired"]
    assert names(story.when(RecallVersion(MODEL_ID, 1))) == ["VersionRecalled"]


# Which version serves a request

ENTRIES = (
    Entry(1, "1.0.0", 90, "champion"),
    Entry(2, "1.1.0", 10, "challenger"),
    Entry(3, "1.2.0", 0, "shadow"),
)


def test_shares_are_kept_within_a_percent_or_two():
    served = [pick(ENTRIES, f"user-{n}").number for n in range(5_000)]
    assert abs(served.count(2) / 5_000 - 0.1) < 0.02
    assert 3 not in served


@given(st.text(max_size=20), st.integers(1, 98))
def test_raising_a_share_moves_keys_to_that_version_only(key, percent):
    before = (Entry(1, "", 100 - percent, "champion"), Entry(2, "", percent, "challenger"))
    after = (Entry(1, "", 99 - percent, "champion"), Entry(2, "", percent + 1, "challenger"))
    assert pick(after, key).number in {pick(before, key).number, 2}
