"""MLflow's client with the plug-in, as a person who signed in: there is no API key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regista.client.sync_client import Client
from tests.integration.mlflow.conftest import MlflowClient, mlflow_python, sdk
from tests.integration.mlflow.test_plugin import LOGGED, TRAINED
from tests.integration.sdk.conftest import until

from .conftest import Office
from .test_people import expired, roles

__all__ = ["mlflow_python", "sdk"]  # fixtures
pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
def ann(office: Office) -> Iterator[str]:
    """The subject of Ann, who is signed in and may publish until the end of the test."""
    office.signed_in("ann")
    subject = str(office.json("ann", "whoami")["subject"])
    with Client(office.profile("admin")) as admin:
        admin.grant(subject, "publisher", "*")
        until(lambda: "publisher" in {role for role, _ in roles(office, "ann")})
        yield subject
        admin.revoke_role(subject, "publisher", "*")


@pytest.fixture
def notebook(office: Office, mlflow_python: Path, sdk: Path, tmp_path: Path) -> Iterator[MlflowClient]:
    """The client of Ann's profile."""
    environment = {"REGISTA_CONFIG": str(office.instance.profile_file), "REGISTA_PROFILE": "ann"}
    client = MlflowClient(mlflow_python, tmp_path, "regista://", "", PYTHONPATH=str(sdk), **environment)
    yield client
    client.close()


def test_a_model_is_logged_and_loaded_as_the_person_whose_token_is_refreshed(
    office: Office, ann: str, notebook: MlflowClient
) -> None:
    before = expired(office, "ann")
    notebook(TRAINED)
    number, *_ = notebook(LOGGED, name="crm.notebook")
    version = office.json("ann", "versions", "show", f"crm.notebook@{number}")
    assert (version["registered_by"], version["creator"], version["missing"]) == (ann, ann, None)
    assert {"MLmodel", "model.pkl"} <= {one["path"] for one in version["artifact"]["files"]}
    assert notebook(
        "loaded = mlflow.pyfunc.load_model(f'models:/{name}/1'); loaded.predict(people).tolist()"
    ) == notebook("model.predict(people).tolist()")
    assert expired(office, "ann").refresh_token != before.refresh_token
