"""Microsoft's client azure-ai-ml in an environment of its own, as one process for a whole module of tests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.environments import environment

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
    command = [
        str(environment("azure-client", OF_MODELS.split(), [CLIENT])),
        str(WORKER),
        SUBSCRIPTION,
        GROUP,
        WORKSPACE,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
    ) as process:
        try:
            yield AzureClient(process)
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(30)
