"""Nothing is uploaded of what cannot be published."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.client.transport import Transport
from regista.errors import Forbidden, Invalid, NotFound, Refused, RegistaError, TooLarge, Unavailable
from regista.publishing.publisher_role import check_role
from regista.wire import limits

from .conftest import COMPLETE, Answers, problem

AUC = {"name": "auc", "value": 0.9, "dataset_digest": "sha256:1", "dataset_name": "holdout"}
X = {"name": "x", "type": "float32[?,2]"}
BASE = {"model": "base", "number": 1, "relation": "base_model"}
ALLOWED = {"files": limits.FILES, "file_bytes": limits.FILE_BYTES, "artifact_bytes": limits.ARTIFACT_BYTES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.onnx").write_bytes(b"onnx")
    return tmp_path / "m"


def _sent(answers: Answers) -> list[str]:
    return [seen.path for seen in answers.seen if seen.method != "GET"]


def _refused(client: Client, folder: Path, error: type[RegistaError], **facts: Any) -> RegistaError:
    with pytest.raises(error) as refused:
        client.publish("churn", folder, **facts)
    return refused.value


def test_missing_metadata_are_named_before_a_byte_is_sent(
    client: Client, answers: Answers, folder: Path
) -> None:
    refused = _refused(client, folder, Refused, training={"config": {}})
    assert [p.field for p in refused.problems] == [  # type: ignore[attr-defined]
        "training.dataset.digest",
        "training.metrics",
        "training.trained_at",
        "training.code",
        "signature",
    ]
    assert _sent(answers) == []


@pytest.mark.parametrize(
    ("facts", "error", "text"),
    [
        ({"training": {"seed": "7"}}, Refused, "training.seed"),
        ({"training": {"surprise": 1}}, Refused, "training.surprise: no such field"),
        ({"training": {"config": {"text": "x" * limits.DATA_BYTES}}}, TooLarge, "of them in `training`"),
        ({"training": {"config": {"a": "\0"}}}, Invalid, "NUL"),
        ({"tier": "huge"}, Refused, "must be one of low, medium, high"),
        ({"training": {"metrics": [AUC, AUC | {"value": 0.8}]}}, Refused, "given twice: give it once"),
        (
            {"training": {"metrics": [AUC | {"primary": True}, AUC | {"name": "f1", "primary": True}]}},
            Refused,
            "mark one",
        ),
        ({"schema": {"inputs": [X, X], "outputs": []}}, Refused, "signature.inputs: a name is given twice"),
        (
            {"schema": {"inputs": [X], "outputs": [], "columns": {"X": ["a", "b"]}}},
            Refused,
            "signature.columns.X: there is no input of this name",
        ),
        ({"parents": [BASE, BASE | {"relation": "embedding"}]}, Refused, "a parent is given twice"),
        (
            {"parents": [{"model": "hf://bert@5c3", "relation": "base_model"}]},
            Refused,
            "parents.0.digest: missing",
        ),
        ({"parents": [{"model": "base", "relation": "base_model"}]}, Refused, "parents.0.number: missing"),
    ],
)
def test_what_the_registry_would_refuse_is_refused_before_a_byte_is_sent(
    client: Client, answers: Answers, folder: Path, facts: dict[str, Any], error: Any, text: str
) -> None:
    assert text in str(_refused(client, folder, error, draft=True, **facts))
    assert _sent(answers) == []


def test_too_many_files_are_refused_before_a_byte_is_sent(
    client: Client, answers: Answers, folder: Path
) -> None:
    for n in range(limits.FILES):
        (folder / f"{n}.bin").touch()
    refused = _refused(client, folder, TooLarge, **COMPLETE)
    assert refused.detail == "the artifact has 2,001 files; at most 2,000 are allowed"
    assert _sent(answers) == []
    (folder / "0.bin").unlink()
    answers.fixed["POST", "/v1/uploads"] = JSONResponse({"location": "u", "sha256": "0", "size": 0}, 201)
    _refused(client, folder, RegistaError, **COMPLETE)
    assert "/v1/uploads" in _sent(answers)


@pytest.mark.parametrize("name", ["CON", "aux.txt", "a.", "x" * 201, "a" * 150 + "/" + "b" * 150])
def test_a_name_that_some_system_changes_is_refused_before_a_byte_is_sent(
    client: Client, answers: Answers, folder: Path, name: str
) -> None:
    file = folder / name
    if len(name) > 250:
        file = folder.joinpath(*["d" * 150] * 4, "f")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert _refused(client, folder, Invalid, **COMPLETE).code == "artifact_odd"
    assert _sent(answers) == []


def test_a_file_larger_than_the_installation_allows_is_refused_before_a_byte_is_sent(
    client: Client, answers: Answers, folder: Path
) -> None:
    os.truncate(folder / "model.onnx", 2000)
    (folder / "a.txt").write_text("first in the order of names")
    limits_of = "/v1/uploads/limits"
    answers.fixed["GET", limits_of] = JSONResponse(ALLOWED | {"file_bytes": 1000})
    refused = _refused(client, folder, TooLarge, **COMPLETE)
    assert refused.detail == "model.onnx has 2,000 bytes; at most 1,000 are allowed"
    answers.fixed["GET", limits_of] = JSONResponse(ALLOWED | {"artifact_bytes": 2010})
    assert "2,027 bytes" in _refused(client, folder, TooLarge, **COMPLETE).detail
    answers.fixed["GET", limits_of] = JSONResponse(ALLOWED | {"files": 1})
    assert "2 files" in _refused(client, folder, TooLarge, **COMPLETE).detail
    assert _sent(answers) == []


@pytest.mark.slow
def test_the_list_of_files_counts_for_the_size_of_the_message(
    client: Client, answers: Answers, folder: Path
) -> None:
    for n in range(1_900):
        (folder / f"{n:04}{'x' * 150}.bin").touch()
    long = {**COMPLETE, "training": {**COMPLETE["training"], "environment": {"packages": "x" * 600_000}}}
    assert "at most 1,048,576" in _refused(client, folder, TooLarge, **long).detail
    assert _sent(answers) == []


ROLE = ("GET", "/v1/models/churn/publisher")


def test_a_missing_role_is_named_before_a_byte_is_sent(
    client: Client, answers: Answers, folder: Path
) -> None:
    facts = {"subject": "ci", "role": "publisher", "namespace": ""}
    answers.fixed[ROLE] = problem(403, "role_missing", **facts)
    assert "access grant ci publisher" in _refused(client, folder, Forbidden, **COMPLETE).advice
    answers.fixed[ROLE] = problem(403, "role_missing", **facts, meant=["demo.churn"])
    advice = _refused(client, folder, Forbidden, **COMPLETE).advice
    assert advice.startswith("Publish to demo.churn. Only if the name shall have no namespace, ")
    answers.fixed[ROLE] = problem(404, "unknown_model")
    _refused(client, folder, NotFound, **COMPLETE)
    answers.fixed[ROLE] = problem(503, "unavailable")
    _refused(client, folder, Unavailable, **COMPLETE)
    assert _sent(answers) == []


def test_a_registry_that_has_no_answer_about_the_role_is_believed_at_the_registration(
    client: Client, answers: Answers, folder: Path
) -> None:
    answers.fixed[ROLE] = problem(404, "no_such_route")
    answers.fixed["POST", "/v1/models/churn/versions"] = problem(403, "role_missing")
    _refused(client, folder, Forbidden, **COMPLETE)
    assert "/v1/uploads" in _sent(answers)


def test_for_a_message_on_kafka_the_signer_is_asked_about_and_no_answer_stops_nothing(
    profile: Profile, answers: Answers
) -> None:
    answers.fixed[ROLE] = problem(403, "role_missing")
    with pytest.raises(Forbidden):
        asyncio.run(_ask_about_signer(profile))
    assert answers.seen[-1].query == {"publisher": "nightly"}
    answers.fixed[ROLE] = problem(503, "unavailable")
    asyncio.run(_ask_about_signer(profile))


async def _ask_about_signer(profile: Profile) -> None:
    transport = Transport(profile)
    try:
        await check_role(transport, "churn", "nightly")
    finally:
        await transport.close()
