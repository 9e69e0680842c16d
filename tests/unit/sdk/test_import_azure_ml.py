"""What an import reads of Azure ML: names of workspaces, and claims."""

from __future__ import annotations

from typing import Any

import pytest

from regista.errors import Invalid
from regista.importing.azure_ml import read_workspace
from regista.importing.azure_ml_claims import Facts, moment, stated_of


def test_a_workspace_is_named_by_its_parts_or_by_its_resource_id() -> None:
    whole = "/subscriptions/s-1/resourcegroups/ml/providers/Microsoft.MachineLearningServices/workspaces/ws"
    parts = {"AZURE_SUBSCRIPTION_ID": "s-1", "AZURE_RESOURCE_GROUP": "ml"}
    assert read_workspace(whole, environment={}) == read_workspace("ws", environment=parts)


@pytest.mark.parametrize(
    ("given", "stated"),
    [
        ({"name": "ws"}, "--subscription is missing"),
        ({"name": "ws", "subscription": "s/../t", "group": "g"}, "--subscription is"),
        ({"name": "ws", "subscription": "s", "group": "g", "arm": "http://a.example"}, "--arm is"),
        ({"name": "ws", "subscription": "s", "group": "g", "arm": "https://u:p@a.example"}, "--arm is"),
        ({"name": "ws", "subscription": "s", "group": "g", "blobs": "file:///x"}, "--blobs is"),
    ],
)
def test_a_wrong_address_is_refused_before_anything_is_sent(given: dict[str, Any], stated: str) -> None:
    with pytest.raises(Invalid, match=stated) as refused:
        read_workspace(**given, environment={})
    assert "u:p" not in str(refused.value)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("2025-03-01T09:00:00.1234567+00:00", "2025-03-01T09:00:00.123Z"),
        ("2025-03-01T10:00:00+01:00", "2025-03-01T09:00:00.000Z"),
        ("2025-03-01T09:00:00", "2025-03-01T09:00:00.000Z"),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times_are_read_in_azures_forms(there: str | None, here: str | None) -> None:
    assert moment(there) == here


def stated(job: dict[str, Any], **own: Any) -> Any:
    system = {"createdAt": "2025-03-01T09:00:00Z", "createdBy": "Ann Lee"}
    return stated_of(Facts("azureml://w", {"properties": own, "systemData": system}, {"properties": job}))


def test_stage_creator_and_tags_are_claims() -> None:
    claims = stated({}, stage="Production", tags={"a": "b", "c": None}, isArchived=True).claims
    assert (claims["stage"], claims["created_by"], claims["tags"]) == (
        "Production",
        "Ann Lee",
        {"a": "b", "c": ""},
    )
    assert claims["details"]["archived"] is True


def test_a_job_states_configuration_commit_and_the_one_input_with_data() -> None:
    inputs = {
        "C": {"jobInputType": "literal", "value": "0.1"},
        "people": {"jobInputType": "uri_file", "uri": "azureml:people:3"},
    }
    found = stated({"inputs": inputs, "properties": {"azureml.git.commit": "abc"}}).training
    assert found == {
        "config": {"C": "0.1"},
        "code": {"revision": "abc"},
        "dataset": {"name": "azureml:people:3"},
    }


def test_two_inputs_with_data_name_no_training_data() -> None:
    data = {name: {"jobInputType": "uri_file", "uri": f"azureml:{name}:1"} for name in ("train", "test")}
    assert "dataset" not in stated({"inputs": data}).training


def test_a_signature_in_an_address_does_not_get_into_the_log() -> None:
    claims = stated({}, modelUri="https://a.blob.core.windows.net/c/m?sv=1&sig=SECRET").claims
    assert "SECRET" not in str(claims)
