from __future__ import annotations

import msgspec
import pytest

from services.cleanup.domain.noted import read_message
from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention_commands import ChangeRetention, NoteRegistryEvent
from services.cleanup.domain.retention_events import RetirementProposed, UsageRecorded, VersionMarked
from shared.deciding.decider import RuleBroken, Stale, Unprocessable
from shared.deciding.events import Noted, Source

from .story import MODEL, QUICK, Story, at, codes, kinds, simulate


def an_unused_version() -> Story:
    story = Story().policy().register(1)
    story.use(1, 10)
    return story


def test_a_version_unused_for_longer_than_allowed_is_marked_with_rule_and_end_of_grace_period():
    story = an_unused_version()
    [marked] = story.sweep(200)
    assert isinstance(marked, VersionMarked)
    assert (marked.number, marked.semver, marked.rule, marked.delete_after) == (1, "1.0.1", "unused", at(250))


def test_after_the_grace_period_the_retirement_is_proposed_once():
    story = an_unused_version()
    story.sweep(200)
    [proposed] = story.end_grace(1, 250)
    assert isinstance(proposed, RetirementProposed)
    assert (proposed.number, proposed.sweep_id, proposed.rule) == (1, "s1", "unused")
    assert story.end_grace(1, 251) == []


def test_nothing_is_proposed_before_the_grace_period_is_over():
    story = an_unused_version()
    story.sweep(200)
    with pytest.raises(
        RuleBroken, match="not_due"
    ):  # no outcome: the inbox would answer every later attempt with "nothing"
        story.end_grace(1, 249)


def test_a_version_without_any_usage_signal_is_unknown_and_stays():
    story = Story().policy().register(1)
    [spared] = story.sweep(10_000)
    assert codes(spared) == {"usage_unknown"}


def test_the_policy_decides_how_long_unknown_is_kept():
    story = Story().policy(unknown_seconds=300).register(1)
    assert codes(story.sweep(299)[0]) == {"usage_unknown"}
    assert story.sweep(300, "s2")[0].rule == "unknown_usage"


def test_a_version_used_recently_stays():
    story = an_unused_version()
    assert codes(story.sweep(50)[0]) == {"used_recently"}


def test_use_during_the_grace_period_unmarks_the_version_and_nothing_is_proposed():
    story = an_unused_version()
    story.sweep(200)
    events = story.use(1, 220)
    assert kinds(events) == ["UsageRecorded", "VersionSpared"]
    assert events[1].unmarked
    assert codes(events[1]) == {"used_recently"}
    assert story.end_grace(1, 250) == []


def test_use_so_long_ago_that_it_changes_nothing_leaves_the_mark():
    story = an_unused_version()
    story.sweep(200)
    assert kinds(story.use(1, 50, arriving=210)) == ["UsageRecorded"]
    assert kinds(story.end_grace(1, 250)) == ["RetirementProposed"]


PROTECTIONS = [
    ("in_production", [("VersionPromoted", {"environment": "production", "promotion_id": "p"})]),
    (
        "in_rollout",
        [
            (
                "RolloutChanged",
                {"environment": "eu", "entries": [{"number": 1, "role": "shadow", "percent": 0}]},
            )
        ],
    ),
    ("aliased", [("AliasSet", {"alias": "candidate"})]),
    ("legal_hold", [("LegalHoldPlaced", {"reason": "lawsuit"})]),
    ("open_promotion", [("PromotionRequested", {"promotion_id": "p", "environment": "production"})]),
    ("parent_of_live_version", [("ChildLinked", {"child_model_id": "other", "child_number": 7})]),
]


def test_a_promotion_outside_production_does_not_protect_by_its_stage():
    story = an_unused_version()
    story.note("VersionPromoted", 20, number=1, environment="staging", promotion_id="p", production=False)
    assert kinds(story.sweep(1000)) == ["VersionMarked"]


