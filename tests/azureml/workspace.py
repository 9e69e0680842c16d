"""A workspace of Azure ML as the tests fill it, and what goes wrong there.

Microsoft has no emulator of it. `arm.py` answers as Azure Resource Manager does, `server.py` serves it.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

SUBSCRIPTION, GROUP, WORKSPACE = "11111111-2222-3333-4444-555555555555", "ml", "fraud-ws"
PROVIDER = "Microsoft.MachineLearningServices"
HOME = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{PROVIDER}/workspaces/{WORKSPACE}"
DATASTORE = "workspaceblobstore"
PERSON = "Ann Lee"
MADE = "2025-03-01T09:00:00.1234567+00:00"
"""The form of Azure's times."""


@dataclass
class Faults:
    """What goes wrong, by a part of the path: how often a request is busy (429), denied (403), stored but
    answered 500, or closed without an answer after that many requests. `expired`: every token is."""

    busy: dict[str, int] = field(default_factory=dict)
    denied: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    gone_after: dict[str, int] = field(default_factory=dict)
    expired: bool = False


@dataclass
class Container:
    """A model there."""

    name: str
    properties: dict[str, Any] = field(default_factory=dict)
    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    made: str = MADE
    by: dict[int, str] = field(default_factory=dict)


@dataclass
class AzureMl:
    """One workspace. `datastores` have ARM's properties, `keys` the secrets by the datastore's name."""

    url: str = ""
    ca_file: Path = field(default_factory=Path)
    identity_url: str = ""
    identity_header: str = field(default_factory=lambda: secrets.token_hex(8))
    principal: tuple[str, str, str] = field(
        default_factory=lambda: ("tenant-1", "mirror", secrets.token_hex(8))
    )
    models: dict[str, Container] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    datastores: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    storage_suffix: str = "core.windows.net"
    blob_url: str = ""
    storage: str = field(default="", repr=False)
    seen: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    asked_for: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self) -> str:
        """Issue a token."""
        made = secrets.token_urlsafe(24)
        self.tokens.add(made)
        return made

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be this workspace's managed identity, by Azure's own variables."""
        return {
            "IDENTITY_ENDPOINT": self.identity_url,
            "IDENTITY_HEADER": self.identity_header,
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
        }

    def blob_datastore(self, container: str, key: str, account: str, name: str = DATASTORE) -> None:
        """Add a datastore with an account's key."""
        self.datastores[name] = {
            "datastoreType": "AzureBlob",
            "accountName": account,
            "containerName": container,
            "endpoint": self.storage_suffix,
            "protocol": "https",
            "isDefault": name == DATASTORE,
            "credentials": {"credentialsType": "AccountKey"},
        }
        self.keys[name] = {"secretsType": "AccountKey", "key": key}

    def version(self, name: str, number: int, *, by: str = PERSON, **properties: Any) -> None:
        """Put a version there, as a person did by Azure's own tools."""
        model = self.models.setdefault(name, Container(name))
        model.versions[number] = {"flavors": {}, "tags": {}, "properties": {}, **properties}
        model.by[number] = by

    def store(self, path: str, content: bytes) -> None:
        """Put a file into the default datastore."""
        with self._container() as container:
            container.upload_blob(path, content, overwrite=True)

    def content(self, path: str) -> bytes:
        """Return a file of the default datastore."""
        with self._container() as container:
            return bytes(container.download_blob(path).readall())

    def delete(self, path: str) -> None:
        """Delete a file of the default datastore."""
        with self._container() as container:
            container.delete_blob(path)

    def paths(self, below: str) -> list[str]:
        """Return the files of the default datastore whose path begins so."""
        with self._container() as container:
            return list(container.list_blob_names(name_starts_with=below))

    def _container(self) -> ContainerClient:
        name = self.datastores[DATASTORE]["containerName"]
        return ContainerClient.from_connection_string(self.storage, name)

    @staticmethod
    def uri(path: str, datastore: str = DATASTORE) -> str:
        """Return the URI of files in a datastore, in the long form that Azure stores."""
        at = f"subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/workspaces/{WORKSPACE}"
        return f"azureml://{at}/datastores/{datastore}/paths/{path}"
