"""Azure ML as a target: written once, found again, repaired, and what is done about faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.local.azurite import Azurite
from services.mirror.targets import open_target
from services.mirror.targets.azure_folders import BLOCK
from services.mirror.targets.base import Found, Refused, Target, Unavailable, differences
from tests.azureml.server import own_workspace
from tests.azureml.workspace import DATASTORE, HOME, AzureMl, Faults
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.mirrored import APPROVAL, CONTENT, DIGEST, Stored, wanted

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def workspace(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureMl]:
    with own_workspace(tmp_path_factory.mktemp("azure"), azurite) as found:
        yield found


@pytest.fixture(scope="module")
def proxy(workspace: AzureMl) -> Iterator[FaultyProxy]:
    """The way to the storage account."""
    with faulty_proxy(workspace.blob_url.rpartition("/")[0]) as found:
        yield found


@pytest.fixture
def azure(workspace: AzureMl, proxy: FaultyProxy) -> AzureMl:
    workspace.faults = Faults()
    workspace.seen.clear()
    proxy.faults.clear()
    return workspace


def settings(azure: AzureMl, proxy: FaultyProxy, **more: Any) -> dict[str, Any]:
    found = {"workspace": HOME, "arm": azure.url, "ca_file": str(azure.ca_file)}
    return found | {"blobs": f"{proxy.url}/{{account}}"} | more


@pytest.fixture
async def target(azure: AzureMl, proxy: FaultyProxy) -> AsyncIterator[Target]:
    async with opened(settings(azure, proxy)) as found:
        yield found


@asynccontextmanager
async def opened(settings: dict[str, Any]) -> AsyncIterator[Target]:
    found = open_target("azureml", settings)
    try:
        yield found
    finally:
        await found.close()


def there(azure: AzureMl, name: str, number: int = 1) -> dict[str, Any]:
    return azure.models[name].versions[number]


def puts(azure: AzureMl, part: str) -> int:
    return sum(1 for call in azure.seen if call.startswith("PUT") and call.endswith(part))


async def drift(target: Target, version: Any) -> dict[str, str | None]:
    found = differences(target.shown(version), await target.read(version))
    return {one.field: one.found for one in found}


async def test_a_version_is_written_whole_and_differs_in_nothing(azure: AzureMl, target: Target) -> None:
    version = wanted("crm.whole", stage="Production", approvals=(APPROVAL,), number=7)
    assert await target.read(version) is None
    found = await target.write(version, Stored())
    assert found.address == "azureml:crm--whole:7"
    assert await drift(target, version) == {}
    shown = there(azure, "crm--whole", 7)
    assert (shown["stage"], shown["description"], shown["modelType"]) == (
        "Production",
        "what leaves",
        "custom_model",
    )
    assert shown["properties"] == {
        "regista.id": "id-crm.whole@7",
        "regista.number": "7",
        "regista.semver": "1.0.0",
        "regista.artifact": DIGEST,
        "regista.data_digest": "sha256:" + "d" * 64,
    }
    tags = shown["tags"]
    assert (tags["team"], tags["regista.model"], tags["regista.approvals"]) == (
        "crm",
        "crm.whole",
        "production 2026-11-30T00:00Z review r1 by Bob, Eve; r1: checked",
    )
    folder = shown["modelUri"].partition("/paths/")[2]
    assert {path: azure.content(f"{folder}/{path}") for path in CONTENT} == CONTENT


async def test_a_change_is_written_without_copying_bytes_again(azure: AzureMl, target: Target) -> None:
    files = Stored()
    await target.write(wanted("crm.change", aliases=("candidate",)), files)
    await target.write(wanted("crm.change", stage="Production", approvals=(APPROVAL,)), files)
    shown = there(azure, "crm--change")
    assert (shown["stage"], "regista.aliases" in shown["tags"]) == ("Production", False)
    assert sorted(files.reads) == sorted(CONTENT)


@pytest.mark.parametrize("part", ["/models/crm--lost", "/models/crm--lost/versions/1"])
async def test_after_an_error_that_follows_success_there_is_one_version(
    azure: AzureMl, target: Target, part: str
) -> None:
    azure.models.pop("crm--lost", None)
    azure.faults = Faults(lost={f"PUT {HOME}{part}": 1})
    files = Stored()
    with pytest.raises(Unavailable, match="answers 500"):
        await target.write(wanted("crm.lost"), files)
    await target.write(wanted("crm.lost"), files)
    assert list(azure.models["crm--lost"].versions) == [1]
    assert await drift(target, wanted("crm.lost")) == {}


async def test_what_someone_edited_by_hand_is_a_difference_and_repaired(
    azure: AzureMl, target: Target
) -> None:
    version = wanted("crm.hand", approvals=(APPROVAL,))
    await target.write(version, Stored())
    shown = there(azure, "crm--hand")
    shown |= {"stage": "Production", "isArchived": True, "description": "by hand"}
    shown["tags"] = {"regista.approvals": "by me", "mine": "stays"}
    assert await drift(target, version) == {
        "description": "by hand",
        "isArchived": "true",
        "stage": "Production",
        "tag regista.approvals": "by me",
        "tag regista.metrics": "",
        "tag regista.model": "",
        "tag regista.status": "",
        "tag team": "",
    }
    await target.write(version, Stored())
    assert await drift(target, version) == {}
    assert there(azure, "crm--hand")["tags"]["mine"] == "stays"


async def test_replaced_deleted_and_added_files_are_differences(azure: AzureMl, target: Target) -> None:
    version = wanted("crm.bytes")
    await target.write(version, Stored())
    folder = there(azure, "crm--bytes")["modelUri"].partition("/paths/")[2]
    azure.store(f"{folder}/model.bin", b"bytes " * 49_999 + b"wrong ")
    azure.delete(f"{folder}/data/labels.txt")
    azure.store(f"{folder}/evil.pkl", b"added")
    assert await drift(target, version) == {
        "files": (await drift(target, version))["files"],
        "files of others": "evil.pkl",
    }
    files = Stored()
    await target.write(version, files)
    assert sorted(files.reads) == sorted(CONTENT)
    assert await drift(target, version) == {"files of others": "evil.pkl"}


@pytest.mark.parametrize("more", [{"withdrawn": True}, {"retired": True, "files": ()}])
async def test_a_version_that_may_not_be_loaded_is_archived_and_stays(
    azure: AzureMl, target: Target, more: dict[str, Any]
) -> None:
    await target.write(wanted("crm.ended", stage="Production"), Stored())
    ended = wanted("crm.ended", stage="Production", reasons=("poisoned",), **more)
    files = Stored()
    await target.write(ended, files)
    shown = there(azure, "crm--ended")
    assert (shown["isArchived"], shown["stage"], files.reads) == (True, "Archived", [])
    assert shown["tags"]["regista.status"].endswith(": poisoned")
    assert await drift(target, ended) == {}


async def test_models_and_versions_of_others_are_not_taken_over(azure: AzureMl, target: Target) -> None:
    azure.version("crm--other", 2, modelUri=azure.uri("x"))
    with pytest.raises(Refused, match="name_prefix"):
        await target.write(wanted("crm.other"), Stored())
    await target.write(wanted("crm.shared"), Stored())
    azure.version("crm--shared", 2, modelUri=azure.uri("x"))
    second = replace(wanted("crm.shared"), number=2, semver="1.1.0")
    assert await target.read(second) is None
    with pytest.raises(Refused, match=r"version 2 .* not this mirror's"):
        await target.write(second, Stored())
    assert there(azure, "crm--shared", 2)["modelUri"] == azure.uri("x")


async def test_bytes_that_are_not_those_registered_are_never_there(azure: AzureMl, target: Target) -> None:
    content = {"model.bin": b"0123456789abcdef" * (BLOCK // 16) + b"rest"}
    source, version = Stored(content), wanted("crm.torn", content)
    source.fails = True
    with pytest.raises(Unavailable, match="not those"):
        await target.write(version, source)
    assert (azure.models["crm--torn"].versions, azure.paths("regista/crm--torn/")) == ({}, [])
    source.fails = False
    await target.write(version, source)
    assert await drift(target, version) == {}


async def test_storage_that_breaks_off_in_the_middle_gets_the_rest_later(
    azure: AzureMl, target: Target, proxy: FaultyProxy
) -> None:
    version, files = wanted("crm.middle"), Stored()
    proxy.faults.append(Fault("PUT", "labels.txt?comp=blocklist", 0, left=100))
    with pytest.raises(Unavailable, match="storage account does not answer"):
        await target.write(version, files)
    assert azure.models["crm--middle"].versions == {}
    proxy.faults.clear()
    await target.write(version, files)
    assert files.reads == ["model.bin", "data/labels.txt", "data/labels.txt"]


async def test_two_mirrors_at_once_make_one_version(azure: AzureMl, proxy: FaultyProxy) -> None:
    version = wanted("crm.both")
    async with opened(settings(azure, proxy)) as one, opened(settings(azure, proxy)) as other:
        writes = [target.write(version, Stored()) for target in (one, other)]
        ends = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(end) for end in ends} <= {Found, Unavailable}, ends
        await one.write(version, Stored())
        assert await drift(other, version) == {}
    assert list(azure.models["crm--both"].versions) == [1]


async def test_a_workspace_that_is_gone_in_the_middle_is_tried_again(azure: AzureMl, target: Target) -> None:
    azure.faults = Faults(gone_after={"listSecrets": 1})
    with pytest.raises(Unavailable, match="does not answer"):
        await target.write(wanted("crm.gone"), Stored())
    azure.faults = Faults()
    await target.write(wanted("crm.gone"), Stored())
    assert await drift(target, wanted("crm.gone")) == {}


async def test_a_busy_azure_states_when_to_come_again(azure: AzureMl, target: Target) -> None:
    azure.faults = Faults(busy={"/models/crm--busy": 1})
    with pytest.raises(Unavailable) as found:
        await target.read(wanted("crm.busy"))
    assert found.value.retry_after == 3


async def test_an_expired_token_states_what_to_do(azure: AzureMl, target: Target) -> None:
    azure.faults = Faults(expired=True)
    with pytest.raises(Unavailable, match=r"ExpiredAuthenticationToken.*Renew the credentials"):
        await target.read(wanted("crm.token"))


async def test_without_a_right_to_the_keys_its_own_role_is_used_and_by_tls_only(
    azure: AzureMl, target: Target
) -> None:
    azure.faults = Faults(denied={"listSecrets": 1})
    with pytest.raises(Refused, match="Token credential is only supported with HTTPS"):
        await target.write(wanted("crm.role"), Stored())


async def test_a_service_principal_of_the_settings_is_used(
    azure: AzureMl, proxy: FaultyProxy, tmp_path: Path
) -> None:
    tenant, client, secret = azure.principal
    file = tmp_path / "secret"
    named = {"tenant_id": tenant, "client_id": client, "client_secret_file": str(file)}
    file.write_text("wrong")
    async with opened(settings(azure, proxy, authority=azure.url, **named)) as target:
        with pytest.raises(Unavailable, match=r"AADSTS7000215.*Renew") as refused:
            await target.read(wanted("crm.principal"))
    assert "wrong" not in str(refused.value)
    file.write_text(secret)
    async with opened(settings(azure, proxy, authority=azure.url, **named)) as target:
        assert await target.read(wanted("crm.principal")) is None
    assert azure.asked_for[-1] == f"{azure.url}/.default"


async def test_a_workspace_or_datastore_that_is_missing_is_named(azure: AzureMl, proxy: FaultyProxy) -> None:
    async with opened(settings(azure, proxy, workspace=f"{HOME}x")) as target:
        with pytest.raises(Refused, match="no such workspace"):
            await target.read(wanted("crm.where"))
    async with opened(settings(azure, proxy, datastore="absent")) as target:
        with pytest.raises(Refused, match="'absent' is not there"):
            await target.write(wanted("crm.where"), Stored())


async def test_a_datastore_at_a_foreign_host_gets_no_bytes(azure: AzureMl, proxy: FaultyProxy) -> None:
    facts = azure.datastores[DATASTORE] | {"endpoint": "evil.example", "isDefault": False}
    azure.datastores["foreign"] = facts
    async with opened(settings(azure, proxy, datastore="foreign", blobs="")) as target:
        with pytest.raises(Refused, match="none of Azure's own"):
            await target.write(wanted("crm.foreign"), Stored())
