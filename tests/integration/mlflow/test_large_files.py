"""Large files by the real `mlflow` client: one request each, and no process holds a file in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.local.supervisor_state import read_state
from tests.integration.mlflow.conftest import MlflowClient
from tests.integration.sdk.conftest import House

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]
SIZE = 192 << 20
MOST_MORE = 96 << 20
"""Bytes of memory that a process may have more at its peak than before."""


def test_a_large_file_is_sent_and_read_in_pieces_where_clients_ask_for_parts_and_presigned_urls(
    house: House, mlflow_python: Path, lab_name: str
) -> None:
    digest = _write(house.folder / "large.bin")
    processes = _pids(house, "mlflow", "artifact")
    before = {name: _memory(pid, "VmRSS") for name, pid in processes.items()}
    for pid in processes.values():
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is the present size again
    client = MlflowClient(
        mlflow_python,
        house.folder,
        house.instance.urls["mlflow"],
        house.people["eng"].api_key,
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=str(1 << 20),
    )
    try:
        found = client(
            """
            import hashlib, pathlib
            import mlflow
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
            get_artifact_repository(root + "/" + name).log_artifact("large.bin")
            mlflow.register_model(root + "/" + name, name)
            folder = mlflow.artifacts.download_artifacts(f"models:/{name}/1")
            with pathlib.Path(folder, "large.bin").open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            [mlflow.MlflowClient().get_model_version(name, 1).status, digest]
            """,
            name=lab_name,
            root=house.instance.urls["mlflow"] + "/api/2.0/mlflow-artifacts/artifacts",
        )
    finally:
        client.close()
    assert found == ["READY", digest]
    more = {name: _memory(pid, "VmHWM") - before[name] for name, pid in processes.items()}
    assert {name: size for name, size in more.items() if size > MOST_MORE} == {}


def _write(file: Path) -> str:
    """Write a file of many different bytes. Return its SHA-256."""
    digest = hashlib.sha256()
    with file.open("wb") as out:
        for n in range(SIZE >> 20):
            piece = hashlib.sha256(str(n).encode()).digest() * (1 << 15)
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


def _pids(house: House, *names: str) -> dict[str, int]:
    state = read_state(house.instance.folder)
    assert state is not None
    return {name: state.processes[name].identity.pid for name in names}


def _memory(pid: int, field: str) -> int:
    """Return VmRSS, the present resident memory, or VmHWM, its peak, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) << 10
