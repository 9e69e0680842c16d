"""The real `mlflow` client where a namespace has the mode `labels`: stages and aliases are free."""

from __future__ import annotations

import pytest

from tests.integration.mlflow.conftest import MlflowClient
from tests.integration.mlflow.test_registry import refused
from tests.integration.sdk.conftest import House, until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


def versions(mlflow: MlflowClient, name: str, count: int) -> None:
    mlflow(
        f"""
        client.create_registered_model(name)
        for n in range({count}):
            client.create_model_version(name, f"s3://b/{{n}}", run_id=f"r{{n}}")
        """,
        name=name,
    )


def test_stages_move_and_archive_the_existing_ones(mlflow: MlflowClient, lab_name: str, house: House) -> None:
    versions(mlflow, lab_name, 3)
    found = mlflow(
        """
        client.transition_model_version_stage(name, 1, "Production")
        client.transition_model_version_stage(name, 2, "staging")
        moved = client.transition_model_version_stage(name, 3, "production", archive_existing_versions=True)
        latest = {v.current_stage: v.version for v in client.get_latest_versions(name)}
        [moved.current_stage, [client.get_model_version(name, n).current_stage for n in (1, 2, 3)], latest,
         [v.version for v in client.get_latest_versions(name, ["Production"])],
         client.get_model_version(name, 3).tags]
        """
    )
    stages = {"Archived": "1", "Staging": "2", "Production": "3"}
    assert found == ["Production", ["Archived", "Staging", "Production"], stages, ["3"], {}]
    assert house.run("eng", "versions", "show", f"{lab_name}@3")["stage"] == "Draft"
    wrong = "client.transition_model_version_stage(name, 1, 'Archived', archive_existing_versions=True)"
    assert refused(mlflow, wrong).code == "INVALID_PARAMETER_VALUE"
    assert refused(mlflow, "client.transition_model_version_stage(name, 1, 'prod')").code == (
        "INVALID_PARAMETER_VALUE"
    )


def test_aliases_are_set_moved_and_removed(mlflow: MlflowClient, lab_name: str) -> None:
    versions(mlflow, lab_name, 2)
    found = mlflow(
        """
        client.set_registered_model_alias(name, "production", 1)
        client.set_registered_model_alias(name, "Best_1", 1)
        client.set_registered_model_alias(name, "production", 2)
        first = [client.get_model_version_by_alias(name, "production").version,
            dict(client.get_registered_model(name).aliases), list(client.get_model_version(name, 1).aliases)]
        client.delete_registered_model_alias(name, "production")
        client.delete_registered_model_alias(name, "production")
        [first, dict(client.get_registered_model(name).aliases)]
        """
    )
    assert found == [["2", {"Best_1": "1", "production": "2"}, ["Best_1"]], {"Best_1": "1"}]
    assert "not found" in refused(mlflow, "client.get_model_version_by_alias(name, 'production')").text
    assert refused(mlflow, "client.set_registered_model_alias(name, 'latest', 1)").code == (
        "INVALID_PARAMETER_VALUE"
    )


def test_a_deleted_version_is_gone_and_its_number_is_never_used_again(
    mlflow: MlflowClient, lab_name: str, house: House
) -> None:
    versions(mlflow, lab_name, 2)
    found = mlflow(
        """
        client.set_registered_model_alias(name, "last", 2)
        client.delete_model_version(name, 2)
        third = client.create_model_version(name, "s3://b/new")
        [third.version, [v.version for v in client.search_model_versions(f"name = '{name}'")],
         dict(client.get_registered_model(name).aliases)]
        """
    )
    assert found == ["3", ["3", "1"], {}]
    assert refused(mlflow, "client.get_model_version(name, 2)").code == "RESOURCE_DOES_NOT_EXIST"
    assert refused(mlflow, "client.delete_model_version(name, 2)").code == "RESOURCE_DOES_NOT_EXIST"
    assert house.run("eng", "versions", "show", f"{lab_name}@2")["number"] == 2


def test_a_deleted_model_is_gone_and_its_name_may_be_created_again(
    mlflow: MlflowClient, lab_name: str
) -> None:
    versions(mlflow, lab_name, 2)
    mlflow("client.set_registered_model_tag(name, 'old', 1); client.delete_registered_model(name)")
    assert refused(mlflow, "client.get_registered_model(name)").code == "RESOURCE_DOES_NOT_EXIST"
    assert refused(mlflow, "client.get_model_version(name, 1)").code == "RESOURCE_DOES_NOT_EXIST"
    assert mlflow("[m.name for m in client.search_registered_models(f\"name = '{name}'\")]") == []
    found = mlflow(
        """
        import time
        before = int(time.time() * 1000)
        again = client.create_registered_model(name, {"new": "1"}, "again")
        third = client.create_model_version(name, "s3://b/x")
        [again.tags, again.description, list(again.latest_versions), third.version,
         again.creation_timestamp >= before]
        """
    )
    assert found == [{"new": "1"}, "again", [], "3", True]


def test_loading_by_label_goes_to_the_source(mlflow: MlflowClient, lab_name: str) -> None:
    versions(mlflow, lab_name, 2)
    found = mlflow(
        """
        from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
        client.set_registered_model_alias(name, "champion", 1)
        client.transition_model_version_stage(name, 2, "Production")
        [ModelsArtifactRepository.get_underlying_uri(f"models:/{name}{suffix}")
         for suffix in ("@champion", "/Production", "/latest", "/1")]
        """
    )
    assert found == ["s3://b/0", "s3://b/1", "s3://b/1", "s3://b/0"]


def test_each_change_is_an_event_of_the_model(mlflow: MlflowClient, lab_name: str, house: House) -> None:
    versions(mlflow, lab_name, 1)
    mlflow("client.set_registered_model_alias(name, 'best', 1); client.delete_model_version(name, 1)")
    with house.client("eng") as eng:
        types = lambda: [one["type"] for one in eng.timeline(lab_name)]  # noqa: E731
        assert until(lambda: types().count("LabelsChanged") == 2)
