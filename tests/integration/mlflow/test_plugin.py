"""The real `mlflow` client with the plug-in: it logs complete versions, and loads verified files."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.mlflow.conftest import ClientError, MlflowClient, of_plugin
from tests.integration.mlflow.test_governed import approve
from tests.integration.mlflow.test_registry import refused
from tests.integration.sdk.conftest import House, until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
TRAINED = """
import logging
import mlflow, mlflow.sklearn
import numpy as np, pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

people = pd.DataFrame({"age": np.arange(40.0), "visits": np.arange(40.0) % 7})
churned = (people["age"] > 20).astype(int)
model = LogisticRegression(C=0.5).fit(people, churned)
signature = infer_signature(people, model.predict(people))
client = MlflowClient()
"""
LOGGED = """
with mlflow.start_run() as run:
    mlflow.log_params({"C": 0.5})
    mlflow.log_input(mlflow.data.from_pandas(people, name="people"), context="training")
    mlflow.log_metric("accuracy", 0.97, dataset=mlflow.data.from_pandas(people[:9], name="holdout"))
    info = mlflow.sklearn.log_model(model, name="model", signature=signature, registered_model_name=name,
        serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
[str(info.registered_model_version), run.info.run_id, info.model_id]
"""


@pytest.fixture(scope="module")
def logged(plugin: MlflowClient, house: House) -> dict[str, Any]:
    """A model of scikit-learn that was logged and registered in one call, in a governed namespace."""
    name = f"crm.p{uuid.uuid4().hex[:8]}"
    plugin(TRAINED)
    number, run, model_id = plugin(LOGGED, name=name)
    version = house.run("eng", "versions", "show", f"{name}@{number}")
    return {"name": name, "number": number, "run": run, "model_id": model_id, "version": version}


def test_a_logged_model_is_a_complete_version(logged: dict[str, Any]) -> None:
    version, training = logged["version"], logged["version"]["training"]
    assert (logged["number"], version["missing"], version["semver"]) == ("1", None, "1.0.0")
    assert training["config"] == {"C": "0.5"}
    assert training["dataset"]["name"] == "people"
    assert training["dataset"]["digest"].startswith("mlflow:")
    metric = training["metrics"][0]
    assert (metric["name"], metric["value"], metric["dataset_name"]) == ("accuracy", 0.97, "holdout")
    assert training["code"]["digest"].startswith("sha256:")
    assert training["framework"]["name"] == "sklearn"
    assert "scikit-learn" in training["environment"]["packages"]
    assert [one["name"] for one in version["schema"]["inputs"]] == ["age", "visits"]
    assert {"MLmodel", "model.pkl"} <= {one["path"] for one in version["artifact"]["files"]}
    assert version["external"]["run_id"] == logged["run"]
    assert version["external"]["model_id"] == logged["model_id"]


def test_it_is_ready_and_is_approved_and_loaded_by_what_serves(
    logged: dict[str, Any], plugin: MlflowClient, house: House
) -> None:
    name = logged["name"]
    assert plugin(f"client.get_model_version('{name}', 1).status") == "READY"
    with house.client("eng") as eng:
        until(lambda: eng.version(f"{name}@1")["stage"] == "Validated")
    error = refused(plugin, f"client.set_registered_model_alias('{name}', 'production', 1)")
    assert (error.code, "is open" in error.text) == ("RESOURCE_CONFLICT", True)
    approve(house, plugin(f"client.get_model_version('{name}', 1).tags['regista.review']"))
    with house.client("eng") as eng:
        until(lambda: eng.version(f"{name}@1")["rollouts"])
    predicted = plugin(
        "loaded = mlflow.pyfunc.load_model(f'models:/{name}@production'); loaded.predict(people).tolist()",
        name=name,
    )
    assert predicted == plugin("model.predict(people).tolist()")


def test_the_files_are_verified_while_they_are_downloaded(
    logged: dict[str, Any], plugin: MlflowClient, house: House
) -> None:
    digest = logged["version"]["artifact_digest"].removeprefix("sha256:")
    registry = house.instance.urls["registry"].replace("http://", "regista+http://")
    found = plugin(
        """
        from mlflow.artifacts import download_artifacts, list_artifacts
        uri = client.get_model_version_download_uri(name, 1)
        import os
        listed = [os.path.basename(file.path) for file in list_artifacts(uri)]
        [uri, sorted(os.listdir(download_artifacts(uri))), listed]
        """,
        name=logged["name"],
    )
    assert found[0] == f"{registry}/sha256/{digest}"
    assert found[1] == found[2]
    assert "MLmodel" in found[1]


def test_a_folder_that_is_registered_later_is_uploaded_and_a_draft_without_a_run(
    plugin: MlflowClient, house: House, name: str
) -> None:
    (house.folder / name).mkdir()
    (house.folder / name / "weights.bin").write_bytes(b"weights")
    status = plugin(
        "mlflow.register_model(folder, name); client.get_model_version(name, 1).status",
        folder=str(house.folder / name),
        name=name,
    )
    assert status == "READY"
    shown = house.run("eng", "versions", "show", f"{name}@1")
    assert [one["path"] for one in shown["artifact"]["files"]] == ["weights.bin"]
    assert "training.metrics" in shown["missing"]


def test_a_source_that_cannot_be_read_leaves_a_draft_without_files(
    plugin: MlflowClient, house: House, name: str
) -> None:
    plugin("client.create_registered_model(name); None", name=name)
    assert plugin("client.create_model_version(name, '/no/such/folder').status") == "READY"
    shown = house.run("eng", "versions", "show", f"{name}@1")
    assert (shown["artifact"], shown["external"]["uri"]) == (None, "/no/such/folder")


def test_a_draft_gets_its_files_and_what_its_run_states_when_they_are_there(
    logged: dict[str, Any], mlflow: MlflowClient, plugin: MlflowClient, house: House, name: str
) -> None:
    (late := house.folder / f"{name}-late").mkdir()
    mlflow("client.create_registered_model(name); None", name=name)  # by the address alone, before the files
    mlflow("client.create_model_version(name, folder); None", folder=str(late / "model"))
    assert house.run("eng", "versions", "show", f"{name}@1")["artifact"] is None
    (late / "model").mkdir()
    (late / "model" / "weights.bin").write_bytes(b"weights")
    plugin("from regista.mlflow_plugin.completing import complete; complete(name, 1); None", name=name)
    shown = house.run("eng", "versions", "show", f"{name}@1")
    assert [one["path"] for one in shown["artifact"]["files"]] == ["weights.bin"]


def test_files_of_another_registry_are_not_read(logged: dict[str, Any], plugin: MlflowClient) -> None:
    program = f"mlflow.artifacts.download_artifacts('regista+http://127.0.0.1:9/sha256/{'0' * 64}')"
    assert "set the registry URI to that one if you trust it" in refused(plugin, program).text


def test_the_key_of_the_profile_goes_to_the_front_and_nowhere_else(
    house: House, mlflow_python: Path, sdk: Path, plugin: MlflowClient
) -> None:
    environment = of_plugin(house, sdk) | {
        "url": house.instance.urls["mlflow"],
        "MLFLOW_TRACKING_AUTH": "regista",
        "MLFLOW_TRACKING_TOKEN": "of-the-tracking-server",
    }
    client = MlflowClient(mlflow_python, house.folder, **environment)
    try:
        sent = client(
            """
            import requests
            from mlflow import MlflowClient
            from mlflow.tracking.request_auth.registry import fetch_auth
            MlflowClient().search_registered_models(max_results=1)
            def sent(url):
                own = {"Authorization": "Bearer of-the-tracking-server"}
                request = requests.Request("GET", url, headers=own, auth=fetch_auth("regista"))
                return request.prepare().headers["Authorization"]
            [sent(front + "/api/2.0/mlflow/registered-models/get"), sent("http://127.0.0.1:9/api/2.0/x")]
            """,
            front=house.instance.urls["mlflow"],
        )
    finally:
        client.close()
    assert sent == [f"Bearer {house.people['eng'].api_key}", "Bearer of-the-tracking-server"]


def test_a_key_that_is_for_another_registry_is_not_sent(
    house: House, plugin: MlflowClient, logged: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="your profile's key is for"):
        plugin("MlflowClient(registry_uri='regista+http://127.0.0.1:9').search_registered_models()")
    assert httpx.get(house.instance.urls["registry"] + "/.well-known/regista").json()["services"]["mlflow"]


def test_the_oldest_client_logs_registers_and_loads_the_same_model(
    oldest: MlflowClient, house: House, lab_name: str
) -> None:
    oldest(TRAINED)
    root = house.instance.urls["mlflow"] + "/api/2.0/mlflow-artifacts/artifacts"
    found = oldest(
        """
        experiment = mlflow.create_experiment(name, artifact_location=root + "/" + name)
        mlflow.set_experiment(experiment_id=experiment)
        """
        + LOGGED.replace("\n", "\n        ")
        + """
        client.set_registered_model_alias(name, "best", 1)
        loaded = mlflow.pyfunc.load_model(f"models:/{name}@best")
        [mlflow.__version__, loaded.predict(people).tolist() == model.predict(people).tolist()]
        """,
        name=lab_name,
        root=root,
    )
    assert found == ["3.12.0", True]
    assert house.run("eng", "versions", "show", f"{lab_name}@1")["artifact_state"] == "available"
