"""`regista import mlflow`: what it prints, and its exit codes. One small server is source and registry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from .conftest import Answers
from .test_hostile_text import HOSTILE, harmless

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
VERSION = {
    "name": "churn",
    "version": "1",
    "status": "READY",
    "user_id": "alice",
    "current_stage": "Production",
    "run_id": "r",
    "tags": [{"key": HOSTILE, "value": HOSTILE}],
}


def mlflow(answers: Answers, name: str = "churn", **version: Any) -> Answers:
    """An MLflow server with one model, whose version has no bytes."""
    answers.fixed |= {
        ("GET", f"{API}/registered-models/search"): JSONResponse({"registered_models": [{"name": name}]}),
        ("GET", f"{API}/model-versions/search"): JSONResponse(
            {"model_versions": [VERSION | {"name": name} | version]}
        ),
        ("GET", f"{API}/model-versions/get-download-uri"): JSONResponse({"artifact_uri": HOSTILE}),
        ("GET", f"{API}/runs/get"): JSONResponse({"message": "no such run"}, 404),
    }
    return answers


def planned(run: Any, answers: Answers, *words: str) -> Any:
    return run("import", "mlflow", "--from", answers.url, "--to", "crm", "--dry-run", *words)


def test_the_plan_names_what_is_there_and_changes_nothing(run: Any, answers: Answers) -> None:
    done = planned(run, mlflow(answers), "--json")
    (line,) = json.loads(done.stdout)
    assert {name: line[name] for name in ("there", "model", "versions", "new", "drafts", "stages")} == {
        "there": "churn",
        "model": "crm.churn",
        "versions": 1,
        "new": 1,
        "drafts": 1,
        "stages": {"1": "Production"},
    }
    assert line["missing"]["artifact.digest"] == 1
    assert {seen.method for seen in answers.seen} == {"GET"}


def test_a_person_reads_what_becomes_a_draft_and_who_made_it(run: Any, answers: Answers) -> None:
    done = planned(run, mlflow(answers))
    assert (done.exit_code, "1 models: 1 new versions (0 B), 1 of them drafts" in done.stderr) == (0, True)
    assert "its stage there is only a claim: Production" in done.stderr
    assert "--creator THERE=IDENTITY" in done.stderr


@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=" ".join)
def test_hostile_texts_of_a_source_are_printed_harmlessly(
    run: Any, answers: Answers, form: list[str], dry: list[str]
) -> None:
    mlflow(answers, HOSTILE, status=HOSTILE, user_id=HOSTILE, current_stage=HOSTILE)
    done = run("import", "mlflow", "--from", answers.url, *dry, *form)
    assert "pwned" in done.output
    assert harmless(done.output)


def test_an_expired_token_ends_with_what_to_do(run: Any, answers: Answers) -> None:
    answers.fixed["GET", f"{API}/registered-models/search"] = Response(status_code=401)
    done = planned(run, answers)
    assert done.exit_code == 5
    assert "expired" in done.stderr


def test_a_source_without_the_named_models_is_reported(run: Any, answers: Answers) -> None:
    done = planned(run, mlflow(answers), "--models", "fraud*")
    assert (done.exit_code, done.stderr) == (0, "there is no such model\n")


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        (["--rename", "churn"], "THERE=HERE"),
        (["--rename", "churn=no name"], "cannot be a model's name"),
        (["--to", "no name"], "cannot be a namespace"),
        (["--from", "sqlite:///mlflow.db"], "mlflow server"),
    ],
)
def test_a_wrong_option_is_refused(run: Any, answers: Answers, words: list[str], stated: str) -> None:
    done = planned(run, mlflow(answers), *words)
    assert (done.exit_code, stated in " ".join(done.stderr.split())) == (2, True)


def test_a_name_there_may_have_the_sign_of_a_pair(run: Any, answers: Answers) -> None:
    done = planned(run, mlflow(answers, "a=b"), "--rename", "a=b=crm.ab", "--json")
    assert json.loads(done.stdout)[0]["model"] == "crm.ab"
