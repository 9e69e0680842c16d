"""The version that a new one is compared with: hotfixes, imports, and what a publisher declares."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.registry.domain.model.metadata import Metadata, Output
from services.registry.domain.model.state import precedence
from services.registry.domain.serving.alias import SetAlias
from services.registry.domain.versioning.bump import Claim
from services.registry.domain.withdrawal.rejection import RejectVersion
from tests.unit.registry.given import MODEL_ID, SIGNATURE, STREAM, Story, metadata

_artifacts = count(1000)


def retrained() -> Metadata:
    """The same training repeated: PATCH against the same line."""
    return metadata(next(_artifacts))


def changed() -> Metadata:
    """Another answer: MAJOR against `retrained`."""
    signature = replace(SIGNATURE, outputs=(Output("score", "float64"),))
    return replace(metadata(next(_artifacts)), signature=signature)


def exactly(version: str) -> Claim:
    return Claim(version=version, exact=True)


def bump_of(story: Story, number: int):
    return story.log[STREAM][story.version(number).document - 1].bump


def semver(story: Story, number: int) -> str:
    return story.version(number).semver


def one_and_two() -> Story:
    """1.0.0 and 2.0.0, both Validated."""
    story = Story()
    story.validate(retrained())
    story.validate(changed())
    assert [semver(story, n) for n in (1, 2)] == ["1.0.0", "2.0.0"]
    return story


def test_a_hotfix_of_an_older_line_does_not_become_the_base_of_the_next_retraining():
    story = one_and_two()
    hotfix = story.validate(retrained(), base=1)
    assert semver(story, hotfix) == "1.0.1"
    retraining = story.validate(changed())
    assert (semver(story, retraining), bump_of(story, retraining).base_semver) == ("2.0.1", "2.0.0")


def test_an_exact_older_number_is_compared_with_the_highest_below_it():
    story = one_and_two()
    hotfix = story.validate(retrained(), claim=exactly("1.0.1"))
    assert (semver(story, hotfix), bump_of(story, hotfix).base_semver) == ("1.0.1", "1.0.0")
    (refused,) = story.when(_registering(changed(), claim=exactly("1.0.2")))
    assert "smaller than the proven change, which is major" in refused.problems[0].problem
    assert "against 1.0.1" in refused.problems[0].problem


def test_a_declared_base_is_the_base_of_an_exact_number_too():
    story = one_and_two()
    (refused,) = story.when(_registering(changed(), claim=exactly("1.0.1"), base=2))
    assert refused.problems[0].problem.endswith(
        "against 2.0.0: claim at least that level, or leave the claim out"
    )
    story.register(retrained(), claim=exactly("1.0.5"))
    number = story.register(retrained(), claim=exactly("1.0.3"), base=1)
    assert (semver(story, number), bump_of(story, number).base) == ("1.0.3", 1)


def test_a_history_may_be_imported_the_newest_first():
    story = Story()
    for version, document in (("2.0.0", changed()), ("1.1.0", retrained()), ("1.0.0", retrained())):
        number = story.register(document, claim=exactly(version))
        assert (semver(story, number), bump_of(story, number).rule) == (version, "first")
    between = story.register(retrained(), claim=exactly("1.0.5"))
    below = story.register(retrained(), claim=exactly("1.0.2"))
    assert [bump_of(story, n).base_semver for n in (between, below)] == ["1.0.0", "1.0.0"]


def test_an_exact_number_that_is_taken_is_refused_as_taken():
    story = one_and_two()
    (refused,) = story.when(_registering(retrained(), claim=exactly("1.0.0")))
    assert refused.problems[0].problem.startswith("1.0.0 is taken")


def test_an_older_number_that_is_not_claimed_exactly_is_raised():
    story = one_and_two()
    number = story.register(changed(), claim=Claim(version="1.0.1"))
    assert (semver(story, number), "raised" in bump_of(story, number).note) == ("2.0.1", True)


@pytest.mark.parametrize("base", ["production", "@production", "stable", "@stable", "1.0.0", 1], ids=str)
def test_a_base_is_an_environment_an_alias_a_semantic_version_or_a_number(base):
    story = Story()
    story.promote(retrained())
    story.validate(changed())
    story.when(SetAlias(MODEL_ID, "stable", 1))
    number = story.register(retrained(), base=base)
    assert (semver(story, number), bump_of(story, number).base) == ("1.0.1", 1)


@pytest.mark.parametrize("base", ["staging", "@nothing", "9.9.9", 9, 3])
def test_a_base_that_is_no_complete_version_is_refused_with_what_to_give(base):
    story = one_and_two()
    story.register(metadata(3), draft=True)
    (refused,) = story.when(_registering(retrained(), base=base))
    assert refused.problems[0].field == "base"
    assert "an environment or an alias" in refused.problems[0].problem


def test_without_a_validated_version_the_base_is_the_highest():
    story = Story()
    for version in ("1.0.0", "3.0.0", "2.0.0"):
        story.register(retrained(), claim=exactly(version))
    assert bump_of(story, story.register(retrained())).base_semver == "3.0.0"


def _registering(document: Metadata, **more):
    from services.registry.domain.registration.commands import RegisterVersion  # noqa: PLC0415

    return RegisterVersion(MODEL_ID, "team.churn", document, **more)


STEPS = st.lists(
    st.tuples(
        st.booleans(),  # another answer than before
        st.booleans(),  # Validated
        st.one_of(
            st.none(),
            st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)).map(
                lambda v: ".".join(map(str, v))
            ),
        ),
    ),
    max_size=8,
)


@given(STEPS)
@example([(False, True, None), (True, True, None), (False, True, "1.0.1"), (True, True, None)])
@example([(False, False, "2.0.0"), (False, False, "1.0.0"), (False, True, "1.0.3"), (False, True, "1.0.1")])
def test_the_base_is_the_highest_ever_validated_or_the_highest_below_an_exact_older_number(steps):
    story, validated = Story(), set()
    for is_changed, is_validated, claimed in steps:
        before = {v.semver for v in story.model.versions.values()}
        document = changed() if is_changed else retrained()
        claim = exactly(claimed) if claimed else Claim()
        last = story.model.newest
        number = story.register(document, claim=claim)
        if number == last:  # refused: the number is taken, or the change is larger
            assert claimed
            continue
        bump, highest = bump_of(story, number), max(validated or before, key=precedence, default="")
        if claimed and highest and precedence(claimed) < precedence(highest):
            below = [v for v in before if precedence(v) < precedence(claimed)]
            assert claimed not in before
            highest = max(below, key=precedence, default="")
        assert bump.base_semver == highest
        assert semver(story, number) not in before
        if highest:
            assert precedence(semver(story, number)) > precedence(highest)
        if is_validated:
            story.note_artifact(number)
            story.note_gates(number)
            validated.add(semver(story, number))


def test_the_latest_version_as_a_base_is_the_newest_that_may_be_used():
    story = one_and_two()
    story.when(RejectVersion(MODEL_ID, story.validate(retrained()), "no"))
    story.register(metadata(next(_artifacts), dataset=None), draft=True)
    assert bump_of(story, story.register(retrained(), base="latest")).base == 2
    assert bump_of(story, story.register(retrained(), base="@latest")).base == 5


def test_a_model_without_a_usable_version_has_no_latest_one():
    story = Story()
    story.when(RejectVersion(MODEL_ID, story.register(retrained()), "no"))
    number = story.register(retrained(), base="latest")
    assert number == 1
    assert "base" in [problem.field for problem in story.log[STREAM][-1].problems]
