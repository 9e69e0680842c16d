"""The real `mlflow` client where the namespace is governed: production is requested, never set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.mlflow.conftest import MlflowClient
from tests.integration.mlflow.test_registry import refused
from tests.integration.sdk.conftest import House, trained, until

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


def validated(house: House, name: str, seed: int = 1) -> int:
    """A complete version that passed its automated gates. Its bytes and data depend on the seed."""
    folder = house.folder / name
    folder.mkdir(exist_ok=True)
    (folder / "model.bin").write_bytes(name.encode() * 100 * seed)
    with house.client("nightly") as nightly:
        number = nightly.publish(name, folder, trained(seed), via="http").wait(60).number
    with house.client("eng") as eng:
        until(lambda: eng.version(f"{name}@{number}")["stage"] == "Validated")
    return int(number)


def approve(house: House, review: str) -> None:
    with house.client("eng") as eng:
        for person in ("bob", "eve"):
            seen = str(until(lambda: eng.review(review))["revision"])
            house.run(person, "approve", review, "--revision", seen, "--comment", "checked")


@pytest.fixture(scope="module")
def serving(house: House, mlflow: MlflowClient) -> dict[str, Any]:
    """A model whose version 1 was requested through MLflow, approved by two people, and serves."""
    name = "crm.governed"
    number = validated(house, name)
    first = refused(mlflow, f"client.set_registered_model_alias('{name}', 'production', {number})")
    review = mlflow(f"client.get_model_version('{name}', 1).tags['regista.review']")
    approve(house, review)
    with house.client("eng") as eng:
        until(lambda: eng.version(f"{name}@1")["rollouts"])
    return {"name": name, "first": first, "review": review}


def test_production_is_requested_and_the_answer_names_the_review(serving: dict[str, Any]) -> None:
    first = serving["first"]
    assert first.code == "RESOURCE_CONFLICT"
    assert f"review {serving['review']} is open" in first.text
    assert f"regista reviews show {serving['review']}" in first.text


def test_what_serves_is_what_production_and_champion_name(
    serving: dict[str, Any], mlflow: MlflowClient
) -> None:
    found = mlflow(
        """
        version = client.get_model_version_by_alias(name, "production")
        [version.version, version.current_stage, list(version.aliases), version.tags["regista.stage"],
         version.tags["regista.version"], client.get_model_version_by_alias(name, "champion").version,
         [v.version for v in client.get_latest_versions(name, ["Production"])],
         client.set_registered_model_alias(name, "production", 1),
         client.transition_model_version_stage(name, 1, "Production").current_stage]
        """,
        name=serving["name"],
    )
    aliases = ["champion", "production"]
    assert found == ["1", "Production", aliases, "Production", "1.0.0", "1", ["1"], None, "Production"]


def test_stages_and_deletion_of_what_serves_are_refused_with_what_to_do(
    serving: dict[str, Any], mlflow: MlflowClient
) -> None:
    name = serving["name"]
    for program, what in {
        f"client.transition_model_version_stage('{name}', 1, 'Archived')": "stages are not set by hand",
        f"client.delete_model_version('{name}', 1)": "in Production",
        f"client.delete_registered_model('{name}')": "retire them first",
        f"client.delete_registered_model_alias('{name}', 'production')": "regista rollout stop",
    }.items():
        error = refused(mlflow, program)
        assert (error.code, what in error.text) == ("RESOURCE_CONFLICT", True), error.text


def test_a_draft_gets_no_alias_and_is_not_promoted(mlflow: MlflowClient, name: str) -> None:
    mlflow("client.create_registered_model(name); client.create_model_version(name, 's3://b/a')", name=name)
    for program in (
        "client.set_registered_model_alias(name, 'candidate', 1)",
        "client.set_registered_model_alias(name, 'production', 1)",
        "client.transition_model_version_stage(name, 1, 'Production')",
    ):
        error = refused(mlflow, program)
        assert (error.code, "draft" in error.text.lower()) == ("RESOURCE_CONFLICT", True), error.text


def test_an_alias_of_a_version_is_registas_alias(
    serving: dict[str, Any], mlflow: MlflowClient, house: House
) -> None:
    name = serving["name"]
    mlflow(f"client.set_registered_model_alias('{name}', 'candidate', 1)")
    assert house.run("eng", "versions", "show", f"{name}@candidate")["number"] == 1
    mlflow(f"client.delete_registered_model_alias('{name}', 'candidate')")
    assert "not found" in refused(mlflow, f"client.get_model_version_by_alias('{name}', 'candidate')").text


def test_while_a_version_serves_another_one_is_requested_and_switched_to_after_its_approval(
    serving: dict[str, Any], mlflow: MlflowClient, house: House
) -> None:
    name = serving["name"]
    number = validated(house, name, seed=2)
    sets_alias = f"client.set_registered_model_alias('{name}', 'production', {number})"
    asked = refused(mlflow, sets_alias)
    review = mlflow(f"client.get_model_version('{name}', {number}).tags['regista.review']")
    assert f"review {review} is open" in asked.text
    approve(house, review)
    with house.client("eng") as eng:
        until(lambda: eng.version(f"{name}@{number}")["stage"] == "Production")
    assert f"regista rollout switch {name}@{number}" in refused(mlflow, sets_alias).text


def test_an_unneeded_version_is_retired_and_then_its_model_deleted(
    mlflow: MlflowClient, house: House, name: str
) -> None:
    found = mlflow(
        """
        client.create_registered_model(name)
        client.create_model_version(name, "s3://b/a")
        client.delete_model_version(name, 1)
        client.delete_registered_model(name)
        [m.name for m in client.search_registered_models(f"name = '{name}'")]
        """,
        name=name,
    )
    assert found == []
    assert house.run("eng", "versions", "show", f"{name}@1")["retired"]["rule"] == "requested"
