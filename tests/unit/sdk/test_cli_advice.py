"""The next steps that the command line names besides its result."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from .conftest import Answers, problem


def test_a_recall_names_where_the_version_still_serves_and_how_to_end_it(run: Any, answers: Answers) -> None:
    rollouts = [{"environment": "production", "percent": 90.0, "role": "champion"}]
    answers.fixed["POST", "/v1/models/churn/versions/3:recall"] = JSONResponse(
        {"model": "churn", "rollouts": rollouts}
    )
    result = run("recall", "churn@3", "--reason", "poisoned").stdout.splitlines()
    assert result == [
        "recalled churn@3",
        (
            "it still serves in production (champion, 90 %): "
            "regista rollback churn --environment production --reason …"
        ),
    ]


def test_a_list_that_ends_at_its_limit_has_a_note_for_people_only(run: Any, answers: Answers) -> None:
    events = [{"type": "ModelRegistered", "recorded_at": "2026-01-01T00:00:00Z"}] * 3
    answers.fixed["GET", "/v1/timeline/churn"] = JSONResponse({"items": events, "next_page_token": ""})
    assert "first 3; there may be more: --limit 30" in run("timeline", "churn", "--limit", "3").stderr
    assert run("timeline", "churn", "--limit", "4").stderr == ""
    assert run("timeline", "churn", "--limit", "3", "--json").stderr == ""


def test_a_review_that_does_not_exist_is_answered_with_the_command_that_lists_them(
    run: Any, answers: Answers
) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = problem(404, "unknown_review")
    assert "→ `regista reviews` lists" in run("reviews", "show", "r1").stderr


def test_what_became_of_a_version_stands_in_its_remarks(run: Any, answers: Answers) -> None:
    gone = {"number": 3, "stage": "Archived", "held": "a lawsuit", "retired": {"rule": "unused"}}
    answers.fixed["GET", "/v1/models/churn/versions"] = JSONResponse({"items": [gone], "next_page_token": ""})
    assert "held: a lawsuit; retired" in run("versions", "list", "churn").stdout


def test_what_was_trained_on_a_data_set_is_listed_with_where_it_serves(run: Any, answers: Answers) -> None:
    rollouts = [{"environment": "production", "percent": 90, "role": "champion"}]
    found = {
        "model": "churn",
        "number": 3,
        "semver": "1.2.0",
        "stage": "Production",
        "dataset_name": "bank-0312",
        "rollouts": rollouts,
        "recalled": "poisoned",
    }
    answers.fixed["GET", "/v1/versions"] = JSONResponse({"items": [found], "next_page_token": ""})
    result = run("versions", "trained-on", "bank-0312").stdout
    assert answers.of("GET", "/v1/versions")[0].query["trained_on"] == "bank-0312"
    assert all(
        text in result
        for text in ("churn", "1.2.0", "production (champion, 90 %)", "bank-0312", "recalled: poisoned")
    )


def test_a_time_that_is_shown_is_accepted_by_as_of(run: Any, answers: Answers) -> None:
    event = {"type": "ModelRegistered", "recorded_at": "2026-03-01T12:00:00.123456Z"}
    answers.fixed["GET", "/v1/timeline/churn"] = JSONResponse({"items": [event], "next_page_token": ""})
    answers.fixed["GET", "/v1/as-of"] = JSONResponse({"entries": []})
    (shown,) = [word for word in run("timeline", "churn").stdout.split() if word.startswith("2026")]
    run("as-of", "churn", "--at", shown)
    assert answers.of("GET", "/v1/as-of")[0].query["at"] == "2026-03-01T12:00:00Z"
