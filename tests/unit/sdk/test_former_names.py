"""Names that commands and calls had before work, and name what replaced them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.responses import JSONResponse

import regista
from regista import errors
from regista.cli import COMMANDS, FORMER
from regista.client.async_client import AsyncClient
from regista.client.sync_client import Client
from regista.publishing.publication import document

from .conftest import Answers

FORMER_CALLS = [
    ("recall", "withdraw"),
    ("recall_trained", "withdraw_trained"),
    ("checkpoints", "log_checkpoints"),
    ("hold", "place_legal_hold"),
    ("release_hold", "release_legal_hold"),
    ("sweep", "clean_up"),
    ("sweeps", "cleanup_runs"),
    ("sweep_plan", "cleanup_run"),
]
VERSION = {"model": "churn", "number": 3, "stage": "Archived", "withdrawn": "poisoned", "rollouts": []}


def test_a_former_command_does_what_the_present_one_does_and_names_it(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/models/churn/versions/3:withdraw"] = JSONResponse(VERSION)
    result = run("recall", "churn@3", "--reason", "poisoned")
    assert (result.exit_code, result.stdout) == (0, "withdrawn churn@3\n")
    assert "'recall' is deprecated. Use `regista withdraw`." in result.stderr


@pytest.mark.parametrize(
    ("words", "path"), [((), ":place-legal-hold"), (("--release",), ":release-legal-hold")]
)
def test_the_former_hold_places_and_releases(
    words: tuple[str, ...], path: str, run: Any, answers: Answers
) -> None:
    answers.fixed["POST", f"/v1/models/churn/versions/3{path}"] = JSONResponse(VERSION)
    result = run("hold", "churn@3", *words, "--reason", "case 4711")
    assert (result.exit_code, "Use `regista legal-hold place`." in result.stderr) == (0, True)


def test_a_former_command_of_a_group_and_a_former_option_work(
    run: Any, answers: Answers, tmp_path: Path
) -> None:
    heads = {"origin": "log", "tree_size": 0, "verifier_key": "vk", "items": [], "next_page_token": ""}
    answers.fixed["GET", "/v1/log-checkpoints"] = JSONResponse(heads)
    result = run("audit", "checkpoints")
    assert "'checkpoints' is deprecated. Use `regista audit log-checkpoints`." in result.stderr
    assert ("vk" in result.stdout, "\n  checkpoints" in run("audit", "--help").stdout) == (True, False)
    kept = tmp_path / "kept.note"
    kept.write_text("no note")
    for words in (["--checkpoint", str(kept)], [f"--checkpoint={kept}"]):
        result = run("history", "verify", str(tmp_path), "--key", "k", *words)
        assert "'--checkpoint' is deprecated. Use --log-checkpoint." in result.stderr
        assert "log_checkpoint_not_signed" in result.stderr


def test_attempts_are_selected_by_identity(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reports/attempts"] = JSONResponse({"items": [], "next_page_token": ""})
    answers.fixed["GET", "/v1/access/identities"] = JSONResponse({"items": [{"subject": "u-7k2m"}]})
    assert "deprecated" not in run("audit", "attempts", "--identity", "u-7k2m", "--json").stderr
    result = run("audit", "attempts", "--subject", "u-7k2m", "--json")
    assert "'--subject' is deprecated. Use --identity." in result.stderr
    sent = [request.query["subject"] for request in answers.of("GET", "/v1/reports/attempts")]
    assert sent == ["u-7k2m", "u-7k2m"]


@pytest.mark.parametrize("name", sorted(FORMER))
def test_a_former_command_is_hidden(name: str, run: Any) -> None:
    assert name not in COMMANDS
    assert not any(line.split()[:1] == [name] for line in run("--help").stdout.splitlines())
    assert run(name, "--help").exit_code == 0


@pytest.mark.parametrize("client", [AsyncClient, Client])
@pytest.mark.parametrize(("name", "present"), FORMER_CALLS)
def test_a_former_call_has_the_arguments_of_the_present_one(client: type, name: str, present: str) -> None:
    assert inspect.signature(getattr(client, name)) == inspect.signature(getattr(client, present))


def test_a_former_call_warns(client: Client, answers: Answers) -> None:
    answers.fixed["POST", "/v1/models/churn/versions/3:withdraw"] = JSONResponse(VERSION)
    with pytest.warns(DeprecationWarning, match="recall is called withdraw now"):
        assert client.recall("churn@3", "poisoned")["withdrawn"] == "poisoned"


def test_track_is_called_capture_and_still_names_the_calling_file() -> None:
    with pytest.warns(DeprecationWarning, match="track is called capture now"):
        former = regista.track(config={"C": 1.0})
    assert former.code is not None
    assert former.code == regista.capture(config={"C": 1.0}).code


def test_the_schema_may_be_given_by_its_former_name_once() -> None:
    schema = {"inputs": [], "outputs": [{"name": "y", "type": "double"}]}
    with pytest.warns(DeprecationWarning, match="signature is called schema now"):
        assert document("churn", signature=schema) == document("churn", schema=schema)
    with pytest.raises(errors.Invalid, match="two_schemas"):
        document("churn", schema=schema, signature=schema)


def test_the_version_to_compare_with_may_be_given_by_its_former_name_once() -> None:
    with pytest.warns(DeprecationWarning, match="base is called compare_with now"):
        assert document("churn", base=3) == document("churn", compare_with=3)
    with pytest.raises(errors.Invalid, match="two_comparisons"):
        document("churn", compare_with=3, base=3)


def test_the_schema_of_a_run_has_a_former_name() -> None:
    run = regista.capture().schema({"x": np.array([1.0])}, {"y": np.array([2.0])})
    with pytest.warns(DeprecationWarning, match="signature is called model_schema now"):
        assert run.signature == run.model_schema


def test_a_former_warning_is_the_present_one() -> None:
    with pytest.warns(DeprecationWarning, match="RecalledAncestor is called WithdrawnAncestor now"):
        assert errors.RecalledAncestor is errors.WithdrawnAncestor
