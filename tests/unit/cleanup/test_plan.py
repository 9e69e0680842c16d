"""A plan counts without words, and costs little for each version."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from services.cleanup.domain.plan import plan
from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention_state import State, Use, Version
from services.cleanup.domain.verdict import Judge
from shared.log.layered_map import LayeredMap
from tests.unit.cleanup.story import MODEL, at

SECONDS = st.none() | st.integers(0, 30).map(float)
MOMENTS = st.integers(0, 40).map(at)
VERSIONS = st.builds(
    Version,
    st.just("1.0.0"),
    st.sampled_from(["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]),
    MOMENTS,
    st.none() | MOMENTS,
    st.booleans(),
    st.booleans(),
)
POLICIES = st.builds(
    RetentionPolicy, SECONDS, SECONDS, SECONDS, SECONDS, SECONDS, keep_newest=st.integers(0, 2)
)
NUMBERS = st.integers(1, 8)
MODELS = st.builds(
    lambda versions, policy, uses, aliases: State(
        model_id=MODEL,
        model="churn",
        highest=max(versions),
        policy=policy,
        versions=Map(versions),
        uses=Map(uses),
        aliases=Map(aliases),
    ),
    st.dictionaries(NUMBERS, VERSIONS, min_size=1),
    POLICIES,
    st.dictionaries(NUMBERS, st.builds(Use, st.just(1), MOMENTS)),
    st.dictionaries(st.sampled_from("ab"), NUMBERS),
)


@settings(max_examples=400, deadline=None)
@given(MODELS, MOMENTS)
def test_a_plan_marks_exactly_the_versions_whose_verdict_names_no_reason(state, now):
    made, judge = plan(state, now), Judge.at(now, state)
    verdicts = {n: judge.verdict(n) for n, v in state.versions.items() if not v.retired}
    assert made.marked == sorted(n for n, verdict in verdicts.items() if not verdict.reasons)
    assert made.spared == sorted(n for n, verdict in verdicts.items() if verdict.reasons)
    assert all(verdict.rule for verdict in verdicts.values() if not verdict.reasons)


def long_model(versions: int) -> State:
    found = {n: Version("1.0.0", "Staging", at(n)) for n in range(1, versions + 1)}
    return State(model_id=MODEL, model="churn", highest=versions, versions=LayeredMap(found))


def calls(versions: int) -> Counter[str]:
    """The Python functions that a plan calls, by name."""
    state, counted = long_model(versions), Counter[str]()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            counted[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        plan(state, at(10**9), RetentionPolicy(unknown_seconds=0))
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.counts_calls
def test_a_plan_writes_no_words_and_makes_few_calls_for_each_version():
    few, many = calls(1_000), calls(5_000)
    assert not {"_kept", "_rule", "_words", "_moment", "verdict"} & set(many)
    assert (many.total() - few.total()) / 4_000 <= 5
