"""`regista environment …` and `regista serving`: what is sent, and what people see."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

from .conftest import Answers

STAGING = {
    "environment": "risk.staging",
    "namespace": "risk",
    "name": "staging",
    "production": False,
    "order": 20,
    "description": "nightly",
    "retired": False,
    "changed_at": "2026-11-29T10:00:00.123Z",
    "changed_by": "root",
    "revision": 3,
}


def test_an_environment_is_created_with_its_kind(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/environments"] = JSONResponse(STAGING, 201)
    result = run("environment", "create", "risk.staging", "--no-production", "--order", "20")
    assert (result.exit_code, result.output) == (0, "risk.staging is declared: no production environment\n")
    (sent,) = answers.of("POST", "/v1/environments")
    assert json.loads(sent.body) == {
        "name": "risk.staging",
        "production": False,
        "order": 20,
        "description": "",
    }


def test_whether_it_is_production_must_be_written(run: Any, answers: Answers) -> None:
    result = run("environment", "create", "lab")
    assert (result.exit_code, "--production" in result.output) == (2, True)
    assert answers.of("POST", "/v1/environments") == []


def test_environments_are_listed_for_a_namespace(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/environments"] = JSONResponse({"items": [STAGING], "next_page_token": ""})
    shown = run("environment", "list", "--namespace", "risk").output
    assert shown.splitlines()[1] == "risk.staging\tno\t20\tnightly\t2026-11-29T10:00:00Z"
    (sent,) = answers.of("GET", "/v1/environments")
    assert (sent.query["namespace"], sent.query["retired"]) == ("risk", "false")


def test_an_edit_names_what_changes_and_the_revision_that_was_seen(run: Any, answers: Answers) -> None:
    answers.fixed["PATCH", "/v1/environments/risk.staging"] = JSONResponse(STAGING)
    assert run("environment", "edit", "risk.staging").exit_code == 2
    assert run("environment", "edit", "risk.staging", "--order", "0", "--if-revision", "3").exit_code == 0
    (sent,) = answers.of("PATCH", "/v1/environments/risk.staging")
    assert (json.loads(sent.body), sent.headers["if-match"]) == ({"order": 0}, '"3"')


def test_an_environment_is_retired_with_a_reason(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/environments/lab:retire"] = JSONResponse(STAGING | {"retired": True})
    assert run("environment", "retire", "lab", "--reason", "moved").output == "retired lab\n"


def test_what_serves_where_is_a_line_for_each_model_and_environment(run: Any, answers: Answers) -> None:
    entries = [
        {"number": 4, "semver": "1.1.0", "percent": 10, "role": "challenger", "withdrawn": "poisoned"},
        {"number": 3, "semver": "1.0.0", "percent": 90, "role": "champion", "withdrawn": None},
    ]
    line = {
        "model": "team.churn",
        "environment": "production",
        "production": True,
        "entries": entries,
        "changed_at": "2026-11-29T10:00:00Z",
        "changed_by": "",
        "reason": "",
    }
    stopped = line | {"environment": "lab", "production": False, "entries": []}
    answers.fixed["GET", "/v1/serving"] = JSONResponse({"items": [line, stopped], "next_page_token": ""})
    shown = run("serving", "-e", "production", "--stopped").output.splitlines()
    assert shown[1].split("\t")[:4] == [
        "team.churn",
        "production",
        "yes",
        "3 (1.0.0) 90 %, 4 (1.1.0) challenger 10 %, withdrawn: poisoned",
    ]
    assert shown[2].split("\t")[3] == "nothing: stopped"
    (sent,) = answers.of("GET", "/v1/serving")
    assert (sent.query["environment"], sent.query["stopped"], "production" in sent.query) == (
        "production",
        "true",
        False,
    )
