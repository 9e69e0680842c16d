"""Waiting for a stage, for a decision, and for its effect: what ends it, and with which exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.calls import waiting
from regista.client.sync_client import Client
from regista.errors import RuleBroken, TimedOut

from .conftest import COMPLETE, Answers, problem

PATH = "/v1/models/churn/versions/3"
BY_ID = "/v1/models/m1/versions/3"
STAGING = {
    "model": "churn",
    "model_id": "m1",
    "number": 3,
    "semver": "1.2.0",
    "stage": "Staging",
    "artifact_state": "available",
    "promotions": [],
}
FAILED = {
    "passed": False,
    "results": [
        {"gate": "auc", "passed": False, "detail": "0.8 is below 0.9"},
        {"gate": "bytes", "passed": True, "detail": "good"},
    ],
}
REQUESTED = {"promotion_id": "p1", "number": 3, "environment": "production"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST", 0.001)
    monkeypatch.setattr(waiting, "SETTLED", 0.0)


def version(answers: Answers, *states: dict[str, Any]) -> None:
    """The version has these states one after the other; the last one stays."""
    first, *others = [STAGING | state for state in states]
    answers.fixed["GET", PATH] = JSONResponse(first)
    answers.given["GET", BY_ID] = [JSONResponse(state) for state in others[:-1]]
    answers.fixed["GET", BY_ID] = JSONResponse([first, *others][-1])


def test_the_version_is_returned_once_it_is_validated(client: Client, answers: Answers) -> None:
    version(answers, {}, {"artifact_state": None}, {}, {"stage": "Validated"})
    assert client.wait_for("churn@3")["stage"] == "Validated"


def test_a_version_in_production_is_validated_too(client: Client, answers: Answers) -> None:
    version(answers, {"stage": "Production"})
    assert client.wait_for("churn@3", "validated", 0)["stage"] == "Production"


@pytest.mark.parametrize(
    ("state", "code", "why"),
    [
        ({"stage": "Rejected", "reasons": ["artifact: truncated"]}, "version_rejected", "truncated"),
        ({"withdrawn": "poisoned", "stage": "Validated"}, "version_withdrawn", "poisoned"),
        ({"retired": {"rule": "unused"}}, "version_retired", "retired"),
        ({"stage": "Draft", "missing": ["training.config"]}, "version_draft", "training.config"),
        ({"stage": "Archived"}, "version_archived", "Archived"),
        ({"gates": FAILED}, "gates_failed", "auc: 0.8 is below 0.9"),
    ],
)
def test_what_cannot_become_validated_ends_the_wait_with_the_reason(
    client: Client, answers: Answers, state: dict[str, Any], code: str, why: str
) -> None:
    version(answers, state)
    with pytest.raises(RuleBroken, match=why) as ended:
        client.wait_for("churn@3", seconds=30)
    assert ended.value.code == code


def test_a_verdict_that_turns_good_in_the_meantime_ends_the_wait_well(
    client: Client, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SETTLED", 60.0)
    version(answers, {"gates": FAILED}, {"gates": FAILED}, {"stage": "Validated"})
    assert client.wait_for("churn@3")["stage"] == "Validated"


@pytest.mark.parametrize(
    ("until", "state", "waits_for"),
    [
        ("validated", {"artifact_state": None}, "its artifact is not verified yet"),
        ("validated", {}, "its gates are not assessed yet"),
        ("production", {"stage": "Validated"}, "no promotion to production is requested"),
        ("production", {"stage": "Validated", "promotions": [REQUESTED | {"state": "open"}]}, "p1 is open"),
    ],
)
def test_a_time_out_states_what_it_waits_for(
    client: Client, answers: Answers, until: Any, state: dict[str, Any], waits_for: str
) -> None:
    version(answers, state)
    with pytest.raises(TimedOut, match=waits_for) as late:
        client.wait_for("churn@3", until, 0.01)
    assert late.value.code == f"not_{until}_yet"


def test_a_refused_promotion_ends_the_wait_for_production(client: Client, answers: Answers) -> None:
    refused = REQUESTED | {"state": "refused", "reasons": ["rejected by ann: no"]}
    version(answers, {"stage": "Validated", "promotions": [refused]})
    with pytest.raises(RuleBroken, match="rejected by ann"):
        client.wait_for("churn@3", "production", 30)


def test_a_promotion_refused_outside_production_does_not_end_it(client: Client, answers: Answers) -> None:
    refused = REQUESTED | {"state": "refused", "reasons": ["no"], "production": False}
    version(answers, {"stage": "Validated", "promotions": [refused]}, {"stage": "Production"})
    assert client.wait_for("churn@3", "production")["stage"] == "Production"


def test_a_grant_counts_once_it_is_carried_out(client: Client, answers: Answers) -> None:
    states = ["open", "granted", "granted", "promoted"]
    answers.given["GET", "/v1/promotions/p1"] = [
        problem(404, "unknown_promotion"),
        *(JSONResponse(REQUESTED | {"state": state}) for state in states),
    ]
    assert client.wait_for_promotion("p1")["state"] == "promoted"
    assert answers.given["GET", "/v1/promotions/p1"] == []


def test_a_grant_that_is_not_carried_out_in_time_is_named_as_pending(
    client: Client, answers: Answers
) -> None:
    answers.fixed["GET", "/v1/promotions/p1"] = JSONResponse(REQUESTED | {"state": "granted"})
    with pytest.raises(TimedOut, match="granted, and the registry has not carried it out"):
        client.wait_for_promotion("p1", 0)


def test_promote_waits_for_the_gates_first(run: Any, answers: Answers) -> None:
    early = problem(409, "not_validated", next_step="wait")
    answers.given["POST", f"{PATH}:promote"] = [early, JSONResponse(REQUESTED, 202)]
    version(answers, {}, {}, {"stage": "Validated"})
    answers.fixed["GET", "/v1/promotions/p1"] = JSONResponse(REQUESTED | {"state": "promoted"})
    result = run("promote", "churn@3", "--wait")
    assert (result.exit_code, "was carried out" in result.output) == (0, True)


def test_promote_names_the_gate_that_blocks(run: Any, answers: Answers) -> None:
    answers.fixed["POST", f"{PATH}:promote"] = problem(409, "not_validated", next_step="wait")
    version(answers, {"gates": FAILED})
    result = run("promote", "churn@3", "--wait")
    assert (result.exit_code, "auc: 0.8 is below 0.9" in result.stderr) == (3, True)


def test_promote_without_wait_names_the_command_that_waits(run: Any, answers: Answers) -> None:
    answers.fixed["POST", f"{PATH}:promote"] = problem(409, "not_validated", next_step="wait")
    result = run("promote", "churn@3")
    assert (result.exit_code, "promote --wait" in result.stderr) == (3, True)


STANDS = REQUESTED | {
    "state": "open",
    "new": False,
    "requested_by": "u-1",
    "reason": "first",
    "superseded": [],
}


@pytest.mark.parametrize(
    ("answered", "shown"),
    [
        (STANDS, "is open already, requested by u-1: first\nyour reason is not recorded"),
        (STANDS | {"state": "promoted"}, "churn@3 is promoted to production already, by promotion p1"),
        (
            STANDS | {"new": True, "superseded": ["p0"]},
            "was requested\nit supersedes p0: approvals of that count no more",
        ),
    ],
)
def test_promote_states_what_its_request_met(
    run: Any, answers: Answers, answered: dict[str, Any], shown: str
) -> None:
    answers.fixed["POST", f"{PATH}:promote"] = JSONResponse(answered, 202)
    assert shown in run("promote", "churn@3", "--reason", "second").stdout


@pytest.mark.parametrize(
    ("state", "exit_code"), [({"stage": "Validated"}, 0), ({"gates": FAILED}, 3), ({}, 6)]
)
def test_versions_wait_ends_with_an_exit_code_for_each_end(
    run: Any, answers: Answers, state: dict[str, Any], exit_code: int
) -> None:
    version(answers, state)
    assert run("versions", "wait", "churn@3", "--timeout", "0.01").exit_code == exit_code


def test_publish_waits_until_the_version_is_validated(run: Any, answers: Answers, tmp_path: Any) -> None:
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(STAGING, 201)
    version(answers, {}, {"stage": "Validated"})
    answers.fixed["GET", BY_ID] = JSONResponse(STAGING | {"stage": "Validated"})
    metadata = tmp_path / "run.json"
    metadata.write_text(json.dumps({name: COMPLETE[name] for name in ("training", "schema")}))
    (tmp_path / "model.onnx").write_bytes(b"model")
    files = [str(tmp_path / "model.onnx"), "--metadata", str(metadata)]
    words = ["publish", "churn", *files, "--until", "validated", "--json"]
    result = run(*words)
    assert (result.exit_code, json.loads(result.stdout)["stage"]) == (0, "Validated")
    assert run(*words[:-1], "-o", "name").stdout == "churn@3\n"
    assert "Validated" in run(*words[:-1], "-o", "csv").stdout
    assert run("versions", "wait", "churn@3", "-o", "name").stdout == "churn@3\n"


@pytest.mark.parametrize("other", ["--draft", "--no-wait"])
def test_a_wait_for_validated_makes_no_sense_for_a_draft_or_without_waiting(run: Any, other: str) -> None:
    assert run("publish", "churn", "--until", "validated", other).exit_code == 2
