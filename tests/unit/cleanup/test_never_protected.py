"""The law: in any order of events, cleanup never marks or proposes what is protected, and never raises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.cleanup.domain.retention_events import RetirementProposed, VersionMarked, VersionSpared

from .story import Story, at, simulate

NUMBERS = st.integers(1, 4)
ENVIRONMENTS = st.sampled_from(["production", "eu"])
ROLES = st.sampled_from(["champion", "challenger", "shadow"])

FACTS = st.one_of(
    st.tuples(
        st.sampled_from(
            [
                "VersionValidated",
                "VersionArchived",
                "VersionRejected",
                "VersionRecalled",
                "VersionRetired",
                "RetireRefused",
            ]
        ),
        st.fixed_dictionaries({"number": NUMBERS}),
    ),
    st.tuples(
        st.sampled_from(["LegalHoldPlaced", "LegalHoldReleased"]),
        st.fixed_dictionaries({"number": NUMBERS, "reason": st.just("x")}),
    ),
    st.tuples(
        st.sampled_from(["PromotionRequested", "PromotionRefused", "VersionPromoted"]),
        st.fixed_dictionaries(
            {"number": NUMBERS, "promotion_id": st.sampled_from("pq"), "environment": ENVIRONMENTS}
        ),
    ),
    st.tuples(
        st.just("RolloutChanged"),
        st.fixed_dictionaries(
            {
                "environment": ENVIRONMENTS,
                "entries": st.lists(
                    st.fixed_dictionaries(
                        {"number": NUMBERS, "role": ROLES, "percent": st.sampled_from([0, 10])}
                    ),
                    max_size=3,
                ),
            }
        ),
    ),
    st.tuples(
        st.just("RolledBack"),
        st.fixed_dictionaries(
            {
                "environment": ENVIRONMENTS,
                "from_number": NUMBERS,
                "to_number": NUMBERS,
                "entries": st.lists(
                    st.fixed_dictionaries(
                        {"number": NUMBERS, "role": ROLES, "percent": st.sampled_from([0, 10])}
                    ),
                    max_size=2,
                ),
            }
        ),
    ),
    st.tuples(
        st.sampled_from(["AliasSet", "AliasRemoved"]),
        st.fixed_dictionaries({"alias": st.sampled_from("ab"), "number": NUMBERS}),
    ),
    st.tuples(
        st.sampled_from(["ChildLinked", "ChildUnlinked"]),
        st.fixed_dictionaries(
            {"number": NUMBERS, "child_model_id": st.just("c"), "child_number": st.integers(1, 2)}
        ),
    ),
)

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


SERVING = {"RolloutChanged", "RolledBack"}
STAGES = {
    "VersionValidated": "Validated",
    "VersionArchived": "Archived",
    "VersionRejected": "Rejected",
    "VersionRetired": "Archived",
    "VersionPromoted": "Production",
}


class Registry:
    """Which versions registry would refuse to retire, computed without the code under test."""

    def __init__(self) -> None:
        self.stages: dict[int, str] = {}
        self.recalled: set[int] = set()
        self.retired: set[int] = set()
        self.entries: dict[str, list[dict]] = {}
        self.champions: dict[str, list[int]] = {}
        self.came_after: dict[tuple[str, int], int] = {}
        self.left: set[tuple[str, int]] = set()
        self.aliases: dict[str, int] = {}
        self.holds: set[int] = set()
        self.promotions: dict[str, int] = {}
        self.children: dict[tuple[int, int], int] = {}

    def published(self, name: str, data: dict) -> dict:
        """Return the event as registry publishes it; a change of serving names what served before."""
        if name in SERVING:
            data = data | {"previous": self.entries.get(data["environment"], [])}
            self._serving(name, data)
            return data
        number = data["number"]
        if name in STAGES:
            self.stages[number] = STAGES[name]
        match name:
            case "VersionRetired":
                self.retired.add(number)
            case "VersionRecalled":
                self.recalled.add(number)
            case "LegalHoldPlaced":
                self.holds.add(number)
            case "LegalHoldReleased":
                self.holds.discard(number)
            case "PromotionRequested":
                self.promotions[data["promotion_id"]] = number
            case "PromotionRefused" | "VersionPromoted":
                self.promotions.pop(data["promotion_id"], None)
            case "AliasSet":
                self.aliases[data["alias"]] = number
            case "AliasRemoved":
                self.aliases.pop(data["alias"], None)
            case "ChildLinked":
                self.children[number, data["child_number"]] = number
            case "ChildUnlinked":
                self.children.pop((number, data["child_number"]), None)
        return data

    def _serving(self, name: str, data: dict) -> None:
        environment, entries = data["environment"], data["entries"]
        champions = self.champions.setdefault(environment, [0])
        champion = next((e["number"] for e in entries if e["role"] == "champion"), 0)
        for entry in entries:
            if entry["percent"]:
                self.came_after.setdefault((environment, entry["number"]), champions[-1])
        if champion != champions[-1]:
            champions.append(champion)
        self.entries[environment] = entries
        if name == "RolledBack":
            self.left.add((environment, data["from_number"]))
            self.left.discard((environment, data["to_number"]))
            self.stages[data["to_number"]] = "Production"

    def rollback_targets(self) -> set[int]:
        targets = {champions[-2] for champions in self.champions.values() if len(champions) > 1}
        for environment, entries in self.entries.items():
            for entry in entries:
                passed, number = set(), entry["number"]
                while number and number not in passed:
                    passed.add(number)
                    number = self.came_after.get((environment, number), 0)
                    if (
                        number
                        and number not in self.retired
                        and number not in self.recalled
                        and (environment, number) not in self.left
                    ):
                        targets.add(number)
                        break
        return targets - {0}

    def refuses(self) -> set[int]:
        """The versions that must not go."""
        in_production = {n for n, stage in self.stages.items() if stage == "Production"}
        serving = {e["number"] for entries in self.entries.values() for e in entries}
        named = {*self.aliases.values(), *self.holds, *self.promotions.values(), *self.children.values()}
        return in_production | serving | named | self.rollback_targets()


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_a_protected_version_is_never_marked_or_proposed_and_a_marked_one_has_no_reason_to_stay(steps):
    story, registry, now, sweeps = Story().policy(unknown_seconds=100), Registry(), 0.0, 0
    for number in (1, 2, 3, 4):
        story.register(number)
    for what, data in steps:
        match what:
            case "registry":
                events = story.note(data[0], now, **registry.published(*data))
            case "used":
                events = story.use(data, now)
            case "sweep":
                sweeps += 1
                events = story.sweep(now, f"s{sweeps}")
            case "grace":
                mark = story.state.marks.get(data)
                if mark and not mark.proposed and at(now) < mark.delete_after:
                    continue  # not due yet
                events = story.end_grace(data, now, mark.sweep_id if mark else "none")
            case _:
                now += data
                continue
        for event in events:
            if isinstance(event, VersionMarked | RetirementProposed):
                assert event.number not in registry.refuses()
                use = story.state.uses.get(event.number)
                assert (
                    use is None
                    or (at(now) - use.last_used_at).total_seconds() >= 100
                    or story.state.versions[event.number].stage == "Rejected"
                )
            if isinstance(event, VersionSpared):
                assert event.reasons
        waiting = {n for n, m in story.state.marks.items() if not m.proposed}
        assert not waiting & registry.refuses(), "a mark never outlives what protects the version"


CHAMPIONS = st.tuples(
    st.just("RolloutChanged"),
    st.builds(
        lambda n: {
            "environment": "production",
            "entries": [{"number": n, "role": "champion", "percent": 90}],
        },
        NUMBERS,
    ),
)
BACK = st.tuples(
    st.just("RolledBack"),
    st.builds(
        lambda n, left: {
            "environment": "production",
            "from_number": left,
            "to_number": n,
            "entries": [{"number": n, "role": "champion", "percent": 100}],
        },
        NUMBERS,
        NUMBERS,
    ),
)
LEAVING = st.tuples(
    st.sampled_from(["VersionArchived", "VersionRecalled", "VersionRetired"]),
    st.fixed_dictionaries({"number": NUMBERS}),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(CHAMPIONS, CHAMPIONS, BACK, LEAVING, FACTS), min_size=4, max_size=20))
def test_no_plan_at_any_time_holds_a_version_that_registry_would_refuse(facts):
    story, registry = Story().policy(unknown_seconds=0), Registry()
    for number in (1, 2, 3, 4):
        story.register(number)
    for name, data in facts:
        story.note(name, 1, **registry.published(name, data))
        assert (
            not {e.number for e in simulate(story.state, at(1e6)) if isinstance(e, VersionMarked)}
            & registry.refuses()
        )


@settings(max_examples=100, deadline=None)
@given(STEPS, st.randoms())
def test_usage_totals_do_not_depend_on_the_order_of_arrival(steps, random):
    uses = [(number, 10.0 * i) for i, (what, number) in enumerate(steps) if what == "used"]
    straight, shuffled = Story(), Story()
    for number, seconds in uses:
        straight.use(number, seconds, 2, arriving=10_000)
    random.shuffle(uses)
    for number, seconds in uses:
        shuffled.use(number, seconds, 2, arriving=10_000)
    assert dict(straight.state.uses) == dict(shuffled.state.uses)
    assert dict(straight.state.uses_by_day) == dict(shuffled.state.uses_by_day)
