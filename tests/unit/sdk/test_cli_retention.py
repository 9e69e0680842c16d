"""`regista cleanup retention` and `simulate`: what they send, and what people see before and after."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from .conftest import Answers

POLICY = {"unused": "180d", "unknown": None, "keep_newest": 3, "grace": "14d"}
MODEL = {"model": "churn", "policy": POLICY, "source": "fraud", "revision": 0, "versions": []}


def test_retention_shows_durations_and_where_the_policy_comes_from(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/retention/churn"] = JSONResponse(MODEL)
    shown = run("cleanup", "retention", "churn").output
    assert "unused\t180d" in shown
    assert "unknown\tpermanently" in shown
    assert "policy of\tnamespace fraud" in shown


def test_a_change_keeps_the_fields_that_it_does_not_name_and_shows_before_and_after(
    run: Any, answers: Answers
) -> None:
    answers.fixed["GET", "/v1/retention/churn"] = JSONResponse(MODEL)
    after = POLICY | {"unused": "90d", "unknown": "365d"}
    answers.fixed["PUT", "/v1/retention/churn"] = JSONResponse(
        {"model": "churn", "before": POLICY, "policy": after, "revision": 7}
    )
    shown = run("cleanup", "retention", "churn", "--unused", "90d", "--unknown", "365d").output
    (sent,) = answers.of("PUT", "/v1/retention/churn")
    assert json.loads(sent.body) == after
    assert sent.headers["if-match"] == '"0"'
    assert "unused: 180d → 90d" in shown
    assert "unknown: permanently → 365d" in shown
    assert "grace: 14d\n" in shown


def test_permanently_is_null(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/retention/churn"] = JSONResponse(MODEL)
    answers.fixed["PUT", "/v1/retention/churn"] = JSONResponse(MODEL | {"before": POLICY})
    run("cleanup", "retention", "churn", "--unused", "permanently")
    assert json.loads(answers.of("PUT", "/v1/retention/churn")[0].body)["unused"] is None


def test_a_namespace_and_everything_have_defaults(run: Any, answers: Answers) -> None:
    default = {"namespace": "fraud", "policy": POLICY, "revision": 4}
    answers.fixed["GET", "/v1/retention-defaults"] = JSONResponse({"items": [default]})
    changed = {"namespace": "fraud", "before": POLICY, "policy": POLICY | {"draft": "30d"}, "revision": 5}
    answers.fixed["PUT", "/v1/retention-defaults/fraud"] = JSONResponse(changed)
    shown = run("cleanup", "retention", "--namespace", "fraud", "--draft", "30d").output
    (sent,) = answers.of("PUT", "/v1/retention-defaults/fraud")
    assert (json.loads(sent.body), sent.headers["if-match"]) == (POLICY | {"draft": "30d"}, '"4"')
    assert "draft: permanently → 30d" in shown
    answers.fixed["DELETE", "/v1/retention-defaults/*"] = JSONResponse(
        {"namespace": "*", "before": None, "policy": None, "revision": 0}
    )
    assert "is removed" in run("cleanup", "retention", "--everywhere", "--off").output
    assert "fraud\t180d" in run("cleanup", "retention").output


def test_a_simulation_sends_only_what_was_named(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/cleanup-runs"] = JSONResponse({"items": [], "verdicts": {"marked": 2}})
    assert run("cleanup", "simulate", "--namespace", "fraud", "--unused", "90d").exit_code == 0
    (sent,) = answers.of("POST", "/v1/cleanup-runs")
    body = json.loads(sent.body)
    assert (body["dry_run"], body["namespace"], body["policy"]) == (True, "fraud", {"unused": "90d"})


@pytest.mark.parametrize(
    "words",
    [
        ("churn", "--namespace", "fraud"),
        ("churn", "--off"),
        ("--namespace", "fraud", "--inherit"),
        ("churn", "--inherit", "--unused", "9d"),
        ("churn", "--if-revision", "3"),
    ],
)
def test_words_that_contradict_each_other_are_refused(run: Any, words: tuple[str, ...]) -> None:
    assert run("cleanup", "retention", *words).exit_code == 2


def test_a_first_policy_is_not_compared_with_values_that_no_policy_had(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/retention-defaults"] = JSONResponse({"items": []})
    first = POLICY | {"unused": "180d", "grace": "14d", "keep_newest": 3}
    answers.fixed["PUT", "/v1/retention-defaults/fraud"] = JSONResponse(
        {"namespace": "fraud", "before": None, "policy": first, "revision": 1}
    )
    shown = run("cleanup", "retention", "--namespace", "fraud", "--unused", "180d").output
    assert "unused: permanently → 180d" in shown
    assert "grace: none → 14d" in shown
    assert "keep newest: all → 3" in shown
