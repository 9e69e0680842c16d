"""Azure Blob Storage on one machine: Microsoft's emulator Azurite from npm, on loopback."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from services.local import npm
from services.local.folders import LOOPBACK, PATIENCE, REPOSITORY, InstanceFolder, LocalError
from services.local.processes import Child, spawn

ACCOUNT = "regista"
CONTAINER, HISTORY = "artifacts", "history"
"""Artifacts, and the exported log."""
PORTS = ("azurite.blob",)
PACKAGES = REPOSITORY / "deploy" / "azurite"
MAIN = Path("node_modules", "azurite", "dist", "src", "blob", "main.js")


@dataclass(slots=True)
class Azurite:
    """One process, with one account whose key only this instance has.

    The emulator has no accounts with fewer rights and no policies: both services use the key of the account.
    It writes its index every few seconds and at its end, so kill -9 may lose the newest blobs. The artifact
    service notices that and quarantines them.
    """

    folder: InstanceFolder
    ports: Mapping[str, int] = field(default_factory=dict)
    child: Child | None = None
    _program: Path = field(default=Path(), init=False)

    def prepare(self) -> None:
        """Fetch the emulator into the cache, once per content of its lock file."""
        self._program = npm.installed(PACKAGES, "Azurite") / MAIN

    def launch(self) -> Child:
        data = self.folder.subfolder("azurite")
        argv = [
            npm.node(),
            str(self._program),
            "--silent",
            "--disableTelemetry",
            "--skipApiVersionCheck",
            f"--location={data}",
            f"--blobHost={LOOPBACK}",
            f"--blobPort={self.ports['azurite.blob']}",
        ]
        environment = {"PATH": os.environ["PATH"], "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self._key}"}
        self.child = spawn("azure", argv, log=self.folder.log("azure"), cwd=data, env=environment)
        return self.child

    def await_ready(self, patience: float = PATIENCE) -> None:
        """Wait until the containers exist."""
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - only where the emulator runs
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415

        deadline = time.monotonic() + patience
        with BlobServiceClient.from_connection_string(
            self.connection_string, connection_timeout=5, read_timeout=5, retry_total=0
        ) as client:
            while True:
                if self.child:
                    self.child.check()
                try:
                    for name in (CONTAINER, HISTORY):
                        if not client.get_container_client(name).exists():
                            client.create_container(name)
                except (AzureError, urllib3.exceptions.HTTPError):
                    if time.monotonic() > deadline:
                        raise LocalError(
                            f"Azurite does not answer after {patience:.0f} s: read {self.folder.log('azure')}"
                        ) from None
                    time.sleep(0.1)
                else:
                    return

    @property
    def url(self) -> str:
        """The account's URL, plain HTTP."""
        return f"http://{LOOPBACK}:{self.ports['azurite.blob']}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={self._key};"
            f"BlobEndpoint={self.url};"
        )

    @property
    def _key(self) -> str:
        """The account's key. Azure's keys are 64 bytes in base64."""
        return base64.b64encode(hashlib.sha512(self.folder.secret("azurite").encode()).digest()).decode()
