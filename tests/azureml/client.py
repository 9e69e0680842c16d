"""Microsoft's client azure-ai-ml in an environment of its own, as one process for a whole module of tests."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.local.folders import home

from .workspace import GROUP, SUBSCRIPTION, WORKSPACE, AzureMl

VERSION = "1.35.2"
CLIENT = f"azure-ai-ml=={VERSION}"
OF_MODELS = (
    "pyyaml azure-core azure-mgmt-core marshmallow<4 jsonschema tqdm strictyaml colorama pyjwt "
    "azure-storage-blob azure-storage-file-share azure-storage-file-datalake pydash isodate "
    "typing-extensions opentelemetry-api msrest six"
)
"""What the client imports. Only its telemetry needs azure-monitor-opentelemetry with its 30 packages."""
WORKER = Path(__file__).with_name("client_worker.py")


def environment() -> Path:
    """Return the Python of the environment. The first call installs it; without it tests skip."""
    digest = hashlib.sha256(f"{CLIENT} {OF_MODELS} {sys.version_info[:2]}".encode()).hexdigest()[:12]
    target = home() / "cache" / f"azure-client-{digest}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / "environment"
            uv = [sys.executable, "-m", "uv", "--quiet"]
            subprocess.run([*uv, "venv", "--python", sys.executable, made], check=True)
            install = [*uv, "pip", "install", "--python", made / "bin" / "python"]
            try:
                subprocess.run([*install, *OF_MODELS.split()], check=True, timeout=600)
                subprocess.run([*install, "--no-deps", CLIENT], check=True, timeout=600)
            except subprocess.CalledProcessError:
                pytest.skip(f"uv could not install {CLIENT}: its error is printed above")
            if not target.exists():
                made.rename(target)
    return target / "bin" / "python"


@dataclass
class AzureClient:
    """A process in which MLClient does one act after the other."""

    process: subprocess.Popen[str]

    def act(self, act: str, **more: Any) -> Any:
        """Return what the client returned. A test that expects an error uses `error`."""
        answer = self._answer(act, more)
        assert "error" not in answer, answer
        return answer["answer"]

    def error(self, act: str, **more: Any) -> str:
        """Return the text of the client's error."""
        answer = self._answer(act, more)
        assert "error" in answer, answer
        return str(answer["message"])

    def _answer(self, act: str, more: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"act": act, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the client ended: its error is printed above"
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def azure_client(azure: AzureMl) -> Iterator[AzureClient]:
    """Run the client. Azure's own variables name the cloud that it uses."""
    variables = {
        "TOKEN": azure.token(),
        "REQUESTS_CA_BUNDLE": str(azure.ca_file),
        "ARM_CLOUD_METADATA_URL": f"{azure.url}/metadata/endpoints?api-version=2019-05-01",
        "AZURE_EXTENSION_DIR": "/nowhere",
    }
    command = [str(environment()), str(WORKER), SUBSCRIPTION, GROUP, WORKSPACE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
    ) as process:
        try:
            yield AzureClient(process)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(30)