@pytest.mark.parametrize(("code", "protecting"), PROTECTIONS)
def test_a_protected_version_is_spared_with_the_reason_named(code, protecting):
    story = an_unused_version()
    for type_, data in protecting:
        story.note(type_, 20, number=1, **data)
    assert codes(story.sweep(1000)[0]) == {code}


@pytest.mark.parametrize(("code", "protecting"), PROTECTIONS)
def test_a_version_protected_during_grace_is_unmarked_immediately_and_not_proposed(code, protecting):
    story = an_unused_version()
    story.sweep(200)
    events = [event for type_, data in protecting for event in story.note(type_, 210, number=1, **data)]
    assert kinds(events) == ["Noted", "VersionSpared"]
    assert codes(events[-1]) == {code}
    assert story.end_grace(1, 250) == []


@pytest.mark.parametrize(
    ("placed", "released"),
    [
        (("AliasSet", {"alias": "a"}), ("AliasRemoved", {"alias": "a"})),
        (("LegalHoldPlaced", {}), ("LegalHoldReleased", {})),
        (("PromotionRequested", {"promotion_id": "p"}), ("PromotionRefused", {"promotion_id": "p"})),
    ],
)
def test_once_the_protection_ends_the_version_may_be_marked(placed, released):
    story = an_unused_version()
    story.note(placed[0], 20, number=1, **placed[1])
    story.note(released[0], 30, number=1, **released[1])
    assert kinds(story.sweep(1000)) == ["VersionMarked"]


def test_an_alias_moved_to_another_version_no_longer_protects_the_first():
    story = an_unused_version().register(2)
    story.note("AliasSet", 20, number=1, alias="candidate")
    story.note("AliasSet", 30, number=2, alias="candidate")
    assert kinds(story.sweep(1000, last=1)) == ["VersionMarked"]


def test_a_parent_may_go_when_its_last_child_is_gone():
    story = an_unused_version()
    for child in (7, 8):
        story.note("ChildLinked", 20, number=1, child_model_id="other", child_number=child)
    story.note("ChildUnlinked", 30, number=1, child_model_id="other", child_number=7)
    assert codes(story.sweep(1000)[0]) == {"parent_of_live_version"}
    story.note("ChildUnlinked", 1010, number=1, child_model_id="other", child_number=8)
    assert kinds(story.sweep(1020, "s2")) == ["VersionMarked"]


def serving(
    story: Story, seconds: float, *numbers: int, type_: str = "RolloutChanged", **data: object
) -> None:
    entries = [
        {"number": n, "percent": 90 if i == 0 else 10, "role": "champion" if i == 0 else "challenger"}
        for i, n in enumerate(numbers)
    ]
    champion = story.state.rollouts["production"].champion if "production" in story.state.rollouts else 0
    previous = [{"number": champion, "percent": 100, "role": "champion"}] if champion else []
    story.note(type_, seconds, environment="production", entries=entries, previous=previous, **data)


def three_generations() -> Story:
    """1, 2 and 3 served in turn. 3 serves now; the others were last used at 10."""
    story = Story().policy().register(1).register(2).register(3)
    for number in (1, 2, 3):
        story.use(number, 10)
        story.note(
            "VersionPromoted", 20 + number, number=number, environment="production", promotion_id=f"p{number}"
        )
        serving(story, 20 + number, number)
        if number > 1:
            story.note("VersionArchived", 20 + number, number=number - 1)
    return story


def test_the_rollback_target_stays_and_the_one_before_it_may_go():
    one, two, three = three_generations().sweep(1000)
    assert isinstance(one, VersionMarked)
    assert codes(two) == {"rollback_target"}
    assert codes(three) == {"in_production", "in_rollout"}


def test_after_a_rollback_the_predecessor_of_the_restored_version_is_the_target_and_the_left_one_too():
    story = three_generations()
    serving(story, 40, 2, type_="RolledBack", from_number=3, to_number=2, reason="errors")
    story.note("VersionArchived", 40, number=3)
    assert story.state.versions[2].stage == "Production"
    assert story.state.versions[3].stage == "Archived"
    one, two, three = story.sweep(1000)
    assert codes(one) == {"rollback_target"}
    assert codes(two) == {"in_production", "in_rollout"}
    assert codes(three) == {"rollback_target"}, "it served just before: kept until another version has"


