"""An instance whose artifacts and exported log are in Azure Blob Storage (Microsoft's emulator)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from regista.publishing.publication import document
from services.local import lifecycle
from services.local.azurite import Azurite
from services.local.folders import InstanceFolder, LocalError
from services.local.instance import Instance
from services.local.stack import Stack
from services.local.supervisor_state import read_state
from tests.integration.sdk.conftest import trained

pytestmark = [pytest.mark.servers, pytest.mark.slow]
REGISTA = str(Path(sys.executable).with_name("regista"))


@pytest.fixture(scope="module")
def folder(azurite: Azurite) -> Iterator[InstanceFolder]:
    """A whole instance. `azurite` has fetched the emulator, or skipped these tests."""
    found = InstanceFolder.named(f"test-{os.getpid()}-azure")
    Stack(found).choose_store("azure")
    lifecycle.start(found, 120.0, lifecycle.Progress(output=lambda _: None))
    yield found
    lifecycle.stop(found)
    shutil.rmtree(found.directory)


def regista(folder: InstanceFolder, *arguments: str) -> str:
    environment = os.environ | {"REGISTA_CONFIG": str(folder.directory / "config.toml")}
    done = subprocess.run(
        [REGISTA, *arguments], capture_output=True, text=True, check=False, timeout=90, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_published_is_downloaded_also_after_the_store_ended(
    folder: InstanceFolder, tmp_path: Path
) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "model.bin").write_bytes(content)
    metadata = tmp_path / "run.json"
    stated = document("team.churn", trained(), creator="ann")
    metadata.write_bytes(msgspec.json.encode({"training": stated["training"], "schema": stated["signature"]}))
    model = str(tmp_path / "model.bin")
    regista(folder, "publish", "team.churn", model, "--metadata", str(metadata), "--until", "validated")
    state = read_state(folder)
    assert state
    assert "s3" not in {one.name for one in state.identities()}
    os.kill(next(one.pid for one in state.identities() if one.name == "azure"), signal.SIGTERM)
    lifecycle.start(folder, 120.0, lifecycle.Progress(output=lambda _: None))
    regista(folder, "versions", "download", "team.churn@1", "--to", str(tmp_path / "again"))
    assert (tmp_path / "again" / "model.bin").read_bytes() == content


def test_the_checkpoints_of_the_log_are_kept_in_the_store(folder: InstanceFolder) -> None:
    from azure.storage.blob import ContainerClient  # noqa: PLC0415 - only here

    text = Instance.at(folder).stack.azurite.connection_string
    with ContainerClient.from_connection_string(text, "history") as container:
        assert [name for name in container.list_blob_names() if "checkpoints" in name]


def test_an_instance_keeps_its_kind_of_store(folder: InstanceFolder) -> None:
    with pytest.raises(LocalError, match="has its artifacts in azure"):
        Stack(folder).choose_store("s3")
    Stack(folder).choose_store("azure")
