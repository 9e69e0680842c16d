"""Laws of the model's stream, held against arbitrary histories."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from services.registry.domain import noted
from services.registry.domain.model import events as e
from services.registry.domain.model.events import Evaluation
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import Metadata, Parent, Training
from services.registry.domain.model.state import unusable_because
from services.registry.domain.naming.description import DescribeModel
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from services.registry.domain.serving.alias import RemoveAlias, SetAlias
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.validation.evaluations import RecordEvaluation
from services.registry.domain.versioning.bump import Bump
from services.registry.domain.withdrawal.legal_hold import PlaceLegalHold, ReleaseLegalHold
from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from services.registry.domain.withdrawal.retirement import RetireVersion
from shared.deciding.decider import RuleBroken
from shared.log.snapshots import SnapshotCodec
from tests.unit.registry.given import MODEL_ID, STREAM, a_note, metadata
from tests.unit.registry.serving import served_in_turn

numbers = st.integers(1, 6)
CODEC = SnapshotCodec(MODEL)
environments = st.sampled_from(["production", "lab"])


class Histories(RuleBasedStateMachine):
    """A model with a past in production, with random commands in random order."""

    def __init__(self) -> None:
        super().__init__()
        self.story = served_in_turn(metadata(3))
        self.promotion = 10
        self.ever_validated = {1, 2, 3}
        self.story.register(metadata(11))

    def when(self, act, *args, **kwargs) -> None:
        story = self.story
        before, seen, rollback_targets = story.model, len(story.log[STREAM]), self.rollback_targets()
        with contextlib.suppress(RuleBroken):
            act(*args, **kwargs)
        for event in story.log[STREAM][seen:]:
            HAPPENED.add(type(event).__name__)
            if isinstance(event, e.VersionValidated):
                self.ever_validated.add(event.number)
            if isinstance(event, e.VersionRetired):
                protected = {
                    entry.number for rollout in before.rollouts.values() for entry in rollout.entries
                }
                protected |= {alias.number for alias in before.aliases.values()} | {
                    p.number for p in before.promotions.values()
                }
                protected |= {n for n, v in before.versions.items() if v.held or v.stage == "Production"}
                protected |= {n for n, children in before.children.items() if children}
                assert event.number not in protected | rollback_targets

    def rollback_targets(self) -> set[int]:
        """The nearest predecessor that no rollback left, of everything that gets requests.

        A version whose bytes were refused (`failed`) is none: nothing makes them good.
        """
        found = set()
        for environment, rollout in self.story.model.rollouts.items():
            before, given_up = self.champions_before(environment)
            for entry in rollout.entries:
                path = chain(before, entry.number) if entry.percent else []
                found |= set([n for n in path if n not in given_up and self.can_serve(n)][:1])
        return found

    def can_serve(self, number: int) -> bool:
        version = self.story.version(number)
        return not unusable_because(version) and not version.failed

    def champions_before(self, environment: str) -> tuple[dict[int, int], set[int]]:
        """Which champion each version took its first requests from, and what was rolled back from since."""
        before: dict[int, int] = {}
        given_up: set[int] = set()
        started: list[int] = []
        for event in self.story.log[STREAM]:
            if not isinstance(event, e.RolloutChanged | e.RolledBack) or event.environment != environment:
                continue
            champion, now = (
                next((x.number for x in entries if x.role == "champion"), 0)
                for entries in (event.previous, event.entries)
            )
            first = {
                x.number: champion or (now if x.number != now else 0) for x in event.entries if x.percent
            }
            before = first | before
            if isinstance(event, e.RolledBack):
                back = started.index(event.to_number) < started.index(event.from_number)
                given_up = (given_up | ({event.from_number} if back else set())) - {event.to_number}
            started += [now] if now not in started else []
        return before, given_up

    @rule(artifact=st.integers(1, 9), draft=st.booleans(), parent=st.integers(0, 6))
    def register(self, artifact, draft, parent):
        document = metadata(artifact, metrics=() if draft else metadata().training.metrics)
        if parent:
            document = replace(document, parents=(Parent("team.churn", parent, "base_model", MODEL_ID),))
        self.when(self.story.when, RegisterVersion(MODEL_ID, "team.churn", document, draft=draft))

    @rule(number=numbers)
    def complete(self, number):
        self.when(
            self.story.when,
            AddMetadata(MODEL_ID, number, Metadata(training=Training(metrics=metadata().training.metrics))),
        )

    @rule(number=numbers, revision=st.integers(1, 9), good=st.booleans())
    def note_artifact_verdict(self, number, revision, good):
        if number in self.story.model.versions:
            type_ = noted.ARTIFACT_RELEASED if good else noted.ARTIFACT_MISMATCHED
            self.when(self.story.note_artifact, number, type_, revision)

    @rule(number=numbers, revision=st.integers(1, 9))
    def note_quarantine(self, number, revision):
        if number in self.story.model.versions:
            self.when(self.story.quarantine, number, revision)

    @rule(number=numbers, passed=st.booleans(), stage=st.sampled_from(["Validated", "Production"]))
    def note_gate_verdict(self, number, passed, stage):
        self.when(self.story.note_gates, number, passed=passed, stage=stage)

    @rule(number=numbers)
    def validate(self, number):
        self.note_artifact_verdict(number, 20, good=True)
        self.note_gate_verdict(number, passed=True, stage="Validated")

    @rule(number=numbers, environment=environments)
    def promote(self, number, environment):
        self.promotion += 1
        self.when(self.story.request_promotion, number, f"p{self.promotion}", environment)

    @rule(number=numbers, environment=environments, back=st.integers(0, 3))
    def grant(self, number, environment, back):
        self.when(self.story.grant_promotion, f"p{self.promotion - back}", number, environment)

    @rule(number=st.integers(1, 4), environment=environments, switch=st.booleans())
    def bring_to_production(self, number, environment, switch):
        self.validate(number)
        self.promote(number, environment)
        self.grant(number, environment, 0)
        if switch:
            self.when(
                self.story.when, ChangeRollout(MODEL_ID, environment, (Share(number, 100, "champion"),))
            )

    @rule(
        environment=environments, champion=numbers, challenger=numbers, percent=st.sampled_from([0, 10, 60])
    )
    def roll_out(self, environment, champion, challenger, percent):
        shares = [Share(champion, 100 - percent, "champion")]
        if percent:
            shares.append(Share(challenger, percent, "challenger"))
        self.when(self.story.when, ChangeRollout(MODEL_ID, environment, tuple(shares)))

    @rule(environment=environments, to=st.integers(0, 6), force=st.booleans())
    def roll_back(self, environment, to, force):
        self.when(self.story.when, RollBack(MODEL_ID, environment, to or None, force))

    @rule(number=numbers, value=st.integers(0, 3))
    def evaluate(self, number, value):
        self.when(self.story.when, RecordEvaluation(MODEL_ID, number, Evaluation("f1", float(value), "d")))

    @rule(number=numbers, command=st.sampled_from([RecallVersion, PlaceLegalHold, ReleaseLegalHold]))
    def decide_about(self, number, command):
        self.when(self.story.when, command(MODEL_ID, number))

    @rule(number=numbers)
    def reject(self, number):
        self.when(self.story.when, RejectVersion(MODEL_ID, number, "no"))

    @rule(number=numbers, name=st.sampled_from(["a", "lab"]), remove=st.booleans())
    def alias(self, number, name, remove):
        self.when(
            self.story.when, RemoveAlias(MODEL_ID, name) if remove else SetAlias(MODEL_ID, name, number)
        )

    @rule(tags=st.dictionaries(st.just("k"), st.sampled_from("ab")))
    def describe(self, tags):
        self.when(self.story.when, DescribeModel(MODEL_ID, tags=tags))

    @rule(number=numbers)
    def retire(self, number):
        data = {"model_id": MODEL_ID, "number": number, "rule": "unused", "sweep_id": "s"}
        self.when(
            self.story.when,
            RetireVersion(MODEL_ID, a_note("cleanup", "retention-x", 1, noted.RETIREMENT_PROPOSED, data)),
        )

    @invariant()
    def production_was_validated_and_granted(self):
        model = self.story.model
        for number, version in model.versions.items():
            if version.stage == "Production":
                assert number in self.ever_validated
                assert any(key.endswith(f"/{number}") for key in model.promoted)

    @invariant()
    def what_production_does_not_use_can_be_used_or_is_archived(self):
        model = self.story.model
        serving = {entry.number for rollout in model.rollouts.values() for entry in rollout.entries}
        for number, version in model.versions.items():
            if version.stage == "Production" and number not in serving:
                assert not version.recalled
                refused = self.refused_as_champion(number)
                damaged = bool(version.artifact) and not version.released
                assert not refused or (damaged and "artifact_not_good" in refused)

    def refused_as_champion(self, number: int) -> set[str]:
        """Return why the version cannot be champion in any environment; nothing when it can in one."""
        codes = set()
        for environment in ("production", "lab"):
            try:
                self.story.decide(ChangeRollout(MODEL_ID, environment, (Share(number, 100, "champion"),)))
            except RuleBroken as broken:
                codes.add(broken.code)
            else:
                return set()
        return codes

    @invariant()
    def champions_that_left_came_back_by_rollbacks_only(self):
        left = set()
        for event in self.story.log[STREAM]:
            if isinstance(event, e.RolloutChanged | e.RolledBack):
                was, now = (
                    [x.number for x in entries if x.role == "champion"]
                    for entries in (event.previous, event.entries)
                )
                here = {x.number for x in event.entries}
                assert isinstance(event, e.RolledBack) or not {(event.environment, n) for n in now} & left
                left = left - {(event.environment, n) for n in now} | {
                    (event.environment, n) for n in was if n not in here
                }

    @invariant()
    def rollouts_are_whole_and_of_living_versions(self):
        model = self.story.model
        for environment, rollout in model.rollouts.items():
            assert sum(entry.percent for entry in rollout.entries) == 100
            assert rollout.champion is not None
            assert f"{environment}/{rollout.champion.number}" in model.promoted
            assert all(not model.versions[entry.number].retired for entry in rollout.entries)

    @invariant()
    def numbers_are_unique_and_without_holes(self):
        versions = self.story.model.versions
        assert sorted(versions) == list(range(1, self.story.model.newest + 1))
        semvers = [v.semver for v in versions.values() if v.semver]
        assert len(set(semvers)) == len(semvers)

    @invariant()
    def a_snapshot_comes_back_as_it_was(self):
        assert CODEC.load(CODEC.dump(self.story.model)) == self.story.model


LAWS = (
    Histories.production_was_validated_and_granted,
    Histories.what_production_does_not_use_can_be_used_or_is_archived,
    Histories.champions_that_left_came_back_by_rollbacks_only,
    Histories.rollouts_are_whole_and_of_living_versions,
    Histories.numbers_are_unique_and_without_holes,
    Histories.a_snapshot_comes_back_as_it_was,
)
JUDGED = {
    "VersionRetired",
    "RetireRefused",
    "VersionRejected",
    "VersionPromoted",
    "VersionArchived",
    "RolloutChanged",
    "RolledBack",
}
HAPPENED: set[str] = set()


def chain(before: dict[int, int], number: int) -> list[int]:
    found = []
    while number := before.get(number, 0):
        found.append(number)
    return found


def test_the_laws_hold_in_any_history():
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=120, stateful_step_count=40, deadline=None)
    )


def test_one_history_in_which_the_laws_hold_has_every_event_that_they_judge():
    """Random histories may miss one, and a law of what never happens holds of nothing."""
    HAPPENED.clear()
    machine = Histories()
    steps = (
        lambda: machine.bring_to_production(4, "production", switch=True),
        lambda: machine.roll_back("production", to=0, force=False),
        lambda: machine.retire(3),
        lambda: machine.retire(4),
        lambda: machine.register(artifact=12, draft=False, parent=0),
        lambda: machine.reject(5),
        lambda: machine.retire(5),
        lambda: machine.decide_about(4, RecallVersion),
    )
    for step in steps:
        step()
        for law in LAWS:
            law(machine)
    missing = JUDGED - HAPPENED
    assert not missing


def test_a_version_whose_bytes_were_refused_is_no_rollback_target_and_may_be_retired():
    machine = Histories()  # 1, 2 and 3 served in turn
    machine.note_artifact_verdict(2, revision=30, good=False)
    assert machine.rollback_targets() == {1}
    machine.retire(2)
    assert machine.story.version(2).retired
    machine.roll_back("production", to=0, force=False)
    assert machine.story.model.rollouts["production"].champion.number == 1


def a_long_model(length: int):
    state = MODEL.initial
    document, when = metadata(), datetime(2026, 1, 1, tzinfo=UTC)
    document = replace(document, training=replace(document.training, trained_at=when))
    state = MODEL.evolve(state, e.ModelRegistered("team.churn", "model", "", "low", "", {}))
    for number in range(1, length + 1):
        identity = f"sha256:{number * 2654435761 % 2**60:015x}".ljust(71, "0")
        event = e.VersionRegistered(
            "team.churn",
            "model",
            "low",
            {},
            "",
            number,
            f"1.0.{number}",
            identity,
            document,
            Bump("patch", "x"),
            None,
        )
        state = MODEL.evolve(state, event)
    return state


def test_a_snapshot_holds_a_few_words_of_each_version_and_no_documents():
    """A model of 100,000 versions loads fast after a restart; benchmarks/long_model.py measures how fast."""
    state = a_long_model(1_000)
    stored = CODEC.dump(state)
    assert CODEC.load(stored) == state
    assert len(stored) < 80 * 1_000
