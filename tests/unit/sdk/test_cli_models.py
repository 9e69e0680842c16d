"""`regista models edit`: one tag at a time, and a description that can be cleared."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from .conftest import Answers

CHURN = {"model": "churn", "model_id": "0198-m", "revision": 8, "tags": {"team": "risk"}, "description": ""}


@pytest.fixture
def model(answers: Answers) -> Answers:
    answers.fixed["PATCH", "/v1/models/churn"] = JSONResponse(CHURN)
    return answers


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("--tag", "team=risk"), {"tags": {"team": "risk"}}),
        (("--tag", "a=1", "--tag", "b=2"), {"tags": {"a": "1", "b": "2"}}),
        (("--tag", "a="), {"tags": {"a": ""}}),
        (("--tag", "a=b=c"), {"tags": {"a": "b=c"}}),
        (("--untag", "beta"), {"tags": {"beta": None}}),
        (("--tag", "a=1", "--untag", "beta"), {"tags": {"a": "1", "beta": None}}),
        (("--description", ""), {"description": ""}),
        (
            ("--description", "who leaves", "--owner", "team:risk"),
            {"description": "who leaves", "owner": "team:risk"},
        ),
    ],
)
def test_an_edit_sends_what_changes_and_nothing_else(
    run: Any, model: Answers, words: tuple[str, ...], sent: dict[str, Any]
) -> None:
    assert run("models", "edit", "churn", *words).output == "changed churn\n"
    (request,) = model.of("PATCH", "/v1/models/churn")
    assert json.loads(request.body) == sent


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        ((), "--untag"),
        (("--tag", "a=1", "--untag", "a"), "name the same tag: a"),
        (("--tag", "a"), "write NAME=VALUE"),
    ],
)
def test_an_edit_that_cannot_be_meant_is_refused_before_anything_is_sent(
    run: Any, model: Answers, words: tuple[str, ...], stated: str
) -> None:
    result = run("models", "edit", "churn", *words)
    assert (result.exit_code, stated in " ".join(result.output.split())) == (2, True)
    assert model.of("PATCH", "/v1/models/churn") == []


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("models", "show", "churn"), "/v1/models/churn"),
        (("versions", "show", "churn@3"), "/v1/models/churn/versions/3"),
    ],
)
def test_what_is_shown_may_be_as_of_a_day(
    run: Any, answers: Answers, words: tuple[str, ...], path: str
) -> None:
    answers.fixed["GET", path] = JSONResponse(CHURN)
    assert run(*words, "--at", "2026-03-01").exit_code == 0
    assert run(*words).exit_code == 0
    assert [request.query for request in answers.of("GET", path)] == [{"as_of": "2026-03-01"}, {}]
