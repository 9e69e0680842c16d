"""Retention defaults: which policy a model inherits, and that nothing is retired without one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cleanup.domain import defaults
from services.cleanup.domain.defaults import ChangeDefault, Defaults, inherited
from services.cleanup.domain.policy import OFF, RetentionPolicy
from services.cleanup.domain.retention import DECIDERS
from services.cleanup.domain.retention_commands import ChangeRetention
from shared.deciding.decider import Stale, Unprocessable
from tests.unit.cleanup.story import MODEL, QUICK, Story, at, kinds

LONG = replace(QUICK, unused_seconds=1_000)


def old_and_unused(model: str = "fraud.cards.churn") -> Story:
    """A model with a version that was last used long ago."""
    story = Story()
    story.note("ModelRegistered", model=model)
    story.note("VersionRegistered", number=1, semver="1.0.0", model=model)
    story.use(1, 10)
    return story


def test_without_a_policy_a_cleanup_run_retires_nothing_and_writes_nothing() -> None:
    assert old_and_unused().sweep(1e9) == []


@pytest.mark.parametrize(
    ("namespace", "applies"),
    [("*", True), ("fraud", True), ("fraud.cards", True), ("fraud.cards.churn", False), ("fraud.c", False)],
)
def test_a_model_inherits_the_default_of_a_namespace_that_contains_it(namespace: str, applies: bool) -> None:
    story = old_and_unused().default(namespace)
    marked = "VersionMarked" in kinds(story.sweep(1_000))
    assert marked is applies


def test_the_nearest_default_applies_and_an_own_policy_wins() -> None:
    story = old_and_unused().default("*", QUICK).default("fraud", LONG)
    assert "VersionMarked" not in kinds(story.sweep(500))
    assert "VersionMarked" in kinds(story.policy(QUICK).sweep(500))


def test_what_a_run_inherited_is_recorded_once_with_its_source() -> None:
    story = old_and_unused().default("fraud")
    inherited_, _ = story.sweep(1_000)
    assert (kinds([inherited_]), inherited_.source) == (["RetentionInherited"], "fraud")  # type: ignore[union-attr]
    assert kinds(story.sweep(1_001, "s2")) == ["VersionSpared"]  # it is marked already


def test_a_longer_default_ends_a_mark_before_anything_is_proposed() -> None:
    story = old_and_unused().default("fraud")
    story.sweep(1_000)
    story.default("fraud", replace(LONG, unused_seconds=1e6))
    assert kinds(story.end_grace(1, 1_100)) == ["RetentionInherited", "VersionSpared"]
    assert not story.state.marks


def test_a_removed_default_ends_all_marks() -> None:
    story = old_and_unused().default("fraud")
    story.sweep(1_000)
    assert kinds(story.default("fraud", None).sweep(1_050, "s2")) == ["RetentionInherited", "VersionSpared"]


def test_without_its_own_policy_a_model_inherits_again() -> None:
    story = old_and_unused().default("fraud", LONG).policy(QUICK)
    assert "VersionMarked" in kinds(story.sweep(500))
    story.when(ChangeRetention(MODEL, None, now=at(510)))
    assert story.state.policy_revision == 0
    assert "VersionMarked" not in kinds(story.sweep(520, "s2"))
    assert story.when(ChangeRetention(MODEL, None, now=at(530))) == []


def test_a_default_that_changed_since_it_was_read_is_refused() -> None:
    state = Story().default("fraud").defaults
    with pytest.raises(Stale):
        defaults.decide(ChangeDefault("fraud", LONG, expected=0), state)
    with pytest.raises(Stale):
        defaults.decide(ChangeDefault("sales", LONG, expected=1), state)
    assert defaults.decide(ChangeDefault("fraud", QUICK, expected=1), state) == []


def test_a_default_with_an_impossible_duration_is_refused() -> None:
    with pytest.raises(Unprocessable):
        defaults.decide(ChangeDefault("fraud", RetentionPolicy(unused_seconds=-1)), Defaults())


names = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map(".".join)


@given(model=names, given_=st.sets(names | st.just("*"), max_size=6))
def test_the_inherited_default_is_the_longest_namespace_that_contains_the_model(
    model: str, given_: set[str]
) -> None:
    policies = {name: RetentionPolicy(unused_seconds=n) for n, name in enumerate(sorted(given_))}
    containing = [name for name in given_ if name != "*" and model.startswith(name + ".")]
    wanted = max(containing, key=len, default="*" if "*" in given_ else "")
    found = inherited(policies, model)
    assert (found.source, found.policy) == (wanted, policies.get(wanted, OFF))


def test_every_command_of_the_model_has_a_decision() -> None:
    assert len(DECIDERS) == 5