def test_a_recalled_version_is_no_rollback_target_but_the_one_before_it_is():
    story = three_generations()
    story.note("VersionRecalled", 40, number=2, reason="poisoned")
    one, two, _three = story.sweep(1000)
    assert codes(one) == {"rollback_target"}
    assert codes(two) == {"rollback_target"}, "it served just before; registry decides"


def test_a_version_that_left_production_recently_stays_although_it_is_unused():
    story = Story().policy(left_production_seconds=500).register(1)
    story.use(1, 10)
    story.note("VersionPromoted", 20, number=1, environment="production", promotion_id="p")
    story.note("VersionArchived", 30, number=1)
    assert codes(story.sweep(400)[0]) == {"left_production_recently"}
    assert kinds(story.sweep(530, "s2")) == ["VersionMarked"]


def test_every_reason_is_named_not_only_the_first():
    story = an_unused_version()
    story.note("AliasSet", 20, number=1, alias="a")
    story.note("LegalHoldPlaced", 20, number=1, reason="x")
    assert codes(story.sweep(50)[0]) == {"aliased", "legal_hold", "used_recently"}


def test_the_newest_versions_stay_and_rejected_ones_do_not_count_among_them():
    story = Story().policy(keep_newest=2)
    for number in (1, 2, 3, 4):
        story.register(number)
        story.use(number, 1)
    story.note("VersionRejected", 2, number=4, reasons=["checksum"])
    first, *others = story.sweep(1000)
    assert isinstance(first, VersionMarked)
    assert [codes(e) for e in others[:2]] == [{"among_newest"}, {"among_newest"}]
    assert others[2].rule == "rejected"


def test_a_recalled_version_does_not_count_among_the_newest():
    story = Story().policy(keep_newest=1)
    for number in (1, 2):
        story.register(number)
        story.use(number, 1)
    story.note("VersionRecalled", 2, number=2, reason="poisoned")
    one, two = story.sweep(1000)
    assert codes(one) == {"among_newest"}
    assert isinstance(two, VersionMarked)


@pytest.mark.parametrize(("type_", "rule"), [("DraftRegistered", "draft"), ("VersionRejected", "rejected")])
def test_a_version_that_can_not_be_used_goes_by_its_age_alone(type_, rule):
    story = Story().policy()
    story.note(type_, number=1)
    assert codes(story.sweep(99)[0]) == {f"{rule}_recent"}
    assert story.sweep(100, "s2")[0].rule == rule


def test_a_completed_draft_is_judged_as_any_other_version():
    story = Story().policy()
    story.note("DraftRegistered", number=1)
    assert codes(story.register(1, 50).sweep(1000)[0]) == {"usage_unknown"}


def test_a_challenger_counts_as_having_served_after_the_champion_of_its_first_day():
    story = Story().policy().register(1).register(2)
    for number in (1, 2):
        story.use(number, 10)
    serving(story, 20, 1)
    serving(story, 30, 1, 2)
    serving(story, 40, 2)
    assert codes(story.sweep(1000)[0]) == {"rollback_target"}


def test_a_retired_version_is_not_judged_again():
    story = an_unused_version()
    story.sweep(200)
    story.end_grace(1, 250)
    story.note("VersionRetired", 260, number=1)
    assert story.sweep(1000, "s2") == []
    assert 1 not in story.state.marks


def test_a_refused_proposal_is_judged_again_by_the_next_sweep():
    story = an_unused_version()
    story.sweep(200)
    story.end_grace(1, 250)
    assert codes(story.sweep(260, "s2")[0]) == {"already_proposed"}, "registry has not answered yet"
    story.note("RetireRefused", 270, number=1, reasons=["in_rollout"])
    assert kinds(story.sweep(300, "s3")) == ["VersionMarked"]


