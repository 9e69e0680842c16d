"""What an import reads of Azure ML: names of workspaces, hosts that may be called, and claims."""

from __future__ import annotations

from typing import Any

import pytest

from regista.errors import Invalid
from regista.importing.azure_blobs import address_of, located
from regista.importing.azure_ml import Workspace, read_workspace
from regista.importing.azure_ml_claims import Facts, moment, stated_of
from regista.importing.files import Unreachable

OWN = Workspace("S-1", "ml", "Fraud-WS")
ACCOUNT = {"accountName": "fraudstore", "containerName": "azureml"}


def test_a_workspace_is_named_by_its_parts_or_by_its_resource_id() -> None:
    whole = "/subscriptions/s-1/resourcegroups/ml/providers/Microsoft.MachineLearningServices/workspaces/ws"
    parts = {"AZURE_SUBSCRIPTION_ID": "s-1", "AZURE_RESOURCE_GROUP": "ml"}
    assert read_workspace(whole, environment={}) == read_workspace("ws", environment=parts)


def test_the_key_of_a_version_does_not_depend_on_large_and_small_letters() -> None:
    assert OWN.uri == Workspace("s-1", "ML", "fraud-ws").uri


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
    "uri",
    [
        "azureml://datastores/store/paths/a b/model",
        "azureml://subscriptions/s-1/resourceGroups/ML/workspaces/fraud-ws/datastores/store/paths/a b/model/",
    ],
)
def test_both_forms_of_a_path_name_one_place(uri: str) -> None:
    assert located(uri, OWN) == ("store", "a b/model")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "runs:/r/model",
        "https://fraudstore.blob.core.windows.net/azureml/x",
        "azureml://datastores/store/paths/",
        "azureml://subscriptions/other/resourcegroups/ml/workspaces/fraud-ws/datastores/store/paths/a",
    ],
)
def test_what_is_in_no_datastore_of_the_workspace_is_not_read(uri: str) -> None:
    with pytest.raises(Unreachable):
        located(uri, OWN)


def test_an_account_is_at_azures_own_hosts() -> None:
    assert address_of(ACCOUNT) == ("https://fraudstore.blob.core.windows.net", "azureml")


@pytest.mark.parametrize(
    "facts",
    [
        {"endpoint": "evil.example"},
        {"endpoint": "core.windows.net.evil.example"},
        {"accountName": "evil.example/"},
        {"accountName": "a@evil"},
        {"containerName": "../x"},
    ],
)
def test_a_datastore_that_names_another_host_gets_no_token(facts: dict[str, str]) -> None:
    with pytest.raises(Unreachable):
        address_of({**ACCOUNT, **facts})


def test_the_host_that_the_caller_named_is_called() -> None:
    named = address_of({**ACCOUNT, "endpoint": "stack.example"}, "https://{account}.blob.stack.example")
    assert named == ("https://fraudstore.blob.stack.example", "azureml")


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
