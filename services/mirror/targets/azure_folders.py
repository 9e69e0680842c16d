"""Folders in the datastores of a workspace: containers of Azure Blob Storage."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from uuid import uuid4

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.storage.blob import BlobBlock, ContentSettings
from azure.storage.blob.aio import ContainerClient

from regista.wire.azure_ml import READABLE, address_of, secret_of
from services.mirror.targets.azure_calls import (
    CONNECT_SECONDS,
    RENEW,
    SECONDS,
    Denied,
    ResourceManager,
    brief,
)
from services.mirror.targets.base import File, Files, Refused, Unavailable
from services.mirror.targets.retry_after import seconds

BLOCK = 8 << 20
"""Bytes of a block of an upload, which are in memory at a time. Azure takes 50,000 blocks."""
_MOST_BLOCKS = 50_000
_SHA256 = "regista_sha256"
"""The metadata of a blob that the mirror wrote. A blob that others replace has it no longer."""
_LATER = frozenset({408, 409, 412, 429})
_OVERTAKEN = "InvalidBlockList"
"""What Azure answers when another mirror stored the same blob meanwhile: the next attempt finds it."""


class Datastores:
    """The datastores of a workspace, each opened once."""

    def __init__(self, arm: ResourceManager, credential: AsyncTokenCredential, ca_file: str) -> None:
        self._arm = arm
        self._credential = credential
        self._more: dict[str, Any] = {"connection_verify": ca_file} if ca_file else {}
        self._opened: dict[str, ContainerClient] = {}

    async def close(self) -> None:
        """Close connections."""
        for container in self._opened.values():
            await container.close()

    async def default(self) -> str:
        """Return the name of the workspace's default datastore."""
        found = await self._arm.get("/datastores", {"isDefault": "true"})
        names = [str(one["name"]) for one in (found or {}).get("value") or ()]
        if not names:
            raise Refused(
                "Azure ML has no such workspace, or it has no default datastore: check `workspace`, or name"
                " a `datastore` in the target's settings."
            )
        return names[0]

    async def folder(self, datastore: str, path: str) -> Folder:
        """Return a folder. Raises Refused for a datastore that cannot be written to."""
        if datastore not in self._opened:
            self._opened[datastore] = await self._container(datastore)
        return Folder(self._opened[datastore], path)

    async def _container(self, name: str) -> ContainerClient:
        facts = ((await self._arm.get(f"/datastores/{name}")) or {}).get("properties") or {}
        kind = str(facts.get("datastoreType") or "")
        if kind != READABLE:
            raise Refused(
                f"The datastore {name!r} is {kind or 'not there'}: name one of the type {READABLE} as"
                " `datastore` in the target's settings."
            )
        try:
            url, container = address_of(facts, self._arm.workspace.blobs)
        except ValueError as e:
            raise Refused(f"The datastore {name!r} is not written to: {e}.") from e
        secret = await self._secret(name, facts)
        try:
            return ContainerClient(
                url,
                container,
                credential=secret,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=SECONDS,
                retry_total=1,
                initial_backoff=1,
                increment_base=1,
                random_jitter_range=1,
                user_agent="regista-mirror",
                **self._more,
            )
        except ValueError as e:  # a token by plain HTTP
            raise Refused(f"The datastore {name!r} at {url} is not written to: {brief(e)}") from e

    async def _secret(self, name: str, facts: dict[str, Any]) -> Any:
        """Return the key that the workspace keeps, or the mirror's own credential."""
        field = secret_of(facts)
        if not field:
            return self._credential
        try:
            found = str((await self._arm.secrets(f"/datastores/{name}")).get(field) or "")
        except Denied:  # the mirror may have a role for the bytes, and none for the keys
            return self._credential
        if field == "key":
            return AzureNamedKeyCredential(str(facts["accountName"]), found)
        return AzureSasCredential(found)


class Folder:
    """The blobs below a path."""

    def __init__(self, container: ContainerClient, path: str) -> None:
        self._container = container
        self._below = f"{path}/"

    async def files(self) -> list[File]:
        """Return the files there. Those that the mirror did not write have no digest."""
        found = []
        with _translated(self._below):
            async for blob in self._container.list_blobs(name_starts_with=self._below, include=["metadata"]):
                metadata = blob.metadata or {}
                if blob.name != self._below and metadata.get("hdi_isfolder", "").lower() != "true":
                    name = blob.name.removeprefix(self._below)
                    found.append(File(name, blob.size, metadata.get(_SHA256, "")))
        return found

    async def store(self, file: File, source: Files) -> None:
        """Store a file. It is there only when its bytes ended and were those that were verified.

        Azure compares the MD5 of each block, and deletes blocks that become no blob after a week.
        """
        if file.size > BLOCK * _MOST_BLOCKS:
            raise Refused(f"{file.path} has more than {BLOCK * _MOST_BLOCKS:,} bytes.")
        blob = self._container.get_blob_client(self._below + file.path)
        upload, blocks = uuid4().hex, list[str]()
        md5 = hashlib.md5(usedforsecurity=False)
        async for block in _blocks(source.read(file.path)):
            md5.update(block)
            blocks.append(f"{upload}-{len(blocks):06}")
            with _translated(file.path):
                await blob.stage_block(blocks[-1], BytesIO(block), len(block), validate_content=True)
        with _translated(file.path):
            await blob.commit_block_list(
                list(map(BlobBlock, blocks)),
                metadata={_SHA256: file.sha256},
                content_settings=ContentSettings(
                    content_type="application/octet-stream", content_md5=bytearray(md5.digest())
                ),
            )


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    buffer = bytearray()
    async for piece in pieces:
        buffer += piece
        while len(buffer) >= BLOCK:
            yield bytes(buffer[:BLOCK])
            del buffer[:BLOCK]
    if buffer:
        yield bytes(buffer)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Raise the errors of Azure's client as those of a target."""
    try:
        yield
    except HttpResponseError as e:
        stated = getattr(e, "error_code", None)
        status, code = e.status_code or 0, str(getattr(stated, "value", stated) or e.reason)
        text = f"The storage account answers {status} {code} for {path[:200]}"  # its message may have a MAC
        if isinstance(e, ClientAuthenticationError) or status in {401, 403}:
            raise Denied(f"{text}. {RENEW}") from e
        if code == _OVERTAKEN or not status or status in _LATER or status >= 500:
            raise Unavailable(text, seconds(getattr(e.response, "headers", {}))) from e
        raise Refused(f"{text}. Check the target's datastore.") from e
    except AzureError as e:
        raise Unavailable(f"The storage account does not answer ({brief(e)}).") from e
