"""Where two documents differ, and what metrics state about a service's backlog."""

from __future__ import annotations

import pytest

from regista.wire.csv_text import no_formula
from services.console.backlog import backlog
from services.console.differences import Difference, differences

GATE = {"kind": "metric_threshold", "params": {"metric": "auc", "at_least": 0.9}}
MANUAL = {"kind": "manual", "params": {"approvers": 2}}


def test_a_gate_that_moves_is_no_difference() -> None:
    before, after = {"stages": {"Production": [GATE, MANUAL]}}, {"stages": {"Production": [MANUAL, GATE]}}
    assert differences(before, after) == []


def test_a_gate_that_disappears_is_named_with_its_parameters() -> None:
    found = differences({"stages": {"Production": [GATE, MANUAL]}}, {"stages": {"Production": [GATE]}})
    assert found == [
        Difference("stages.Production[manual]", True, None),
        Difference("stages.Production[manual].params.approvers", 2, None),
    ]


def test_gates_of_one_kind_are_compared_by_their_order() -> None:
    other = {"kind": "metric_threshold", "params": {"metric": "f1", "at_least": 0.5}}
    (found,) = differences([GATE, other], [GATE, other | {"params": {"metric": "f1", "at_least": 0.6}}])
    assert found == Difference("[metric_threshold 2].params.at_least", 0.5, 0.6)


def test_what_is_left_out_equals_what_is_empty_or_off() -> None:
    assert differences({"priority": None, "tags": {}, "two_to_recall": False}, {}) == []


def test_zero_differs_from_what_is_left_out() -> None:
    assert differences({}, {"challenger_cap": 0}) == [Difference("challenger_cap", None, 0)]


METRICS = """\
# TYPE regista_relay_lag gauge
regista_relay_lag{service="registry"} 3.0
# TYPE regista_consumer_lag gauge
regista_consumer_lag{topic="a",group="g",partition="0"} 2.0
regista_consumer_lag{topic="a",group="g",partition="1"} 5.0
regista_consumer_lag{topic="b",group="g",partition="0"} 9.0
"""


def test_the_lag_of_partitions_is_added_and_the_largest_topic_comes_first() -> None:
    found = backlog(METRICS)
    assert (found.unpublished, list(found.unread), found.messages) == (3, [("b", 9), ("a", 7)], 16)


def test_what_a_service_does_not_measure_is_unknown_and_not_zero() -> None:
    found = backlog("")
    assert (found.unpublished, found.seal_seconds) == (None, None)


@pytest.mark.parametrize("cell", ["=1+1", "+SUM(A1)", "-2+3", "@cmd", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_calculate_gets_an_apostrophe(cell: str) -> None:
    assert no_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-", "1e-3", "plain", ""])
def test_numbers_and_plain_texts_stay_as_they_are(cell: str) -> None:
    assert no_formula(cell) == cell
