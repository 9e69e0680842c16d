"""Where a workspace of Azure ML and its files are, and which hosts get a token."""

from __future__ import annotations

import pytest

from regista.wire.azure_ml import Workspace, address_of, located

OWN = Workspace("S-1", "ml", "Fraud-WS")
ACCOUNT = {"accountName": "fraudstore", "containerName": "azureml"}


def test_the_key_of_a_version_does_not_depend_on_large_and_small_letters() -> None:
    assert OWN.uri == Workspace("s-1", "ML", "fraud-ws").uri


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
    with pytest.raises(ValueError, match="it is"):
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
    with pytest.raises(ValueError, match="its datastore"):
        address_of({**ACCOUNT, **facts})


def test_the_host_that_the_caller_named_is_called() -> None:
    named = address_of({**ACCOUNT, "endpoint": "stack.example"}, "https://{account}.blob.stack.example")
    assert named == ("https://fraudstore.blob.stack.example", "azureml")


def test_the_uri_of_files_is_found_again() -> None:
    assert located(OWN.files("store", "a/b"), OWN) == ("store", "a/b")
