"""Microsoft's own client azure-ai-ml against the workspace of the tests: it is what a client expects.

What a mirror writes there is what the client reads, and what it changes is a difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local.azurite import Azurite
from services.mirror.targets import open_target
from services.mirror.targets.base import differences
from tests.azureml.client import AzureClient, azure_client
from tests.azureml.server import azure_ml
from tests.azureml.workspace import DATASTORE, HOME, PERSON, WORKSPACE, AzureMl
from tests.mirrored import CONTENT, Stored, wanted

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]  # the first run installs the client


@pytest.fixture(scope="module")
def azure(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureMl]:
    with azure_ml(tmp_path_factory.mktemp("azure"), azurite) as found:
        yield found


@pytest.fixture(scope="module")
def client(azure: AzureMl) -> Iterator[AzureClient]:
    with azure_client(azure) as found:
        yield found


def downloaded(client: AzureClient, folder: Path, version: dict[str, str]) -> bytes:
    """What the client downloads of a version: its file `model.bin`."""
    client.act("download", **version, download_path=str(folder))
    (back,) = folder.rglob("model.bin")
    return back.read_bytes()


def test_a_folder_is_uploaded_registered_and_downloaded_again(client: AzureClient, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"weights" * 1000)
    (folder / "data" / "x.txt").write_bytes(b"x")
    made = client.act(
        "create",
        name="churn",
        path=str(folder),
        description="what leaves",
        tags={"team": "crm"},
        properties={"a": "b"},
        stage="Development",
    )
    assert (made["version"], made["stage"], made["tags"]) == ("1", "Development", {"team": "crm"})
    assert f"/datastores/{DATASTORE}/paths/LocalUpload/" in made["path"]

    assert downloaded(client, tmp_path / "back", {"name": "churn", "version": "1"}) == b"weights" * 1000


def test_tags_stage_and_archive_change_and_the_path_does_not(client: AzureClient, azure: AzureMl) -> None:
    path = f"azureml://datastores/{DATASTORE}/paths/models/a"
    client.act("create", name="fraud", version="7", path=path, properties={"a": "b"}, stage="Development")
    more = {"tags": {"t": "1"}, "stage": "Production"}
    changed = client.act("create", name="fraud", version="7", path=path, **more)
    assert (changed["stage"], changed["tags"], changed["properties"]) == (
        "Production",
        {"t": "1"},
        {"a": "b"},
    )
    assert "Asset paths cannot be updated" in client.error(
        "create", name="fraud", version="7", path=path + "b"
    )
    client.act("archive", name="fraud", version="7")
    assert azure.models["fraud"].versions[7]["isArchived"] is True
    client.act("restore", name="fraud", version="7")
    assert client.act("get", name="fraud", version="7")["created_by"] == PERSON


def test_lists_have_pages_and_leave_out_what_is_archived(client: AzureClient, azure: AzureMl) -> None:
    for number in range(1, 9):
        azure.version("many", number, modelUri=azure.uri(f"m/{number}"), isArchived=number == 3)
    found = [one["version"] for one in client.act("list", name="many")]
    assert found == ["8", "7", "6", "5", "4", "2", "1"]
    assert "many" in [one["name"] for one in client.act("list")]


def test_the_client_finds_workspace_and_default_datastore(client: AzureClient, azure: AzureMl) -> None:
    assert client.act("workspace", name=WORKSPACE) == {"name": WORKSPACE, "location": "westeurope"}
    assert client.act("datastore")["container"] == azure.datastores[DATASTORE]["containerName"]


def test_a_name_or_number_that_azure_does_not_allow_is_refused(client: AzureClient) -> None:
    path = f"azureml://datastores/{DATASTORE}/paths/models/a"
    assert "ValidationError" in client.error("create", name="with.dot", version="1", path=path)
    assert "ValidationError" in client.error("create", name="plain", version="one", path=path)


async def test_a_mirrored_version_is_read_by_the_client_and_its_edits_are_repaired(
    client: AzureClient, azure: AzureMl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in azure.environment.items():
        monkeypatch.setenv(name, value)
    settings = {"workspace": HOME, "arm": azure.url, "ca_file": str(azure.ca_file), "blobs": azure.blob_url}
    target = open_target("azureml", settings)
    version = wanted("crm.seen", stage="Production", number=3)
    await target.write(version, Stored())

    one = {"name": "crm--seen", "version": "3"}
    shown = client.act("get", **one)
    assert (shown["stage"], shown["tags"]["team"], shown["properties"]["regista.id"]) == (
        "Production",
        "crm",
        version.tag,
    )
    assert downloaded(client, tmp_path, one) == CONTENT["model.bin"]

    tags = {**shown["tags"], "regista.status": "approved by me", "mine": "stays"}
    client.act("create", **one, path=shown["path"], stage="Staging", tags=tags, description="what leaves")
    client.act("archive", **one)
    found = {d.field: d.found for d in differences(target.shown(version), await target.read(version))}
    assert found == {"stage": "", "isArchived": "true", "tag regista.status": "approved by me"}

    await target.write(version, Stored())
    assert differences(target.shown(version), await target.read(version)) == []
    await target.close()
    shown = client.act("get", **one)
    assert (shown["stage"], shown["tags"]["mine"]) == ("Production", "stays")
