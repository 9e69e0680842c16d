"""The law: whatever happened in whatever order, cleanup never marks or proposes what is protected, and never raises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.cleanup.domain.retention_state import RetirementProposed, VersionMarked, VersionSpared

from .story import Story, at

NUMBERS = st.integers(1, 4)
ENVIRONMENTS = st.sampled_from(["production", "eu"])
ROLES = st.sampled_from(["champion", "challenger", "shadow"])

FACTS = st.one_of(
    st.tuples(st.sampled_from(["VersionValidated", "VersionArchived", "VersionRejected", "VersionRecalled", "VersionRetired", "RetireRefused"]),
              st.fixed_dictionaries({"number": NUMBERS})),
    st.tuples(st.sampled_from(["LegalHoldPlaced", "LegalHoldReleased"]), st.fixed_dictionaries({"number": NUMBERS, "reason": st.just("x")})),
    st.tuples(st.sampled_from(["PromotionRequested", "PromotionRefused", "VersionPromoted"]),
              st.fixed_dictionaries({"number": NUMBERS, "promotion_id": st.sampled_from("pq"), "environment": ENVIRONMENTS})),
    st.tuples(st.just("RolloutChanged"),
              st.fixed_dictionaries({"environment": ENVIRONMENTS,
                                     "entries": st.lists(st.fixed_dictionaries({"number": NUMBERS, "role": ROLES, "percent": st.sampled_from([0, 10])}), max_size=3)})),
    st.tuples(st.just("RolledBack"),
              st.fixed_dictionaries({"environment": ENVIRONMENTS, "from_number": NUMBERS, "to_number": NUMBERS,
                                     "entries": st.lists(st.fixed_dictionaries({"number": NUMBERS, "role": ROLES, "percent": st.sampled_from([0, 10])}), max_size=2)})),
    st.tuples(st.sampled_from(["AliasSet", "AliasRemoved"]), st.fixed_dictionaries({"alias": st.sampled_from("ab"), "number": NUMBERS})),
    st.tuples(st.sampled_from(["ChildLinked", "ChildUnlinked"]), st.fixed_dictionaries({"number": NUMBERS, "child_model_id": st.just("c"), "child_number": st.integers(1, 2)})),
)  # fmt: skip

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("registry"), FACTS),
        st.tuples(st.just("used"), NUMBERS),
        st.tuples(st.just("sweep"), st.none()),
        st.tuples(st.just("grace"), NUMBERS),
        st.tuples(st.just("wait"), st.sampled_from([1, 40, 60, 120])),
    ),
    max_size=60,
)


def protected(story: Story) -> set[int]:
    """Told again, from the plain facts: not by the code under test."""
    s = story.state
    numbers = {n for n, v in s.versions.items() if v.stage == "Production"}
    numbers |= {n for r in s.rollouts.values() for n in r.entries}
    numbers |= set(s.aliases.values()) | set(s.holds) | set(s.promotions.values())
    return numbers | set(s.children.values())


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_what_is_protected_is_never_marked_or_proposed_and_what_is_marked_has_no_reason_to_stay(steps):
    story, now, sweeps = Story().policy(unknown_seconds=100), 0.0, 0
    for number in (1, 2, 3, 4):
        story.version(number)
    for what, told in steps:
        match what:
            case "registry":
                events = story.registry(told[0], now, **told[1])
            case "used":
                events = story.used(told, now)
            case "sweep":
                sweeps += 1
                events = story.swept(now, f"s{sweeps}")
            case "grace":
                mark = story.state.marks.get(told)
                events = story.grace_over(told, now, mark.sweep_id if mark else "none")
            case _:
                now += told
                continue
        for event in events:
            if isinstance(event, VersionMarked | RetirementProposed):
                assert event.number not in protected(story)
                use = story.state.uses.get(event.number)
                assert use is None or (at(now) - use.last_used_at).total_seconds() >= 100 or story.state.versions[event.number].stage == "Rejected"
            if isinstance(event, VersionSpared):
                assert event.reasons
        waiting = {n for n, m in story.state.marks.items() if not m.proposed}
        assert not waiting & protected(story), "a mark never outlives what protects the version"


@settings(max_examples=100, deadline=None)
@given(STEPS, st.randoms())
def test_usage_totals_do_not_depend_on_the_order_of_arrival(steps, random):
    uses = [(number, 10.0 * i) for i, (what, number) in enumerate(steps) if what == "used"]
    straight, shuffled = Story(), Story()
    for number, seconds in uses:
        straight.used(number, seconds, 2, arriving=10_000)
    random.shuffle(uses)
    for number, seconds in uses:
        shuffled.used(number, seconds, 2, arriving=10_000)
    assert dict(straight.state.uses) == dict(shuffled.state.uses)
    assert dict(straight.state.uses_by_day) == dict(shuffled.state.uses_by_day)
