"""MLflow's answers as ModelTrained's data: complete where MLflow has enough, and always a valid message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from regista.importing.claims import MOST_BYTES, data_of
from regista.importing.mlflow_claims import Facts, stated_of
from regista.importing.source import SourceModel, Stated
from regista.importing.texts import clean, fitted_tags, moment
from regista.publishing.contract import check_publication
from regista.wire import limits
from regista.wire.mlmodel import MLmodel

URI = "https://mlflow.example.com"
VERSION: dict[str, Any] = {
    "name": "churn",
    "version": "7",
    "creation_timestamp": 1_767_225_600_123,
    "user_id": "alice",
    "current_stage": "Production",
    "run_id": "0f3c",
    "source": "models:/m-1",
    "description": "the old one",
    "tags": [{"key": "team", "value": "crm"}],
}
RUN: dict[str, Any] = {
    "info": {"run_id": "0f3c", "experiment_id": "1", "user_id": "bob", "end_time": 1_767_225_500_000},
    "data": {
        "params": [{"key": "C", "value": "0.1"}],
        "metrics": [{"key": "auc", "value": 0.9, "dataset_name": "holdout", "dataset_digest": "beef"}],
        "tags": [{"key": "mlflow.source.git.commit", "value": "abc"}],
    },
    "inputs": {
        "dataset_inputs": [
            {
                "dataset": {"name": "people", "digest": "cafe"},
                "tags": [{"key": "mlflow.data.context", "value": "training"}],
            }
        ]
    },
}
SCHEMA = {"inputs": [{"name": "age", "type": "double"}], "outputs": [{"name": "label", "type": "long"}]}
MLMODEL = MLmodel(schema=SCHEMA, flavors={"sklearn": "1.7"}, python="3.11.9")
ARTIFACT = {
    "digest": "sha256:" + "0" * 64,
    "files": [{"path": "m", "size": 1, "sha256": "0" * 64}],
    "location": "u",
}


KEY = {"system": "mlflow", "uri": URI, "id": "churn", "number": "7"}


@dataclass
class Claims:
    """The data of a version, and the notes about it."""

    data: dict[str, Any]
    notes: list[str]


def finished(stated: Stated, creators: dict[str, str], model: SourceModel | None = None) -> Claims:
    return Claims(data_of(stated, KEY, creators, model), stated.notes)


def claims(version: Any = None, run: Any = RUN, model: SourceModel | None = None, **more: Any) -> Claims:
    facts = {"mlmodel": MLMODEL, **more}
    return finished(stated_of(Facts(URI, VERSION | (version or {}), run=run, **facts)), {}, model)


def checked(data: dict[str, Any], *, draft: bool = False) -> dict[str, Any]:
    """The data, after the check of everything that the registry wants of a version."""
    check_publication({"model": "churn", "draft": draft, "artifact": ARTIFACT, **data}, creator_known=True)
    return data


def test_a_complete_run_becomes_a_complete_version() -> None:
    training = checked(claims(aliases=["champion"]).data)["training"]
    assert training["config"] == {"C": "0.1"}
    assert training["code"] == {"revision": "abc"}
    assert training["dataset"] == {"name": "people", "digest": "mlflow:cafe"}
    assert training["metrics"] == [
        {"name": "auc", "value": 0.9, "dataset_name": "holdout", "dataset_digest": "mlflow:beef"}
    ]
    assert (training["trained_at"], training["framework"]) == (
        "2025-12-31T23:58:20.000Z",
        {"name": "sklearn", "version": "1.7"},
    )


def test_foreign_people_times_stages_and_numbers_are_claims_only() -> None:
    data = checked(claims(aliases=["champion"]).data)
    assert "creator" not in data["training"]
    there = data["imported_from"]
    assert {name: there[name] for name in ("system", "uri", "id", "number", "stage", "created_by")} == {
        "system": "mlflow",
        "uri": URI,
        "id": "churn",
        "number": "7",
        "stage": "Production",
        "created_by": "alice",
    }
    assert (there["created_at"], there["aliases"]) == ("2026-01-01T00:00:00.123Z", ["champion"])


def test_a_named_creator_is_the_creator_here() -> None:
    found = finished(stated_of(Facts(URI, VERSION, run=RUN)), {"alice": "person:alice"})
    assert found.data["training"]["creator"] == "person:alice"


@pytest.mark.parametrize("run", [None, {}, {"info": {}, "data": {}}])
def test_a_version_without_a_run_has_its_claims(run: Any) -> None:
    data = checked(claims(run=run, mlmodel=None).data, draft=True)
    assert (data.keys(), data["imported_from"]["number"]) == ({"imported_from"}, "7")


SECRET = "s3cr3t"
REMOTE = f"https://x-access-token:{SECRET}@github.com/acme/churn"
SIGNED = f"https://store.example.com/d.csv?sv=2024&sig={SECRET}"


def test_no_credential_of_a_foreign_url_is_kept() -> None:
    dataset = {"name": SIGNED, "digest": "cafe", "source": json.dumps({"uri": SIGNED})}
    tags = [{"key": "mlflow.source.git.repoURL", "value": REMOTE}, {"key": REMOTE, "value": SIGNED}]
    params = [{"key": "origin", "value": REMOTE}]
    found = claims(
        {"source": SIGNED, "description": f"from {REMOTE}", "tags": tags, "status": REMOTE},
        {
            "info": RUN["info"] | {"run_name": REMOTE},
            "data": {"tags": tags, "params": params, "metrics": [{"key": REMOTE, "value": 2**60}]},
            "inputs": {"dataset_inputs": [{"dataset": dataset}]},
        },
        location=SIGNED,
        bytes_problem=f"{SIGNED}: no",
        requirements=[f"pkg @ git+https://u:{SECRET}==@github.com/p"],
        model=SourceModel("churn", REMOTE, {"origin": REMOTE}),
        mlmodel=MLmodel(schema=SCHEMA, flavors={"sklearn": REMOTE}, python=REMOTE),
        logged={"info": {"model_id": "m-1", "name": REMOTE}},
    )
    data = checked(found.data, draft=True)
    assert SECRET not in json.dumps(data)
    assert data["training"]["code"]["repository"] == "https://github.com/acme/churn"
    assert data["training"]["metrics"][0]["value"] == 2.0**60
    assert data["imported_from"]["details"]["source"] == "https://store.example.com/d.csv"


@pytest.mark.parametrize("before", range(440, 500, 4))
def test_no_credential_is_kept_because_its_url_was_cut(before: int) -> None:
    remote = "x" * before + f" https://u:{SECRET * 20}@github.com"
    run = RUN | {"data": {"tags": [{"key": "mlflow.source.git.repoURL", "value": remote}]}}
    assert SECRET not in json.dumps(claims(run=run).data)


def test_of_several_data_sets_without_a_context_none_is_taken_for_the_training_data() -> None:
    inputs = [{"dataset": {"name": name, "digest": name}} for name in ("a", "b")]
    found = claims(run=RUN | {"inputs": {"dataset_inputs": inputs}})
    assert "dataset" not in found.data["training"]
    assert [one["name"] for one in found.data["imported_from"]["details"]["datasets"]] == ["a", "b"]


def test_metrics_that_are_no_numbers_are_left_out_and_noted() -> None:
    metrics = [{"key": "loss", "value": "NaN"}, {"key": "auc", "value": 0.5}, {"key": "x" * 300, "value": 1}]
    found = claims(run=RUN | {"data": {"metrics": metrics}})
    assert [one["name"] for one in checked(found.data, draft=True)["training"]["metrics"]] == ["auc"]
    assert found.notes == ["2 metrics are no numbers or have longer names than 200 characters"]


def test_metrics_beyond_the_limit_are_noted() -> None:
    metrics = [{"key": f"m{n}", "value": n} for n in range(limits.METRICS + 5)]
    found = claims(run=RUN | {"data": {"metrics": metrics}})
    assert len(checked(found.data, draft=True)["training"]["metrics"]) == limits.METRICS
    assert found.notes == [f"5 metrics beyond {limits.METRICS}"]


def test_300_tags_with_any_text_are_kept_as_claims() -> None:
    tags = [{"key": f"ключ {n} 🔑", "value": "wert\0 \ud800" + "ä" * 1000} for n in range(300)]
    there = checked(claims({"tags": tags}).data)["imported_from"]
    assert len(there["tags"]) == 300
    msgspec.json.encode(there)


def test_a_description_of_any_length_is_kept_as_far_as_it_may_be() -> None:
    found = claims({"description": "ü" * 150_000})
    there = checked(found.data)["imported_from"]
    assert len(there["description"]) == limits.CLAIM
    assert there["description"].endswith("…")
    assert found.notes == ["the description beyond 100,000 characters"]


def test_what_is_too_large_is_left_out_and_named_in_the_claims() -> None:
    params = [{"key": f"p{n}", "value": "v" * 6000} for n in range(300)]
    run = RUN | {"data": RUN["data"] | {"params": params}}
    found = claims({"tags": [{"key": f"k{n}", "value": "v" * 5000} for n in range(100)]}, run)
    data = checked(found.data, draft=True)
    assert len(msgspec.json.encode(data)) <= MOST_BYTES
    left_out = data["imported_from"]["details"]["left_out_as_too_large"]
    assert left_out[-1] == "training.config"
    assert found.notes == [f"too large: {', '.join(left_out)}"]


def test_the_tags_of_a_model_are_those_that_it_may_have() -> None:
    tags = {f"k{n:03}": "v" for n in range(150)} | {"x" * 251: "v", "long": "v" * 5_001}
    kept, others = fitted_tags(tags)
    assert (len(kept), len(others)) == (100, 52)


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("a\0b", "a�b"),
        ("\ud83d", "?"),
        (2**60, str(2**60)),
        (float("nan"), "nan"),
        ({"a\0": [1, "\0"]}, {"a�": [1, "�"]}),
        (True, True),
        ("https://u:p@a/b?sig=c", "https://a/b"),
    ],
)
def test_a_foreign_value_gets_a_form_that_can_be_stored(value: Any, cleaned: Any) -> None:
    assert clean(value) == cleaned


@pytest.mark.parametrize("wrong", [None, "", "x", -1, 0, 10**18, "9" * 400, [1]])
def test_what_is_no_time_is_none(wrong: Any) -> None:
    assert moment(wrong) is None
