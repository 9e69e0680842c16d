"""`regista versions edit|correct|note|notes|correct-note`: what is sent, and what is shown."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

from .conftest import Answers, problem

ONE = "/v1/models/churn/versions/3"
VERSION = {"model": "churn", "number": 3, "revision": 9}
NOTE = {"note": 1, "text": "one", "by": "ann", "at": "2026-11-29T12:00:00Z", "corrected_at": None}


def body(answers: Answers, method: str, path: str) -> Any:
    (seen,) = answers.of(method, path)
    return json.loads(seen.body)


def test_edit_sends_what_is_given(run: Any, answers: Answers) -> None:
    answers.fixed["POST", ONE + ":describe"] = JSONResponse(VERSION)
    done = run("versions", "edit", "churn@3", "--description", "", "--tag", "a=b=c", "--remove-tag", "d")
    assert (done.exit_code, done.output) == (0, "changed churn@3\n")
    sent = {"description": "", "set_tags": {"a": "b=c"}, "remove_tags": ["d"], "reason": ""}
    assert body(answers, "POST", ONE + ":describe") == sent


def test_edit_without_a_change_is_wrong_usage(run: Any, answers: Answers) -> None:
    assert run("versions", "edit", "churn@3").exit_code == 2
    assert answers.seen == []


def test_correct_names_fields_by_option_or_path(run: Any, answers: Answers) -> None:
    answers.fixed["POST", ONE + ":correct"] = JSONResponse(VERSION)
    done = run(
        *("versions", "correct", "churn@3", "--run-url", "http://r/2", "--reason", "wrong run"),
        *("--field", "training.framework.version=2", "--if-revision", "8"),
    )
    assert done.exit_code == 0
    sent = body(answers, "POST", ONE + ":correct")
    assert sent["fields"] == {"training.framework.version": "2", "training.run_url": "http://r/2"}
    assert sent["reason"] == "wrong run"
    assert answers.of("POST", ONE + ":correct")[0].headers["if-match"] == '"8"'


def test_a_correction_needs_a_reason(run: Any, answers: Answers) -> None:
    assert run("versions", "correct", "churn@3", "--run-url", "x", "--reason", " ").exit_code == 2
    assert answers.seen == []


def test_a_refused_correction_shows_what_to_do(run: Any, answers: Answers) -> None:
    answers.fixed["POST", ONE + ":correct"] = problem(422, "not_correctable")
    done = run("versions", "correct", "churn@3", "--field", "training.config=1", "--reason", "r")
    assert (done.exit_code, "not_correctable" in done.stderr) != (0, False)


def test_notes_are_added_listed_and_corrected(run: Any, answers: Answers) -> None:
    answers.fixed["POST", ONE + "/notes"] = JSONResponse(NOTE | {"earlier": []}, 201)
    corrected = NOTE | {"corrected_at": "2026-11-29T13:00:00Z", "earlier": [{"text": "on", "at": "t"}]}
    answers.fixed["PUT", ONE + "/notes/1"] = JSONResponse(corrected)
    answers.fixed["GET", ONE + "/notes"] = JSONResponse({"items": [corrected], "next_page_token": ""})
    assert run("versions", "note", "churn@3", "on").output == "added note 1 to churn@3\n"
    done = run("versions", "correct-note", "churn@3", "1", "one", "--reason", "typo")
    assert done.output == "corrected note 1 of churn@3\n"
    assert body(answers, "PUT", ONE + "/notes/1") == {"text": "one", "reason": "typo"}
    shown = run("versions", "notes", "churn@3").output.splitlines()[1]
    assert shown == "1\t2026-11-29T12:00:00Z\tann\tone\t2026-11-29T13:00:00Z\ton"


def test_a_list_of_versions_shows_the_primary_metric_and_its_data(run: Any, answers: Answers) -> None:
    best = {"name": "auc", "value": 0.93125, "dataset_name": "march", "dataset_digest": "sha256:1"}
    versions = [
        {"number": 3, "primary_metric": best | {"independent": True}},
        {"number": 2, "primary_metric": best | {"dataset_name": "", "independent": False}},
        {"number": 1, "primary_metric": None},
    ]
    answers.fixed["GET", "/v1/models/churn/versions"] = JSONResponse(
        {"items": versions, "next_page_token": ""}
    )
    lines = run("versions", "list", "churn").stdout.splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == [
        "auc 0.93125 on march, independent",
        "auc 0.93125 on sha256:1",
        "",
    ]
