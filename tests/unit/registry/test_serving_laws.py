"""Laws of serving, held against random histories: the advice of each refusal works in its state."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from services.registry.domain import noted
from services.registry.domain.model import events as e
from services.registry.domain.model.metadata import Input
from services.registry.domain.model.state import unusable_because
from services.registry.domain.naming.description import DescribeModel
from services.registry.domain.promotion.promotion import RequestPromotion
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share, way_to_champion
from services.registry.domain.serving.stop import StopRollout
from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from services.registry.domain.withdrawal.reversal import ReinstateVersion, ReopenVersion
from shared.deciding.decider import RuleBroken
from tests.unit.registry.given import MODEL_ID, SIGNATURE, STREAM, Story, metadata
from tests.unit.registry.serving import served_in_turn

numbers = st.integers(1, 6)
environments = st.sampled_from(["production", "lab", "staging"])
"""Only staging is no production environment."""
CANNOT_SERVE = {"version_withdrawn", "version_rejected", "version_retired", "artifact_not_good"}
SEEN: set[str] = set()
"""Events, codes of refusals and situations that a history came to."""
OUTCOMES = {
    *("RolledBack", "PromotionSpent", "VersionReopened", "VersionReinstated", "VersionArchived"),
    *("the end of a split", "champion_not_promoted", "served_before", "challenger_cap"),
    *("no_rollback_target", "rollout_stopped", "not_validated", "never_served", "champion_unfit"),
}


def copy_of(story: Story) -> Story:
    log = defaultdict(list, {stream: list(events) for stream, events in story.log.items()})
    return Story(dict(story.states), log, story.gate_revision)


def champion_in(entries: tuple[e.Entry, ...]) -> int:
    return next((x.number for x in entries if x.role == "champion"), 0)


class Serving(RuleBasedStateMachine):
    """A model with a past in production, with commands about traffic in random order."""

    def __init__(self) -> None:
        super().__init__()
        self.story = served_in_turn()
        self.story.promote(metadata(3))
        self.story.validate(metadata(4))
        self.set_tier("low")
        self.artifact_revision = self.promotion = 10
        self.champions: dict[str, list[int]] = defaultdict(list)
        self.rolled_back_from: dict[str, set[int]] = defaultdict(set)
        self.judge(0)

    def judge(self, seen: int) -> None:
        """Keep from the log alone what was champion and what was rolled back from."""
        for event in self.story.log[STREAM][seen:]:
            SEEN.add(type(event).__name__)
            if not isinstance(event, e.RolloutChanged | e.RolledBack):
                continue
            started, now = self.champions[event.environment], champion_in(event.entries)
            if isinstance(event, e.RolledBack):
                marks = self.rolled_back_from[event.environment]
                if event.from_number and started.index(now) < started.index(event.from_number):
                    marks.add(event.from_number)
                marks.discard(now)
            if now and now not in started:
                started.append(now)
        self.stages_follow_production()

    def stages_follow_production(self) -> None:
        """A champion of a production environment is Production, and nothing else makes a version so."""
        model, log = self.story.model, self.story.log[STREAM]
        live = [name for name in model.rollouts if name != "staging"]
        serve = {x.number for name in live for x in model.rollouts[name].entries}
        waits = {n for key, n in model.waiting.items() if not key.startswith("staging/")}
        granted = {x.number for x in log if isinstance(x, e.VersionPromoted) and x.production}
        for number, version in model.versions.items():
            if version.stage == "Production":
                assert number in granted
                assert number in serve | waits
        for name in live:
            if number := champion_in(model.rollouts[name].entries):
                assert model.versions[number].stage == "Production"
        if (staging := model.rollouts.get("staging")) and (number := champion_in(staging.entries)):
            version = model.versions[number]
            assert unusable_because(version) or version.stage in {"Validated", "Production"}

    def when(self, command: Any) -> None:
        seen = len(self.story.log[STREAM])
        try:
            self.story.when(command)
        except RuleBroken as broken:
            SEEN.add(broken.code)
            self.refusal = broken
            self.follow_the_advice(broken, command)
        self.judge(seen)

    def follow_the_advice(self, broken: RuleBroken, command: Any) -> None:
        """Do what the refusal names, on a copy of the story: it must not be refused."""
        environment, number = getattr(command, "environment", ""), broken.facts.get("number", 0)
        for target in broken.facts.get("targets", ()):
            assert copy_of(self.story).when(RollBack(MODEL_ID, environment, target, True))
        if "stop the rollout" in broken.detail:
            assert copy_of(self.story).when(StopRollout(MODEL_ID, environment))
        if "repeat with even_if_incompatible" in broken.detail:
            assert copy_of(self.story).when(replace(command, even_if_incompatible=True))
        if broken.code == "version_withdrawn":
            assert copy_of(self.story).when(ReinstateVersion(MODEL_ID, number, "another"))
        if broken.code == "challenger_cap":
            self.lowers(command, broken.facts["cap"])
        if step := broken.facts.get("next_step"):
            number = number if broken.code != "serves_already" else command.number
            self.takes(step, copy_of(self.story), environment, number or command.number)

    def lowers(self, command: ChangeRollout, cap: int) -> None:
        here, done = command.environment, self.story.model.promoted
        trials = [s for s in command.shares if s.role == "challenger" and f"{here}/{s.number}" not in done]
        lower = replace(trials[0], percent=cap) if cap else replace(trials[0], percent=0, role="shadow")
        rest = replace(command.shares[0], percent=100 - lower.percent)
        story = copy_of(self.story)
        story.when(replace(command, shares=(rest, lower)))
        assert story.model.rollouts[command.environment].entries[1].percent == cap

    def takes(self, step: str, story: Story, environment: str, number: int) -> None:
        """One step towards champion; it must not be refused."""
        match step:
            case "promote":
                story.request_promotion(number, "advice", environment)
                if promotion := story.model.promotions.get("advice"):
                    story.grant_promotion("advice", promotion.number, environment)
                else:  # an equal request is open already
                    ((id_, _),) = [
                        (i, p)
                        for i, p in story.model.promotions.items()
                        if (p.number, p.environment) == (number, environment)
                    ]
                    story.grant_promotion(id_, number, environment)
            case "switch":
                story.when(ChangeRollout(MODEL_ID, environment, (Share(number, 100, "champion"),)))
            case "rollback":
                assert story.when(RollBack(MODEL_ID, environment, number, even_if_incompatible=True))
            case "verify":
                story.note_artifact(number, revision=999)
                assert story.version(number).released
            case "restore":  # as artifact does for quarantined versions when a good copy arrives
                self.publishes_again(story, number)
                story.note_artifact(number, revision=999)
                assert story.version(number).released
            case "register":
                again = self.publishes_again(story, number)
                for _ in range(5):
                    if story.serves(environment) == again:
                        return
                    next_ = way_to_champion(story.model, environment, again)[0]
                    self.takes(next_, story, environment, again)
                assert story.serves(environment) == again
            case "wait":
                story.note_artifact(number, revision=999)
                story.note_gates(number)
                assert story.version(number).stage == "Validated"
            case "reopen":
                assert story.when(ReopenVersion(MODEL_ID, number))
            case _:
                raise AssertionError(f"no one can take the step {step}")

    def publishes_again(self, story: Story, number: int) -> int:
        """Register the files of a version again, and they are good. Return the number of that version.

        It is a new one, except while an earlier repetition waits for the verification of its bytes.
        """
        document = story.log[STREAM][story.version(number).document - 1].metadata
        newest, same = story.model.newest, story.digest_of(number)
        waiting = [
            n for n, v in story.model.versions.items() if not v.artifact and story.digest_of(n) == same
        ]
        again = story.register(document)
        assert again == newest + 1 or waiting
        again = again if again > newest else waiting[-1]
        story.note_artifact(again, revision=999)
        assert story.version(again).released
        return again

    @rule(number=numbers, environment=environments)
    def what_may_be_used_can_become_champion(self, number, environment):
        """By the steps that the refusals name, from any state: what was approved and never served, too."""
        version = self.story.model.versions.get(number)
        if version is None or unusable_because(version):
            return
        story = copy_of(self.story)
        for _ in range(5):
            if story.serves(environment) == number:
                return
            step = way_to_champion(story.model, environment, number)[0]
            self.takes(step, story, environment, number)
            if step == "register":
                return
        assert story.serves(environment) == number

    @rule(number=numbers, environment=environments)
    def what_was_champion_can_be_gone_back_to_or_the_refusal_states_why_not(self, number, environment):
        champion = self.story.serves(environment)
        if number in set(self.champions[environment]) - {champion}:
            code = ""
            try:
                rolled = copy_of(self.story).when(RollBack(MODEL_ID, environment, number, True))
                assert rolled[0].to_number == number
            except RuleBroken as broken:
                code = broken.code
            assert code in {"", *CANNOT_SERVE}

    @rule(environment=environments, force=st.booleans(), doubtful=st.sets(numbers, max_size=2))
    def roll_back(self, environment, force, doubtful):
        before, seen = self.story.model, len(self.story.log[STREAM])
        marks = set(self.rolled_back_from[environment])
        doubts = dict.fromkeys(doubtful, "shares data with a withdrawn version")
        self.when(RollBack(MODEL_ID, environment, even_if_incompatible=force, doubts=doubts))
        if len(self.story.log[STREAM]) == seen:
            return
        rolled = self.story.log[STREAM][seen]
        shares = {x.number: x.percent for x in before.rollouts[environment].entries}
        raised = {x.number for x in rolled.entries if x.percent > shares.get(x.number, 0)}
        if sum(percent > 0 for percent in shares.values()) > 1:
            SEEN.add("the end of a split")
            assert raised == {champion_in(before.rollouts[environment].entries)}
        else:
            assert raised == {rolled.to_number}
            assert rolled.to_number in set(self.champions[environment]) - marks
            assert not before.versions[rolled.to_number].recalled
            assert not before.versions[rolled.to_number].retired
            assert bool(rolled.warning) == (rolled.to_number in doubts)

    @rule(environment=environments, number=numbers)
    def roll_back_by_name(self, environment, number):
        self.when(RollBack(MODEL_ID, environment, number))

    @rule(environment=environments)
    def stop(self, environment):
        self.when(StopRollout(MODEL_ID, environment))

    @rule(artifact=st.integers(1, 9), wider=st.booleans(), good=st.booleans())
    def register(self, artifact, wider, good):
        if self.story.model.newest < 6:
            document = metadata(artifact + 10)
            inputs = (*SIGNATURE.inputs, Input("x", "int")) if wider else SIGNATURE.inputs
            document = replace(document, signature=replace(SIGNATURE, inputs=inputs))
            number = self.story.register(document)
            if good:
                self.story.note_artifact(number)
                self.story.note_gates(number)

    @rule(number=numbers, environment=environments, serve=st.booleans(), granted=st.booleans())
    def promote(self, number, environment, serve, granted):
        self.promotion += 1
        name = f"p{self.promotion}"
        self.when(RequestPromotion(MODEL_ID, number, environment, name, "eva", serve=serve))
        if granted and name in self.story.model.promotions:
            seen = len(self.story.log[STREAM])
            self.story.grant_promotion(name, number, environment)
            self.judge(seen)

    @rule(environment=environments, champion=numbers)
    def switch(self, environment, champion):
        self.when(ChangeRollout(MODEL_ID, environment, (Share(champion, 100, "champion"),)))

    @rule(
        environment=environments,
        other=st.sampled_from([3, 4, 1, 2, 5]),
        percent=st.sampled_from([10, 5, 30, 60, 0]),
        role=st.sampled_from(["challenger", "challenger", "shadow", "standby"]),
    )
    def split(self, environment, other, percent, role):
        champion = self.story.serves(environment)
        if champion and other != champion:
            percent = percent if role == "challenger" else 0
            shares = (Share(champion, 100 - percent, "champion"), Share(other, percent, role))
            self.when(ChangeRollout(MODEL_ID, environment, shares))

    @rule(other=st.integers(1, 6), recalled=st.booleans())
    def end_a_split(self, other, recalled):
        champion = self.story.serves("production")
        self.set_tier("low")
        self.split("production", other, 10, "challenger")
        if recalled and champion:
            self.when(RecallVersion(MODEL_ID, champion, by="eva"))
        self.roll_back("production", force=False, doubtful=set())

    @rule(number=numbers, found=st.sampled_from(["good", "good", "damaged", "mismatched", "refused"]))
    def report_on_the_bytes(self, number, found):
        """What can never be good stays so, as in the artifact service."""
        version = self.story.model.versions.get(number)
        if version is None or version.failed:
            return
        self.artifact_revision += 1
        seen = len(self.story.log[STREAM])
        match found:
            case "good":
                self.story.note_artifact(number, noted.ARTIFACT_RELEASED, self.artifact_revision)
            case "mismatched":
                self.story.note_artifact(number, noted.ARTIFACT_MISMATCHED, self.artifact_revision)
            case _:
                self.story.quarantine(number, self.artifact_revision, generation=int(found == "damaged"))
        self.judge(seen)

    @rule(number=numbers)
    def reopen(self, number):
        self.when(ReopenVersion(MODEL_ID, number))

    @rule(number=numbers, by=st.sampled_from(["eva", "ann"]), back=st.booleans())
    def recall(self, number, by, back):
        self.when((ReinstateVersion if back else RecallVersion)(MODEL_ID, number, by=by))
        version = self.story.model.versions.get(number)
        if version is not None and version.recalled and version.artifact:
            self.artifact_revision += 1
            self.story.note_artifact(number, noted.ARTIFACT_RECALLED, self.artifact_revision)

    @rule(number=numbers)
    def reject(self, number):
        self.when(RejectVersion(MODEL_ID, number, "no"))

    @rule(tier=st.sampled_from(["low", "medium", "high"]))
    def set_tier(self, tier):
        self.when(DescribeModel(MODEL_ID, tier=tier, may_approve=True))


def test_each_advice_works_and_rollbacks_keep_their_laws_in_any_history():
    run_state_machine_as_test(
        Serving, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


def test_lower_shares_are_not_advised_where_they_would_raise_a_champion_with_bad_bytes():
    machine = Serving()
    machine.split("production", 3, 10, "challenger")
    machine.set_tier("medium")
    machine.report_on_the_bytes(2, "damaged")
    SEEN.clear()
    machine.split("production", 4, 10, "challenger")
    assert {"artifact_not_good"} == SEEN


COMMANDS_ABOUT_BAD_BYTES = (
    RequestPromotion(MODEL_ID, 1, "production", "again", "eva"),
    RequestPromotion(MODEL_ID, 3, "staging", "other", "eva"),
    RollBack(MODEL_ID, "production", 1),
    RollBack(MODEL_ID, "production", 3),
    ChangeRollout(MODEL_ID, "production", (Share(1, 100, "champion"),)),
    ChangeRollout(MODEL_ID, "production", (Share(3, 100, "champion"),)),
    *(
        ChangeRollout(
            MODEL_ID, "production", (Share(2, 100 - percent, "champion"), Share(number, percent, role))
        )
        for number in (1, 3)
        for percent, role in ((5, "challenger"), (0, "shadow"), (0, "standby"))
    ),
)


@pytest.mark.parametrize("found", ["damaged", "mismatched", "refused"])
@pytest.mark.parametrize("command", COMMANDS_ABOUT_BAD_BYTES, ids=str)
def test_each_command_about_a_version_with_bad_bytes_names_a_step_that_works(command, found):
    """Version 1 has served and left, 2 serves, 3 was promoted and has not served."""
    machine = Serving()
    for number in (1, 3):
        machine.report_on_the_bytes(number, found)
    SEEN.clear()
    machine.when(command)
    assert {"artifact_not_good"} == SEEN
    step = machine.refusal.facts["next_step"]
    assert step == ("restore" if found == "damaged" else "register")


@pytest.mark.parametrize("bytes_", ["good", "damaged"])
@pytest.mark.parametrize("command", COMMANDS_ABOUT_BAD_BYTES, ids=str)
def test_what_was_reinstated_a_moment_ago_is_waited_for_unless_its_bytes_are_damaged(command, bytes_):
    """artifact makes the bytes available again when it has the message; damaged ones stay as they are."""
    machine = Serving()
    for number in (1, 3):
        if bytes_ == "damaged":
            machine.report_on_the_bytes(number, "damaged")
        machine.story.when(RecallVersion(MODEL_ID, number, by="eva"))
        machine.story.note_artifact(number, noted.ARTIFACT_RECALLED, revision=900)
        machine.story.when(ReinstateVersion(MODEL_ID, number, "another"))
    SEEN.clear()
    machine.when(command)
    assert {"artifact_not_good"} == SEEN
    assert machine.refusal.facts["next_step"] == ("verify" if bytes_ == "good" else "restore")


def test_one_history_comes_to_every_outcome_of_the_list():
    """Versions 1 and 2 served in turn, 3 was promoted, and 4 is Validated."""
    SEEN.clear()
    machine = Serving()
    machine.switch("production", 4)
    machine.split("production", 4, 60, "challenger")
    machine.promote(1, "production", serve=False, granted=False)
    machine.split("production", 3, 10, "challenger")
    machine.roll_back("production", force=False, doubtful=set())
    machine.roll_back("production", force=False, doubtful={1})
    machine.reopen(2)
    machine.roll_back_by_name("production", 4)
    machine.register(artifact=5, wider=False, good=False)
    machine.split("production", 5, 5, "challenger")
    machine.set_tier("low")
    machine.split("production", 4, 10, "challenger")
    machine.recall(1, "eva", back=False)
    machine.roll_back("production", force=False, doubtful=set())
    machine.recall(1, "ann", back=True)
    machine.report_on_the_bytes(1, "good")
    machine.roll_back("production", force=False, doubtful=set())
    machine.roll_back("production", force=False, doubtful=set())
    machine.stop("production")
    machine.roll_back("production", force=False, doubtful=set())
    machine.promote(4, "staging", serve=True, granted=True)
    machine.split("staging", 2, 60, "challenger")
    machine.what_may_be_used_can_become_champion(2, "staging")
    missing = OUTCOMES - SEEN
    assert not missing
