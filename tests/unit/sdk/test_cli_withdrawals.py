"""`regista withdraw --trained-on` and `reinstate --withdrawal`: shown first, then carried out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from .conftest import Answers

WITHDRAW, REINSTATE = "/v1/versions:withdraw", "/v1/versions:reinstate"
SERVES = {"environment": "production", "percent": 100, "role": "champion"}
VERSION = {
    "model_id": "m1",
    "model": "churn",
    "number": 3,
    "semver": "1.2.0",
    "stage": "Production",
    "detail": "",
}


def answer(outcome: str, *, dry_run: bool, serves: bool = True) -> JSONResponse:
    version = VERSION | {"outcome": outcome, "rollouts": [SERVES] if serves else []}
    return JSONResponse(
        {"withdrawal_id": "w1", "plan": "sha256:p", "dry_run": dry_run, "versions": [version]}
    )


def bodies(answers: Answers, path: str) -> list[dict[str, Any]]:
    return [json.loads(seen.body) for seen in answers.of("POST", path)]


def test_a_dry_run_shows_what_serves_where_and_how_to_carry_it_out(run: Any, answers: Answers) -> None:
    answers.fixed["POST", WITHDRAW] = answer("withdrawn", dry_run=True)
    result = run("withdraw", "--trained-on", "bank", "--dry-run", "--reason", "poisoned")
    assert result.exit_code == 0
    assert "production (champion, 100 %)\twithdrawn" in result.output
    assert "--trained-on bank --plan sha256:p" in result.output
    assert bodies(answers, WITHDRAW) == [{"trained_on": "bank", "reason": "poisoned", "dry_run": True}]


def test_without_a_plan_and_without_a_person_nothing_is_withdrawn(run: Any, answers: Answers) -> None:
    answers.fixed["POST", WITHDRAW] = answer("withdrawn", dry_run=True)
    result = run("withdraw", "--trained-on", "bank", "--reason", "poisoned")
    assert (result.exit_code, "--dry-run" in result.stderr) == (2, True)
    assert [body["dry_run"] for body in bodies(answers, WITHDRAW)] == [True]


def test_a_person_confirms_what_was_shown(
    run: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regista.cli.withdraw.on_a_terminal", lambda: True)
    answers.fixed["POST", WITHDRAW] = answer("withdrawn", dry_run=True, serves=False)
    assert run("withdraw", "--trained-on", "bank", "--reason", "poisoned", typed="n\n").exit_code == 1
    result = run("withdraw", "--trained-on", "bank", "--reason", "poisoned", typed="y\n")
    assert "regista reinstate --withdrawal w1" in result.output
    assert [body.get("plan") for body in bodies(answers, WITHDRAW)] == [None, None, "sha256:p"]


def test_a_step_names_the_plan_and_the_way_out_of_what_serves(run: Any, answers: Answers) -> None:
    answers.fixed["POST", WITHDRAW] = answer("withdrawn", dry_run=False)
    answers.fixed["POST", "/v1/models/churn/rollouts/production:rollback"] = JSONResponse({"champion": 2})
    result = run("withdraw", "--trained-on", "bank", "--plan", "sha256:p", "--reason", "poisoned")
    assert result.exit_code == 0
    assert "regista rollback churn --environment production --reason" in result.output


def test_what_is_only_proposed_names_the_second_person(run: Any, answers: Answers) -> None:
    answers.fixed["POST", WITHDRAW] = answer("proposed", dry_run=False)
    result = run("withdraw", "--trained-on", "bank", "--plan", "sha256:p", "--reason", "poisoned")
    assert "a second person repeats the command" in result.output


def test_a_single_withdraw_that_is_proposed_is_not_called_withdrawn(run: Any, answers: Answers) -> None:
    proposed = {"by": "eva", "reason": "x", "at": "2026-11-29T10:00:00Z"}
    found = VERSION | {"withdrawn": None, "withdrawal_proposed": proposed, "rollouts": []}
    answers.fixed["POST", "/v1/models/churn/versions/3:withdraw"] = JSONResponse(found)
    output = run("withdraw", "churn@3", "--reason", "x").output
    assert output.startswith(
        "proposed the withdrawal of churn@3; its policy wants a second person, who repeats this"
    )


def test_a_step_is_undone_by_its_id(run: Any, answers: Answers) -> None:
    answers.fixed["POST", REINSTATE] = answer("reinstated", dry_run=False)
    words = ["reinstate", "--withdrawal", "w1", "--plan", "sha256:p", "--reason", "wrong", "--json"]
    assert json.loads(run(*words).stdout)["versions"][0]["outcome"] == "reinstated"
    assert bodies(answers, REINSTATE)[0]["withdrawal_id"] == "w1"


@pytest.mark.parametrize(
    "words",
    [
        ("withdraw",),
        ("withdraw", "churn@3", "--trained-on", "bank"),
        ("withdraw", "churn@3", "--dry-run"),
        ("reinstate",),
        ("reinstate", "churn@3", "--withdrawal", "w1"),
        ("reinstate", "churn@3", "--plan", "p"),
    ],
)
def test_one_of_a_version_and_a_step_is_named(run: Any, answers: Answers, words: tuple[str, ...]) -> None:
    assert run(*words, "--reason", "x").exit_code == 2
    assert answers.seen == []
