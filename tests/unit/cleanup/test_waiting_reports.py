from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest

from services.cleanup.domain.waiting_reports import (
    MOST_REPORTS,
    EndWait,
    HoldReport,
    ReportGivenUp,
    ReportHeld,
    ReportMessage,
    ReportPlaced,
    WaitingReports,
    decide,
    evolve,
)
from shared.deciding.decider import RuleBroken

MESSAGE = ReportMessage(
    "1",
    "/publishers/p",
    "t",
    "churn",
    "2026-01-01T00:00:00Z",
    "{}",
    "application/json",
    None,
    {},
    0,
    7,
    "p",
    "k",
    "",
)
HOLD = HoldReport("churn", "r1", MESSAGE)


def after(*commands) -> WaitingReports:
    state = WaitingReports()
    for command in commands:
        state = reduce(evolve, decide(command, state), state)
    return state


def test_a_report_waits_once_and_its_wait_ends_once():
    assert decide(HOLD, WaitingReports()) == [ReportHeld("churn", "r1", MESSAGE)]
    assert decide(HOLD, after(HOLD)) == []
    placed = EndWait("churn", "r1", "m1")
    assert decide(placed, after(HOLD)) == [ReportPlaced("churn", "r1", "m1")]
    assert decide(EndWait("churn", "r1", why="late"), after(HOLD)) == [ReportGivenUp("churn", "r1", "late")]
    assert (
        decide(placed, after(HOLD, placed))
        == decide(EndWait("churn", "r1", why="late"), after(HOLD, placed))
        == []
    )


def test_a_report_that_was_given_up_may_come_again():
    assert decide(HOLD, after(HOLD, EndWait("churn", "r1", why="late"))) == [
        ReportHeld("churn", "r1", MESSAGE)
    ]


def test_so_many_reports_wait_for_one_name_and_no_more():
    full = after(*[replace(HOLD, report_id=str(n)) for n in range(MOST_REPORTS)])
    with pytest.raises(RuleBroken, match="too_many_early_reports"):
        decide(replace(HOLD, report_id="one more"), full)
    assert decide(replace(HOLD, report_id="0"), full) == [], "it is one of them"
    assert (
        decide(
            replace(HOLD, report_id="one more"),
            reduce(evolve, decide(EndWait("churn", "0", "m1"), full), full),
        )
        != []
    )