def test_the_next_sweep_reports_a_marked_version_and_keeps_its_mark():
    story = an_unused_version()
    story.sweep(200)
    [again] = story.sweep(210, "s2")
    assert (codes(again), again.unmarked) == ({"already_marked"}, False)
    assert kinds(story.end_grace(1, 250)) == ["RetirementProposed"]


def test_an_older_revision_of_registry_changes_nothing():
    story = an_unused_version()
    story.note("AliasSet", 20, number=1, alias="a")
    source = Source("registry", f"model-{MODEL}", 1, "regista.registry.AliasRemoved.v1", "late")
    assert story.when(NoteRegistryEvent(source, "00", {"model_id": MODEL, "alias": "a"}, at(30))) == []


def test_counts_add_up_in_absolute_totals_and_the_last_use_never_runs_backwards():
    story = Story().policy().register(1)
    story.use(1, 100, 5)
    [late] = story.use(1, 50, 2, arriving=101)
    assert isinstance(late, UsageRecorded)
    assert (late.total, late.day_total, late.last_used_at) == (7, 7, at(100))


def test_a_reporter_whose_clock_runs_ahead_can_not_protect_a_version_for_years():
    story = Story().policy().register(1)
    [event] = story.use(1, 10_000_000, arriving=10)
    assert event.last_used_at == at(10)


def test_use_that_arrives_before_the_version_was_noted_still_counts():
    story = Story().policy()
    story.use(1, 10, 3)
    story.register(1)
    assert codes(story.sweep(50)[0]) == {"used_recently"}


def test_a_new_policy_unmarks_what_it_would_keep():
    story = an_unused_version()
    story.sweep(200)
    events = story.when(ChangeRetention(MODEL, RetentionPolicy(keep_newest=0), now=at(210)))
    assert kinds(events) == ["RetentionChanged", "VersionSpared"]


def test_the_same_policy_again_is_no_event():
    story = Story().policy()
    assert story.when(ChangeRetention(MODEL, QUICK, now=at(1))) == []


def test_a_policy_change_on_a_stale_revision_is_refused():
    story = Story().policy()
    with pytest.raises(Stale):
        story.when(
            ChangeRetention(MODEL, RetentionPolicy(), expected=story.state.policy_revision + 1, now=at(1))
        )


def test_a_negative_duration_is_refused():
    with pytest.raises(Unprocessable):
        Story().policy(grace_seconds=-1)


def test_a_simulation_gives_the_plan_of_a_sweep_and_changes_nothing():
    story = an_unused_version().register(2)
    before = story.state
    plan = simulate(story.state, at(200))
    assert kinds(plan) == ["VersionMarked", "VersionSpared"]
    assert story.state is before
    assert kinds(simulate(story.state, at(200), RetentionPolicy())) == ["VersionSpared", "VersionSpared"]


def test_a_sweep_over_a_range_judges_only_its_versions():
    story = Story().policy()
    for number in range(1, 11):
        story.register(number)
    assert [e.number for e in story.sweep(10, first=4, last=6)] == [4, 5, 6]


def test_a_noted_event_keeps_registrys_data():
    story = Story()
    [noted] = story.note("ModelRegistered", model="fraud.churn")
    assert isinstance(noted, Noted)
    assert story.state.model == "fraud.churn"


def test_a_note_stores_only_the_fields_that_a_verdict_reads():
    document = msgspec.json.encode(
        {
            "model_id": MODEL,
            "model": "churn",
            "number": 1,
            "semver": "1.0.0",
            "training": {"config": {"depth": 3}},
        }
    )
    data = read_message("regista.registry.VersionRegistered.v1", document, at(5))
    assert msgspec.to_builtins(data) == {
        "model_id": MODEL,
        "model": "churn",
        "number": 1,
        "semver": "1.0.0",
        "recordedtime": "2026-01-01T00:00:05Z",
    }
