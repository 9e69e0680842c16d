"""Azure ML, with its bytes in Azurite, beside a real Regista: import from it, and mirror to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regista.client.async_client import AsyncClient
from regista.importing.azure_ml_source import AzureMlSource
from regista.importing.copying import Copier, Outcome
from regista.importing.plan import Choices, Planner
from regista.importing.requests import SourceBroken
from regista.wire import mirrored
from regista.wire.azure_ml import Workspace
from services.local.azurite import Azurite
from tests.azureml.server import own_workspace
from tests.azureml.workspace import GROUP, HOME, PERSON, SUBSCRIPTION, WORKSPACE, AzureMl, Faults
from tests.import_pauses import PAUSES, QUICK

from .commands import adopts, moves_in
from .conftest import House, _promote, until
from .conftest import trained as training
from .mirrors import mirroring, mirrors
from .mlflow_server import MLMODEL, model_bytes


@pytest.fixture(scope="module")
def azure(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureMl]:
    with own_workspace(tmp_path_factory.mktemp("azure"), azurite) as found:
        yield found


@pytest.fixture(autouse=True)
def _without_faults(azure: AzureMl) -> None:
    azure.faults = Faults()
    azure.seen.clear()
    PAUSES.clear()


def trained(azure: AzureMl, name: str, number: int, **more: Any) -> None:
    """A version of a job, with a run, an MLmodel and bytes that depend on the number."""
    folder, job = f"LocalUpload/{name}-{number}/model", f"job-{name}-{number}"
    for path, content in {"MLmodel": MLMODEL, "model.bin": model_bytes(number), "data/x.txt": b"x"}.items():
        azure.store(f"{folder}/{path}", content)
    azure.store(f"{folder}s/other", b"a sibling")
    studio = {"Studio": {"endpoint": f"https://ml.azure.com/runs/{job}"}}
    git = {"azureml.git.commit": "a" * 40, "azureml.git.repository_uri": "https://git.example.com/r"}
    azure.jobs[job] = {"jobType": "Command", "status": "Completed", "properties": git, "services": studio}
    metrics = [{"key": "auc", "value": 0.9, "timestamp": 1, "step": 0}]
    data = [{"dataset": {"name": "people", "digest": "cafe1234"}, "tags": []}]
    azure.runs[job] = {
        "info": {"run_id": job, "user_id": PERSON, "end_time": 1_767_225_600_000},
        "data": {"metrics": metrics, "params": [{"key": "C", "value": "0.1"}], "tags": []},
        "inputs": {"dataset_inputs": data},
    }
    stated = {"modelUri": azure.uri(folder), "jobName": job, "modelType": "mlflow_model", **more}
    azure.version(name, number, **stated)


def imports(house: House, azure: AzureMl, *words: str) -> tuple[int, Any, str]:
    """The command as the publisher: its exit code, its JSON and its errors."""
    return house.command("ci", "import", *into(azure), *words)


def into(azure: AzureMl) -> tuple[str, ...]:
    return ("azureml", "--workspace", HOME, "--arm", azure.url, "--blobs", azure.blob_url, "--to", "azured")


async def copied(house: House, azure: AzureMl, *models: str) -> Outcome:
    workspace = Workspace(SUBSCRIPTION, GROUP, WORKSPACE, azure.url, azure.blob_url)
    source = AzureMlSource(workspace, waits=QUICK)
    try:
        async with AsyncClient(replace(house.people["ci"], usage_window=0)) as client:
            planned = await Planner(client, source, Choices("azured", models)).plan()
            return await Copier(client, source).copy(planned)
    finally:
        await source.aclose()


def test_a_model_is_planned_then_imported_whole_and_only_once(house: House, azure: AzureMl) -> None:
    trained(azure, "whole", 3, stage="Production", tags={"team": "crm"}, description="what leaves")
    trained(azure, "whole", 10, isArchived=True)

    code, plans, errors = imports(house, azure, "--models", "whole", "--dry-run")
    assert code == 0, errors
    (plan,) = plans
    shown = {key: plan[key] for key in ("model", "versions", "new", "drafts", "stages", "creators")}
    assert (code, shown) == (
        0,
        {
            "model": "azured.whole",
            "versions": 2,
            "new": 2,
            "drafts": 0,
            "stages": {"3": "Production"},
            "creators": [PERSON],
        },
    )
    assert plan["bytes"] == 2 * (len(MLMODEL) + len(model_bytes(3)) + 1)
    assert not [call for call in azure.seen if call.startswith("PUT")]

    code, report, _ = imports(house, azure, "--models", "whole")
    assert (code, report["models"][0]["imported"]) == (0, {"3": 1, "10": 2})
    code, report, _ = imports(house, azure, "--models", "whole")
    assert (code, report["models"][0]["here_before"], report["bytes"]) == (0, 2, 0)

    with house.client("eng") as client:
        version = client.version("azured.whole@1")
        loaded = client.load("azured.whole@2")
        assert (loaded.path / "model.bin").read_bytes() == model_bytes(10)
    there = version["imported_from"]
    assert there
    assert (there["system"], there["id"], there["number"], there["stage"], there["created_by"]) == (
        "azureml",
        "whole",
        "3",
        "Production",
        PERSON,
    )
    assert str(there["created_at"]).startswith("2025-03-01T09:00:00.123")
    assert version["stage"] in {"Staging", "Validated"}


async def test_a_version_without_reachable_bytes_is_a_draft_with_the_reason(
    house: House, azure: AzureMl
) -> None:
    elsewhere = f"azureml://subscriptions/{SUBSCRIPTION}/resourcegroups/x/workspaces/y/datastores/d/paths/p"
    azure.version("draft", 1, modelUri=elsewhere)
    outcome = await copied(house, azure, "draft")
    assert outcome.models[0].drafts == ["1"]
    with house.client("eng") as client:
        there = client.version("azured.draft@1")["imported_from"]
    assert there
    assert "another workspace" in there["details"]["no_bytes_because"]


async def test_a_busy_azure_is_waited_for_as_long_as_it_states(house: House, azure: AzureMl) -> None:
    trained(azure, "busy", 1)
    azure.faults = Faults(busy={"/models/busy/versions": 2, "listSecrets": 1})
    outcome = await copied(house, azure, "busy")
    assert (outcome.stopped, outcome.models[0].imported, PAUSES) == (None, {"1": 1}, [3.0, 3.0, 3.0])


async def test_a_datastore_of_models_that_are_read_at_the_same_time_is_opened_once(
    house: House, azure: AzureMl
) -> None:
    for name in ("opened-1", "opened-2", "opened-3"):
        trained(azure, name, 1)
    source = AzureMlSource(Workspace(SUBSCRIPTION, GROUP, WORKSPACE, azure.url, azure.blob_url), waits=QUICK)
    async with AsyncClient(replace(house.people["ci"], usage_window=0)) as client:
        planned = await Planner(client, source, Choices("azured", ["opened-*"])).plan()
    await source.aclose()
    assert [len(model.versions[0].files) for model in planned] == [3, 3, 3]
    assert len([call for call in azure.seen if "/datastores/" in call]) == 2  # its facts, its secrets


async def test_a_source_that_ends_in_the_middle_loses_nothing(house: House, azure: AzureMl) -> None:
    for number in (1, 2):
        trained(azure, "middle", number)
    azure.faults = Faults(gone_after={"/jobs/": 1})
    with pytest.raises(SourceBroken, match="continues where it stopped"):
        await copied(house, azure, "middle")
    azure.faults = Faults()
    assert (await copied(house, azure, "middle")).models[0].imported == {"1": 1, "2": 2}


def test_an_expired_token_ends_with_what_to_do(house: House, azure: AzureMl) -> None:
    azure.faults = Faults(expired=True)
    code, _, stated = imports(house, azure, "--dry-run")
    assert (code, "az login" in stated, "expiry" in stated) == (5, True, True)


def test_what_serves_there_is_adopted_by_a_persons_recorded_decision(house: House, azure: AzureMl) -> None:
    trained(azure, "adopted", 4, stage="Production")
    trained(azure, "adopted", 5, stage="Production", isArchived=True)
    of_model = (*into(azure), "--models", "adopted")
    assert imports(house, azure, "--models", "adopted")[0] == 0
    moves_in(house, "olga", "admin", "override")

    code, adoption = adopts(house, "olga", *of_model)
    assert adoption is not None
    assert (code, adoption["there"], adoption["state"], adoption["here"]) == (0, "4", "adopted", 1)
    with house.client("eng") as client:
        assert client.rollout("azured.adopted")["champion"] == 1
        (used,) = [e["data"] for e in client.timeline("azured.adopted") if e["type"] == "OverrideUsed"]
    stated = {name: used["adopts"][name] for name in ("system", "id", "number", "stage")}
    assert stated == {"system": "azureml", "id": "adopted", "number": "4", "stage": "Production"}
    assert used["adopts"]["uri"] == Workspace(SUBSCRIPTION, GROUP, WORKSPACE).uri


TARGET = """
workspace = "{workspace}"
arm = "{azure.url}"
blobs = "{azure.blob_url}"
ca_file = "{azure.ca_file}"
"""


@pytest.fixture(scope="module")
def mirror(house: House, azure: AzureMl) -> Iterator[None]:
    """A mirror whose target `workspace` is that of the tests."""
    with mirroring(house, "workspace", "azureml", TARGET.format(workspace=HOME, azure=azure)):
        yield


@pytest.mark.usefixtures("mirror")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_promotion_appears_with_approvers_and_digest_and_a_drift_is_repaired(
    house: House, azure: AzureMl, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"bytes" * 1000)
    with house.client("nightly") as client:
        client.publish("crm.blue", tmp_path / "model.bin", training()).wait(60)
    _promote(house, "crm.blue@1", "bob", "eve")

    def there() -> dict[str, Any]:
        model = azure.models.get("crm--blue")
        return model.versions.get(1, {}) if model else {}

    until(lambda: there().get("stage") == "Production" and "champion" in there()["tags"]["regista.serving"])
    with house.client("eng") as client:
        ours = client.version("crm.blue@1")
    assert there()["properties"]["regista.artifact"] == ours["artifact_digest"]
    assert "by Bob, Eve" in there()["tags"]["regista.approvals"]
    folder = there()["modelUri"].partition("/paths/")[2]
    assert azure.content(f"{folder}/model.bin") == b"bytes" * 1000

    def drift() -> dict[str, Any] | None:
        """Archive it by hand. An event of the promotion that arrives later corrects that before the check."""
        azure.models["crm--blue"].versions[1] |= {"isArchived": True, "stage": None}
        code, found = mirrors(house, "check", "workspace")
        return found if code == 1 else None

    assert "isArchived" in json.dumps(until(drift))
    mirrors(house, "check", "workspace", "--repair")
    until(lambda: there()["stage"] == "Production" and not there()["isArchived"])
    listed = mirrors(house, "status", "workspace")[1]
    assert [v["address"] for v in listed if v["model"] == "crm.blue"] == ["azureml:crm--blue:1"]
    (plan,) = imports(house, azure, "--models", "crm--blue", "--dry-run")[1]
    assert (plan["new"], plan["skipped"]) == (0, {"1": mirrored.SKIPPED})
