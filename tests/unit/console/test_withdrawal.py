"""The report of a step that withdraws what was trained on a data set."""

from __future__ import annotations

from services.console.pages.withdrawal import report

DONE = {"withdrawal_id": "w1", "versions": [{"outcome": "withdrawn"}, {"outcome": "refused"}]}


def test_what_was_refused_is_named_and_not_counted_as_done() -> None:
    text = report(DONE, ["m #2: retired"], (2, ["m #9: unknown"]), (1, ["m in production: stale"]))
    assert text.startswith("You withdrew 2 versions. Not done: ")
    assert "m #2: retired; m #9: unknown; m in production: stale." in text


def test_rollouts_that_were_changed_are_counted() -> None:
    assert "withdrew 1 version, and changed who serves in 2 rollouts." in report(DONE, [], (0, []), (2, []))
