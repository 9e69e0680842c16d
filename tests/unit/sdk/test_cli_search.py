"""`regista versions list` and `models list` with conditions: what is asked, of one model or of all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from starlette.responses import JSONResponse

from regista.calls.requests import moment

from .conftest import Answers

ALL, OF_CHURN = "/v1/versions:search", "/v1/models/churn/versions"
VERSION = {"model": "churn", "number": 3, "semver": "1.2.0", "stage": "Staging", "tags": {"data": "april"}}


@pytest.fixture(autouse=True)
def _answered(answers: Answers) -> None:
    for path in (ALL, OF_CHURN, "/v1/models"):
        answers.fixed["GET", path] = JSONResponse({"items": [VERSION], "next_page_token": ""})


def asked(answers: Answers, path: str) -> dict[str, Any]:
    (seen,) = answers.of("GET", path)
    return {name: value for name, value in seen.query.items() if name != "page_size"}


def test_without_a_model_all_models_are_searched_and_named(run: Any, answers: Answers) -> None:
    done = run(
        *("versions", "list", "--metric", "auc>0.9", "--created-by", "u-ann", "--dataset", "sha256:1"),
        *("--since", "2026-03-01", "--until", "2026-03-31", "--stage", "staging", "--tag", "data=april"),
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["name", "churn@3"]
    assert asked(answers, ALL) == {
        "metric": "auc>0.9",
        "created_by": "u-ann",
        "dataset": "sha256:1",
        "since": "2026-03-01",
        "until": "2026-03-31",
        "stage": "Staging",
        "tag": "data=april",
    }


def test_conditions_may_be_repeated(run: Any, answers: Answers) -> None:
    run("versions", "list", "churn", "--tag", "a=b", "--tag", "c", "--metric", "auc>0.9", "--metric", "f1>0")
    (seen,) = answers.of("GET", OF_CHURN)
    pairs = [pair for pair in parse_qsl(seen.search) if pair[0] in {"tag", "metric"}]
    assert sorted(pairs) == [("metric", "auc>0.9"), ("metric", "f1>0"), ("tag", "a=b"), ("tag", "c")]


def test_models_are_listed_by_owner_and_tag(run: Any, answers: Answers) -> None:
    run("models", "list", "--owner", "team:risk", "--tag", "domain=payments")
    assert asked(answers, "/v1/models") == {"owner": "team:risk", "tag": "domain=payments"}


def test_a_day_and_a_time_are_sent_as_services_read_them() -> None:
    assert moment(date(2026, 3, 1)) == "2026-03-01"
    assert moment(datetime(2026, 3, 1, 12, tzinfo=UTC)) is not None
    assert moment("2026-03-01T12:00:00Z") == "2026-03-01T12:00:00Z"
    assert moment(None) is None


def test_a_page_token_goes_beside_the_conditions(run: Any, answers: Answers) -> None:
    page = {"items": [VERSION], "next_page_token": "t"}
    answers.given["GET", ALL] = [JSONResponse(page), JSONResponse(page | {"next_page_token": ""})]
    run("versions", "list", "--tag", "a=b")
    assert [seen.query.get("page_token") for seen in answers.of("GET", ALL)] == [None, "t"]
    assert urlencode({"tag": "a=b"}) in answers.of("GET", ALL)[1].search


def test_versions_are_compared_beside_each_other(run: Any, answers: Answers) -> None:
    found = {
        "versions": [{"model": "churn", "number": 1}, {"model": "risk.base", "number": 2}],
        "rows": [
            {"part": "metrics", "name": "auc", "on": "test", "values": [0.9, 0.8], "best": [0]},
            {"part": "metrics", "name": "f1", "on": "test", "values": [0.9, None], "best": []},
            {"part": "config", "name": "out_dir", "values": ["/1", "/2"], "noise": True},
        ],
    }
    answers.fixed["GET", "/v1/compare"] = JSONResponse(found)
    lines = run("compare", "churn@1", "risk.base@latest").stdout.splitlines()
    assert lines == [
        "part\tname\tchurn@1\trisk.base@2",
        "metrics\tauc on test\t0.9 *\t0.8",
        "metrics\tf1 on test\t0.9\t",
        "config\tout_dir\t(/1)\t(/2)",
    ]
    sent = parse_qsl(answers.of("GET", "/v1/compare")[0].search)
    assert sent == [("version", "churn@1"), ("version", "risk.base@latest")]
    assert run("compare", "churn@1").exit_code == 2
    run("compare", "churn@1", "2")
    second = parse_qsl(answers.of("GET", "/v1/compare")[1].search)
    assert second == [("version", "churn@1"), ("version", "churn@2")]
