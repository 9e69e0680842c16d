"""How a version is written in Azure ML: names, tags, properties, archived; and the settings of a target."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.names import may_exist
from services.mirror.targets import open_target
from services.mirror.targets.azureml_fields import (
    LONGEST_VALUE,
    TAGS,
    body_of,
    fields_of,
    name_there,
    properties_of,
    tags_of,
    type_of,
)
from services.mirror.targets.base import Approval, File, Metric, Refused, Share, Wanted

LEGAL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}")
NAMES = st.from_regex(r"[aA0_-]{1,4}(\.[aA0_-]{1,4}){0,3}", fullmatch=True).filter(may_exist)
RESOURCE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


def wanted(**more: Any) -> Wanted:
    return Wanted("m1", "crm.fraud", 3, **({"semver": "1.2.0", "stage": "Validated"} | more))


@pytest.mark.parametrize(
    ("model", "name"),
    [("crm.fraud", "crm--fraud"), ("crm.my_model-2", "crm--my_model-2"), ("a.b.c", "a--b--c")],
)
def test_usual_names_stay_readable(model: str, name: str) -> None:
    assert name_there("", model) == name


@pytest.mark.parametrize("model", ["crm.a--b", "crm.Fraud", "crm-.a", "_crm.a", "-.-", "a." * 99 + "a"])
def test_other_names_end_with_a_digest(model: str) -> None:
    assert re.fullmatch(r".*---[0-9a-f]{32}", name_there("", model))


@given(NAMES, NAMES, st.sampled_from(["", "team-", "a--", "0_-"]))
def test_every_name_is_legal_and_no_two_models_share_one(one: str, other: str, prefix: str) -> None:
    names = name_there(prefix, one), name_there(prefix, other)
    assert all(LEGAL.fullmatch(name) for name in names)
    assert (names[0].lower() == names[1].lower()) == (one == other)


def test_what_never_changes_is_a_property_and_what_changes_a_tag() -> None:
    version = wanted(
        aliases=("b", "a"),
        shares=(Share("production", production=True, percent=90, role="champion"),),
        approvals=(Approval("r1", ("Ann",), "sound", datetime(2026, 1, 2, tzinfo=UTC), "production"),),
        framework="sklearn 1.7",
        creator="person:bob",
        metrics=(Metric("auc", 0.9, "holdout", "sha256:d"),),
    )
    assert properties_of(version) == {
        "regista.id": "m1@3",
        "regista.number": "3",
        "regista.semver": "1.2.0",
        "regista.creator": "person:bob",
    }
    assert tags_of(version) == {
        "regista.model": "crm.fraud",
        "regista.status": "usable",
        "regista.aliases": "a b",
        "regista.serving": "production 90 % champion",
        "regista.approvals": "production 2026-01-02T00:00Z review r1 by Ann; r1: sound",
        "regista.framework": "sklearn 1.7",
        "regista.metrics": '[["auc",0.9,"holdout","sha256:d"]]',
        "regista.left_out": "",
    }


def test_300_tags_fit_as_far_as_azure_allows_and_the_rest_is_counted() -> None:
    version = wanted(tags={f"tag {n:03}": "ü" for n in range(300)} | {"regista.id": "forged"}, position="p#1")
    body = body_of(version, "azureml://x", {})
    assert len(body["tags"]) <= TAGS
    own = [key for key in body["tags"] if key.startswith("tag ")]
    assert body["tags"]["regista.left_out"] == f"{301 - len(own)} tags"
    assert len(own) >= 40


def test_a_description_of_2000_characters_is_there_whole() -> None:
    assert body_of(wanted(description="ü" * 2_000), "azureml://x", {})["description"] == "ü" * 2_000


def test_many_metrics_stay_json_and_the_rest_is_counted() -> None:
    tags = tags_of(wanted(metrics=tuple(Metric(f"metric-{n}", 0.5, "holdout", "d" * 20) for n in range(60))))
    kept = json.loads(tags["regista.metrics"])
    assert tags["regista.left_out"] == f"{60 - len(kept)} metrics"
    assert len(tags["regista.metrics"]) <= LONGEST_VALUE


def test_a_long_comment_costs_no_name() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    approvals = (Approval("r1", ("Ann",), "x" * 5000, at), Approval("r2", ("Bob",), "", at))
    shown = tags_of(wanted(approvals=approvals))["regista.approvals"]
    assert (len(shown), "by Ann" in shown, "by Bob" in shown) == (LONGEST_VALUE, True, True)


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, ("Validated", "false", "usable")),
        ({"stage": "Rejected", "reasons": ("weak",)}, ("Rejected", "false", "rejected: weak")),
        ({"retired": True, "reasons": ("old",)}, ("Archived", "true", "retired: old")),
        ({"withdrawn": True, "reasons": ("leaks",)}, ("Archived", "true", "withdrawn: leaks")),
    ],
)
def test_stage_and_archived_state_whether_it_may_be_used(
    more: dict[str, Any], shown: tuple[str, ...]
) -> None:
    fields = fields_of(wanted(**more))
    assert (fields["stage"], fields["isArchived"], fields["tag regista.status"]) == shown


def test_a_version_keeps_what_others_added_and_loses_what_is_ours_no_longer() -> None:
    there = {
        "jobName": "job",
        "modelType": "mlflow_model",
        "flavors": {"python_function": {"data": {"a": "b"}}},
        "provisioningState": "Succeeded",
        "tags": {"mine": "1", "regista.old": "2", "regista.status": "by hand"},
        "properties": {"theirs": "3", "regista.id": "m1@3"},
    }
    body = body_of(wanted(position="p#1"), "azureml://x", there)
    assert "provisioningState" not in body
    assert (body["jobName"], body["modelType"], body["flavors"]) == (
        "job",
        "mlflow_model",
        there["flavors"],
    )
    assert body["tags"] == {
        "mine": "1",
        "regista.model": "crm.fraud",
        "regista.status": "usable",
        "regista.position": "p#1",
    }
    assert body["properties"]["theirs"] == "3"


def test_a_folder_with_an_mlmodel_is_a_model_of_mlflow() -> None:
    assert type_of(wanted(files=(File("MLmodel", 1, "a"), File("model.pkl", 1, "b")))) == "mlflow_model"
    assert type_of(wanted(files=(File("x/MLmodel", 1, "a"),))) == "custom_model"


@pytest.mark.parametrize(
    ("settings", "stated"),
    [
        ({}, "workspace: Field required"),
        ({"workspace": "fraud-ws"}, "write its resource id"),
        ({"workspace": RESOURCE, "arm": "http://management.azure.com"}, "a token is sent to it"),
        ({"workspace": RESOURCE, "arm": "https://u:secret@a.example"}, "a token is sent to it"),
        ({"workspace": RESOURCE, "client_id": "a"}, "belong together"),
        ({"workspace": RESOURCE, "name_prefix": "A."}, "name_prefix"),
        ({"workspace": RESOURCE, "client_secret": "secret"}, "client_secret: Extra inputs"),
        (
            {
                "workspace": RESOURCE,
                "tenant_id": "t",
                "client_id": "c",
                "client_secret_file": "/absent/secret-file",
            },
            "/absent/secret-file of the target's settings cannot be read",
        ),
        ({"workspace": RESOURCE, "ca_file": "/absent/ca"}, "ca_file /absent/ca"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str], stated: str) -> None:
    with pytest.raises(Refused, match=re.escape(stated)) as refused:
        open_target("azureml", settings)
    assert "u:secret" not in str(refused.value)
