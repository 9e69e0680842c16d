"""Drafts that an import made: a later run adds what its source has by then, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.wire import mirrored

from .conftest import Answers, Seen
from .test_cli_import import API, PROXY, mlflow

LACKS = ["training.code", "training.dataset.digest"]
VERSION = "/v1/models/crm.churn/versions/1"
RUN: dict[str, Any] = {
    "info": {"run_id": "r", "end_time": 1_767_225_600_000},
    "data": {
        "params": [{"key": "C", "value": "0.1"}],
        "tags": [{"key": "mlflow.source.git.commit", "value": "a" * 40}],
        "metrics": [{"key": "auc", "value": 0.9}],
    },
}


def here(answers: Answers, lacks: list[str], digest: str | None = "sha256:a", **draft: Any) -> Answers:
    """Version 1 there is a draft here, which lacks this. MLflow has its run."""
    mlflow(answers, run_id="r")
    line = {
        "number": 1,
        "stage": "Draft",
        "missing": lacks,
        "artifact_digest": digest,
        "retired": None,
        "description": "x",
        "tags": None,
        "imported_from": {"system": "mlflow", "uri": answers.url, "id": "churn", "number": "1"},
    }
    one = line | {"training": {"config": {"C": "by hand"}}, "schema": None, "revision": 7} | draft
    answers.fixed |= {
        ("GET", f"{API}/runs/get"): JSONResponse({"run": RUN}),
        ("GET", "/v1/models/crm.churn"): JSONResponse({"model": "crm.churn"}),
        ("GET", "/v1/models/crm.churn/versions"): JSONResponse({"items": [line], "next_page_token": ""}),
        ("GET", VERSION): JSONResponse(one, headers={"ETag": '"7"'}),
        ("PATCH", VERSION): JSONResponse(one | {"missing": lacks[1:]}, headers={"ETag": '"8"'}),
    }
    return answers


def imported(run: Any, answers: Answers) -> tuple[dict[str, Any], list[Seen]]:
    """What the report states about the model, and what was added here."""
    done = run("import", "mlflow", "--from", answers.url, "--to", "crm", "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["models"][0], answers.of("PATCH", VERSION)


def test_data_that_a_run_has_by_now_are_added_and_what_a_person_stated_stays(
    run: Any, answers: Answers
) -> None:
    model, (sent,) = imported(run, here(answers, LACKS))
    body = json.loads(sent.body)
    assert body["training"].keys() == {"code", "metrics", "trained_at", "run_url"}
    assert body["training"]["code"] == {"revision": "a" * 40}
    assert sent.headers["if-match"] == '"7"'
    assert (model["completed"], model["drafts"], model["imported"]) == ({"1": 1}, ["1"], {})


def test_a_draft_to_which_its_source_adds_nothing_is_left_as_it_is(run: Any, answers: Answers) -> None:
    model, sent = imported(run, here(answers, LACKS[1:]))
    assert (sent, model["completed"], model["here_before"]) == ([], {}, 1)


@pytest.mark.parametrize("lacks", [["signature"], ["training.creator"]], ids=str)
def test_a_draft_that_lacks_what_no_run_states_is_not_read_again(
    run: Any, answers: Answers, lacks: list[str]
) -> None:
    imported(run, here(answers, lacks))
    assert not answers.of("GET", f"{API}/runs/get")


def test_files_that_are_here_are_not_copied_again(run: Any, answers: Answers) -> None:
    here(answers, LACKS)
    listing = {"files": [{"path": "model.bin", "file_size": 3}]}
    answers.fixed["GET", f"{API}/model-versions/get-download-uri"] = JSONResponse(
        {"artifact_uri": "mlflow-artifacts:/m"}
    )
    answers.fixed["GET", PROXY] = JSONResponse(listing)
    _, (sent,) = imported(run, answers)
    assert "artifact" not in json.loads(sent.body)
    assert not answers.of("GET", f"{PROXY}/m/model.bin")


def test_the_plan_states_which_drafts_become_more(run: Any, answers: Answers) -> None:
    here(answers, LACKS)
    done = run("import", "mlflow", "--from", answers.url, "--to", "crm", "--dry-run", "--json")
    (line,) = json.loads(done.stdout)
    assert (line["new"], line["completed"], line["missing"]) == (0, {"1": ["training.code"]}, {LACKS[1]: 1})


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ({"status": "PENDING_REGISTRATION"}, "its status there is PENDING_REGISTRATION"),
        ({"tags": [{"key": mirrored.MLFLOW, "value": "m1@1"}]}, mirrored.SKIPPED),
    ],
    ids=["not ready", "mirrored"],
)
def test_a_draft_whose_version_is_skipped_now_is_not_completed(
    run: Any, answers: Answers, version: dict[str, Any], why: str
) -> None:
    here(answers, LACKS)
    listed = {"name": "churn", "version": "1", "run_id": "r"} | version
    answers.fixed["GET", f"{API}/model-versions/search"] = JSONResponse({"model_versions": [listed]})
    done = run("import", "mlflow", "--from", answers.url, "--to", "crm", "--dry-run", "--json")
    (line,) = json.loads(done.stdout)
    assert (line["completed"], line["new"], line["skipped"]) == ({}, 0, {"1": why})


def registered_by_client(answers: Answers, by: str = "person:ann", **external: str) -> Answers:
    """Version 1 here is a draft that a client of MLflow registered, by its address alone."""
    here(answers, ["artifact.digest", *LACKS], None)
    line = {
        "model": "crm.churn",
        "number": 1,
        "stage": "Draft",
        "missing": ["artifact.digest", *LACKS],
        "artifact_digest": None,
        "retired": None,
        "registered_by": by,
        "imported_from": None,
    }
    source = {"uri": "runs:/r/model", "run_id": "r", "model_id": "", "run_link": ""} | external
    one = line | {"training": None, "schema": None, "external": source, "revision": 7}
    info = RUN["info"] | {"artifact_uri": "s3://bucket/r/artifacts"}
    answers.fixed |= {
        ("GET", f"{API}/runs/get"): JSONResponse({"run": RUN | {"info": info}}),
        ("GET", "/v1/access/me"): JSONResponse({"subject": "person:ann", "kind": "person", "roles": []}),
        ("GET", "/v1/versions:search"): JSONResponse({"items": [line], "next_page_token": ""}),
        ("GET", VERSION): JSONResponse(one, headers={"ETag": '"7"'}),
        ("GET", f"{API}/artifacts/list"): JSONResponse({"files": [{"path": "model/m.bin", "file_size": 3}]}),
    }
    return answers


def drafts(run: Any, answers: Answers, *words: str) -> list[dict[str, Any]]:
    """The plan of `--drafts`, by models."""
    command = ["import", "mlflow", "--from", answers.url, "--to", "crm", "--drafts", "--dry-run", "--json"]
    done = run(*command, *words)
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_own_drafts_of_mlflows_clients_get_the_files_and_the_data_of_their_runs(
    run: Any, answers: Answers
) -> None:
    (line,) = drafts(run, registered_by_client(answers))
    assert (line["model"], line["completed"]) == (
        "crm.churn",
        {"1": ["artifact.digest", "training.code"]},
    )
    assert (line["files"], line["bytes"], line["new"]) == (1, 3, 0)
    assert [seen.query["path"] for seen in answers.of("GET", f"{API}/artifacts/list")] == ["model"]


def test_a_draft_of_someone_else_is_theirs_to_complete(run: Any, answers: Answers) -> None:
    assert drafts(run, registered_by_client(answers, by="person:mallory")) == []
    assert not answers.of("GET", f"{API}/runs/get")


def test_a_source_elsewhere_is_named_and_not_read(run: Any, answers: Answers) -> None:
    (line,) = drafts(run, registered_by_client(answers, uri="s3://other/x", run_id=""))
    assert (line["completed"], "s3://other/x" in line["skipped"]["1"]) == ({}, True)


def test_a_draft_gets_the_files_of_the_run_in_its_source_whatever_run_it_states(
    run: Any, answers: Answers
) -> None:
    drafts(run, registered_by_client(answers, run_id="another"))
    assert {seen.query["run_id"] for seen in answers.of("GET", f"{API}/runs/get")} == {"r"}


def test_drafts_outside_of_the_namespace_and_the_patterns_are_left(run: Any, answers: Answers) -> None:
    line = json.loads(bytes(registered_by_client(answers).fixed["GET", "/v1/versions:search"].body))
    line["items"] += [line["items"][0] | {"model": name} for name in ("churn", "crmx.churn")]
    answers.fixed["GET", "/v1/versions:search"] = JSONResponse(line)
    assert [one["model"] for one in drafts(run, answers)] == ["crm.churn"]
    assert drafts(run, answers, "--models", "fraud*") == []
    assert len(drafts(run, answers, "--models", "chu*")) == 1


def test_drafts_are_completed_and_nothing_is_adopted(run: Any, answers: Answers) -> None:
    words = ["--drafts", "--adopt-serving", "--reason", "we move"]
    done = run("import", "mlflow", "--from", answers.url, *words)
    assert (done.exit_code, "--drafts completes drafts" in " ".join(done.stderr.split())) == (2, True)
