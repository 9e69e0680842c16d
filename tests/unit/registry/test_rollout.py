from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.routing import pick
from services.registry.domain.model.events import Entry
from services.registry.domain.naming.description import DescribeModel
from services.registry.domain.serving.rollout import ChangeRollout
from services.registry.domain.serving.stop import StopRollout
from services.registry.domain.withdrawal.rejection import RecallVersion
from services.registry.domain.withdrawal.reversal import ReopenVersion
from shared.deciding.decider import NotFound, RuleBroken, Stale, Unprocessable
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
    assert names(story.when(change(champion(1, 95), challenger(2, 5)))) == ["RolloutChanged"]
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
    story.when(change(champion(1, 95), challenger(2, 5)))
    assert names(story.when(change(champion(1)))) == ["RolloutChanged"]
    assert story.version(2).stage == "Validated"


@pytest.mark.parametrize(
    ("shares", "code"),
    [
        ((), "invalid_rollout"),
        ((champion(1, 95),), "invalid_rollout"),
        ((champion(1, 50), champion(2, 50)), "invalid_rollout"),
        ((champion(1, 50), challenger(1, 50)), "invalid_rollout"),
        ((champion(1, 110), challenger(2, -10)), "invalid_rollout"),
        ((champion(1, 95), Share(2, 5, "shadow")), "invalid_rollout"),
        ((champion(1, 0), challenger(2, 100)), "invalid_rollout"),
        ((champion(3),), "champion_not_promoted"),
        ((champion(4),), "champion_not_promoted"),
        ((champion(1, 40), challenger(4, 60)), "challenger_cap"),
        ((champion(1, 95), challenger(3, 5)), "not_validated"),
        ((champion(1), Share(3, 0, "shadow")), "not_validated"),
        ((champion(1, 95), challenger(9, 5)), "unknown_version"),
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
    assert names(story.when(change(champion(1, 5), challenger(2, 95)))) == ["RolloutChanged"]


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
        story.when(change(champion(1, 95), challenger(2, 5)))


@pytest.mark.parametrize(
    ("before", "more"),
    [
        ((champion(1, 95), challenger(2, 5)), (champion(1, 80), challenger(2, 20))),
        ((champion(1, 95), challenger(2, 5)), (challenger(1, 95), champion(2, 5))),
        ((champion(1), Share(2, 0, "standby")), (champion(1), Share(2, 0, "shadow"))),
        ((champion(1), Share(2, 0, "shadow")), (champion(1, 95), challenger(2, 5))),
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
        (champion(1, 90), challenger(2, 5), challenger(3, 5)),
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
    story.when(change(champion(1, 95), challenger(2, 5), expected=seen))
    with pytest.raises(Stale):
        story.when(change(champion(2), expected=seen))


def test_an_environment_that_is_not_declared_is_refused_with_the_nearest_name():
    with pytest.raises(NotFound, match="did you mean production") as refused:
        two_promoted().when(ChangeRollout(MODEL_ID, "prodction", (champion(1),)))
    assert refused.value.facts["nearest"] == "production"


def test_challengers_that_are_not_promoted_share_one_cap():
    story = two_promoted()
    story.validate(metadata(3))
    story.validate(metadata(4))
    with pytest.raises(RuleBroken, match="challenger_cap"):
        story.when(change(champion(1, 94), challenger(3, 3), challenger(4, 3)))
    assert names(
        story.when(change(champion(1, 25), challenger(2, 70), challenger(3, 2), challenger(4, 3)))
    ) == ["RolloutChanged"]


@pytest.mark.parametrize(("tier", "cap"), [("low", 10), ("medium", 5), ("high", 0)])
def test_the_cap_of_challengers_follows_the_tier_and_the_refusal_names_it(tier, cap):
    story = two_promoted()
    story.validate(metadata(3))
    story.when(DescribeModel(MODEL_ID, tier=tier, may_approve=True))
    with pytest.raises(RuleBroken, match=f"at most {cap} percent.*tier of team.churn is {tier}") as broken:
        story.when(change(champion(1, 99 - cap), challenger(3, cap + 1)))
    assert (broken.value.code, broken.value.facts) == ("challenger_cap", {"cap": cap, "tier": tier})
    assert names(story.when(change(champion(1, 100 - cap), challenger(3, cap)))) == ["RolloutChanged"]
    assert names(story.when(change(champion(1, 50), challenger(2, 50))))[0] == "RolloutChanged"


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
    story.when(change(champion(1, 95), challenger(2, 5)))
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
    story.when(change(champion(1, 95), challenger(2, 5)))
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


def test_what_is_overtaken_before_it_served_is_validated_again_and_its_grant_is_spent():
    story = two_promoted()
    story.promote(metadata(3))
    events = story.when(change(champion(3)))
    assert [(type(e).__name__, getattr(e, "number", 0)) for e in events[1:]] == [
        ("PromotionSpent", 2),
        ("VersionArchived", 1),
        ("VersionValidated", 2),
    ]
    assert (events[1].promotion_id, events[1].environment, events[1].champion) == ("p2", "production", 3)
    with pytest.raises(RuleBroken, match="champion_not_promoted"):
        story.when(change(champion(2)))
    story.when(change(champion(3, 95), challenger(2, 5)))
    story.request_promotion(2, "again")
    story.grant_promotion("again", 2)
    assert story.when(change(champion(2)))[0].champion.number == 2


def test_a_grant_that_is_spent_is_not_refused_when_its_review_ends_once_more():
    story = two_promoted()
    story.promote(metadata(3))
    story.when(change(champion(3)))
    assert story.grant_promotion("p2", 2) == []


def test_a_promoted_challenger_that_is_dropped_is_validated_again():
    story = two_promoted()
    story.when(change(champion(1, 95), challenger(2, 5)))
    assert names(story.when(change(champion(1)))) == ["RolloutChanged", "PromotionSpent", "VersionValidated"]
    assert story.version(2).stage == "Validated"
    assert names(story.request_promotion(2, "again")) == ["PromotionRequested"]


def test_an_archived_version_is_promoted_elsewhere_and_tried_again_once_its_gates_pass_again():
    story = served_in_turn()
    assert story.version(1).stage == "Archived"
    with pytest.raises(RuleBroken, match=r"not_validated.*reopen"):
        story.when(change(champion(2, 95), challenger(1, 5)))
    promote_in_lab(story, 1)
    assert (story.version(1).stage, story.serves("lab")) == ("Production", 1)
    story.when(StopRollout(MODEL_ID, "lab"))
    assert names(story.when(ReopenVersion(MODEL_ID, 1))) == ["VersionReopened"]
    story.note_gates(1, passed=False)
    assert story.version(1).stage == "Staging"
    assert names(story.note_gates(1)) == ["Noted", "VersionValidated"]
    assert names(story.when(change(champion(2, 95), challenger(1, 5)))) == ["RolloutChanged"]
    assert story.when(ReopenVersion(MODEL_ID, 1)) == []


def test_a_promotion_switches_no_requests_unless_the_request_has_serve():
    story = Story()
    story.validate()
    (requested,) = story.request_promotion(1, "p1")
    assert not requested.serve
    assert names(story.grant_promotion("p1", 1)) == ["Noted", "VersionPromoted"]
    assert (story.serves(), story.version(1).stage) == (0, "Production")
    assert names(story.when(change(champion(1)))) == ["RolloutChanged"]


def test_serve_is_refused_where_a_version_serves_and_never_moves_its_requests():
    story = Story()
    story.validate()
    story.promote(metadata(2))
    with pytest.raises(RuleBroken, match="serves_already"):
        story.request_promotion(1, "p1", serve=True)
    story.validate(metadata(3))
    for n in (1, 3):
        story.request_promotion(n, f"lab{n}", "lab", serve=True)
    story.grant_promotion("lab3", 3, "lab")
    assert names(story.grant_promotion("lab1", 1, "lab")) == ["Noted", "VersionPromoted"]
    assert story.serves("lab") == 3


def test_a_stopped_rollout_serves_nothing_until_a_version_is_named():
    story = served_in_turn()
    seen = story.model.rollouts["production"].revision
    stopped, archived = story.when(StopRollout(MODEL_ID, "production", seen))
    assert (stopped.entries, [e.number for e in stopped.previous], archived.number) == ((), [2], 2)
    assert story.when(StopRollout(MODEL_ID, "production")) == []
    with pytest.raises(Stale):
        story.when(StopRollout(MODEL_ID, "production", seen))
    with pytest.raises(NotFound):
        story.when(StopRollout(MODEL_ID, "lab"))
    for number in (1, 2):
        assert names(story.when(retire(number)))[-1] == "RetireRefused"
    with pytest.raises(RuleBroken, match=r"rollout_stopped.*\(2, 1\)") as broken:
        story.when(roll_back())
    assert broken.value.facts["targets"] == [2, 1]
    assert story.when(roll_back(to_number=2))[0].to_number == 2
    assert story.when(roll_back())[0].to_number == 1


def test_after_a_stop_a_promoted_version_starts_and_a_rollback_goes_to_what_served_before_the_stop():
    story = served_in_turn()
    story.when(StopRollout(MODEL_ID, "production"))
    story.promote(metadata(3))
    assert story.serves() == 3
    assert story.when(roll_back())[0].to_number == 2


def test_the_champion_that_the_caller_saw_is_checked():
    story = served_in_turn()
    story.promote(metadata(3))
    for command in (change(champion(3), from_number=1), StopRollout(MODEL_ID, "production", from_number=1)):
        with pytest.raises(Stale, match="2 \\(champion, 100 %\\) serves in production"):
            story.when(command)
    assert names(story.when(change(champion(3), from_number=2)))[0] == "RolloutChanged"


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
