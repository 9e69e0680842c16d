"""Conditions of a search, as they are written in a query."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.registry.search import queries
from services.registry.search.queries import MetricCondition, Wanted
from services.registry.shapes.search import VersionQuery
from shared.deciding.decider import Unprocessable


def wanted(**query: object) -> Wanted:
    return VersionQuery.model_validate(query).wanted()


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("auc>0.9", MetricCondition("auc", ">", 0.9)),
        ("auc >= 0.9", MetricCondition("auc", ">=", 0.9)),
        ("loss<=1e-3", MetricCondition("loss", "<=", 0.001)),
        ("bias<-0.5", MetricCondition("bias", "<", -0.5)),
        ("precision@10=1", MetricCondition("precision@10", "=", 1.0)),
        ("f1 macro>.5", MetricCondition("f1 macro", ">", 0.5)),
    ],
)
def test_a_condition_on_a_metric_has_a_name_a_comparison_and_a_number(
    text: str, condition: MetricCondition
) -> None:
    assert wanted(metric=[text]).metrics == [condition]


@pytest.mark.parametrize(
    "text", ["auc", ">0.9", "auc>", "auc>high", "auc>nan", "auc>1e999", "auc=>1", "auc>1.2.3"]
)
def test_another_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Unprocessable, match=re.escape("auc>0.9")):
        wanted(metric=[text])


def test_a_tag_is_wanted_with_its_value_or_with_any() -> None:
    found = wanted(tag=["team=risk", "url=http://x?a=b", "empty=", "reviewed"]).tags
    assert found == [("team", "risk"), ("url", "http://x?a=b"), ("empty", ""), ("reviewed", None)]
    with pytest.raises(Unprocessable, match="invalid_tag"):
        wanted(tag=["=risk"])


def test_a_day_is_whole_and_in_utc() -> None:
    found = wanted(since="2026-03-01", until="2026-03-02")
    assert (found.since, found.until) == (
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 3, tzinfo=UTC),
    )
    assert wanted(until=date.max).until is None


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_outside_the_calendar_in_utc_bounds_nothing(moment: str) -> None:
    found = wanted(since=moment, until=moment)
    assert None in (found.since, found.until)


@given(st.lists(st.text(min_size=1, max_size=30).filter(lambda t: not t.startswith("=")), max_size=5))
@example(["a={}", "{0}", "'); --"])
def test_values_never_become_part_of_a_statement(tags: list[str]) -> None:
    statement, values = queries.of_model(wanted(tag=tags), "m", 9, 50)
    numbers = {int(number) for number in re.findall(r"\$(\d+)", statement)}
    assert numbers == set(range(1, len(values) + 1))
    assert not [tag for tag in tags if len(tag) > 8 and tag in statement]
