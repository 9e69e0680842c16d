"""Read the files of a version from a datastore of its workspace: a container of Azure Blob Storage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from regista.errors import Forbidden, Invalid, NotConfigured, NotFound, Unauthorized
from regista.importing.azure_ml import CREDENTIALS, MISSING, AzureMlServer, no_token
from regista.importing.files import Files, SourceFile, Unreachable
from regista.importing.requests import BROKE_OFF, CONNECT_SECONDS, READ_SECONDS, SHOWN, SourceBroken
from regista.wire.azure_ml import READABLE, address_of, located, secret_of

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, ContainerClient

PIECE = 1 << 20
"""Bytes of one request, which are in memory at a time."""
_RETRIES: Mapping[str, Any] = {"retry_total": 5, "initial_backoff": 1, "increment_base": 2}


class Datastores:
    """The datastores of a workspace, each opened once."""

    def __init__(self, server: AzureMlServer, credential: Any) -> None:
        self._server = server
        self._credential = credential
        self._opened: dict[str, ContainerClient] = {}
        self._opening = asyncio.Lock()  # several models are read at the same time

    async def aclose(self) -> None:
        """Close the connections."""
        for container in self._opened.values():
            await asyncio.to_thread(container.close)

    async def files(self, uri: str) -> BlobFiles:
        """Return the files that `modelUri` names. Raises Unreachable for what is in no datastore here."""
        with _reached():
            name, path = located(uri, self._server.workspace)
        async with self._opening:
            if name not in self._opened:
                self._opened[name] = await self._container(name)
        return BlobFiles(self._opened[name], path)

    async def _container(self, name: str) -> ContainerClient:
        try:
            facts = await self._server.datastore(name)
        except NotFound:
            raise Unreachable(f"its datastore {name!r:.80} does not exist") from None
        kind = str(facts.get("datastoreType") or "")
        if kind != READABLE:
            raise Unreachable(f"its datastore {name!r:.80} is {kind or 'of no type'}; {READABLE} can be read")
        with _reached():
            url, container = address_of(facts, self._server.workspace.blobs)
        credential = await self._secret(name, facts)
        return _client(url, container, credential)

    async def _secret(self, name: str, facts: Mapping[str, Any]) -> Any:
        """Return the key that the workspace keeps, or the caller's own credential."""
        field = secret_of(facts)
        if not field:
            return self._credential
        try:
            found = str((await self._server.secrets(name)).get(field) or "")
        except Forbidden:  # the caller may have a role for the bytes, and none for the keys
            return self._credential
        account = str(facts.get("accountName"))
        return {"account_name": account, "account_key": found} if field == "key" else found


@contextmanager
def _reached() -> Iterator[None]:
    """Raise the reason why a place is not read as Unreachable: the version becomes a draft."""
    try:
        yield
    except ValueError as e:
        raise Unreachable(str(e)) from None


def _client(url: str, container: str, credential: Any) -> ContainerClient:
    try:
        from azure.storage.blob import ContainerClient  # noqa: PLC0415 - the extra `azureml`
    except ImportError:
        detail = "the package azure-storage-blob is not installed"
        raise NotConfigured("azure_missing", detail, advice=MISSING) from None
    return ContainerClient(
        url,
        container,
        credential=credential,
        max_single_get_size=PIECE,
        max_chunk_get_size=PIECE,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        **_RETRIES,
    )


class BlobFiles(Files):
    """The blobs below a path, or the one with that name."""

    def __init__(self, container: ContainerClient, path: str) -> None:
        self._container = container
        self._path = path
        self._blobs: dict[str, BlobProperties] = {}

    async def entries(self) -> list[SourceFile]:
        self._blobs = await asyncio.to_thread(self._found)
        return [_entry(name, blob) for name, blob in sorted(self._blobs.items())]

    def _found(self) -> dict[str, BlobProperties]:
        found: dict[str, BlobProperties] = {}
        below = f"{self._path}/"
        with _translated(self._path):
            blob = self._container.get_blob_client(self._path)
            if blob.exists() and not _is_folder(one := blob.get_blob_properties()):
                return {self._path.rpartition("/")[2]: one}
            for one in self._container.list_blobs(name_starts_with=below, include=["metadata"]):
                if not _is_folder(one) and one.name != below:
                    found[one.name.removeprefix(below)] = one
                    self._check(len(found), 0)
        return found

    async def read(self, path: str) -> AsyncIterator[bytes]:
        pieces = await asyncio.to_thread(self._open, path)
        while piece := await asyncio.to_thread(self._next, pieces, path):
            yield piece

    def _open(self, path: str) -> Iterator[bytes]:
        """Open a blob as it was when it was listed."""
        from azure.core import MatchConditions  # noqa: PLC0415 - the extra `azureml`

        one = self._blobs[path]
        with _translated(one.name):
            return self._container.download_blob(
                one.name, etag=one.etag, match_condition=MatchConditions.IfNotModified, max_concurrency=1
            ).chunks()

    @staticmethod
    def _next(pieces: Iterator[bytes], path: str) -> bytes:
        with _translated(path):
            return next(pieces, b"")


def _entry(name: str, blob: BlobProperties) -> SourceFile:
    """Return a file. Azure has the MD5 of what was sent in one request, or what its writer declared."""
    md5 = blob.content_settings.content_md5
    return SourceFile(name, int(blob.size), {"md5": bytes(md5).hex()} if md5 else {})


def _is_folder(blob: BlobProperties) -> bool:
    """Return whether a blob only marks a folder, as in accounts with a hierarchical namespace."""
    return str((blob.metadata or {}).get("hdi_isfolder", "")).lower() == "true"


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Raise the errors of Azure's client as ours. What can be repeated is SourceBroken."""
    from azure.core.exceptions import (  # noqa: PLC0415 - the extra `azureml`
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
    )

    try:
        yield
    except ClientAuthenticationError as e:
        if e.status_code is None:
            raise no_token(e) from None
        raise _refused(path, e) from None
    except HttpResponseError as e:
        if e.status_code is None or e.status_code in {408, 429} or e.status_code >= 500:
            raise SourceBroken(BROKE_OFF, f"{path!r:.120} broke off: {_brief(e)}") from e
        raise _refused(path, e) from None
    except AzureError as e:
        raise SourceBroken(BROKE_OFF, f"{path!r:.120} broke off: {_brief(e)}") from e


def _refused(path: str, error: Any) -> Exception:
    answer = f"{path!r:.120}: the storage account answers {error.status_code}: {_brief(error)}"
    if error.status_code == 401:
        return Unauthorized("source_unauthorized", answer, advice=CREDENTIALS)
    if error.status_code == 403:
        advice = (
            "Request the role Storage Blob Data Reader for the storage account, or access to its network."
        )
        return Forbidden("source_forbidden", answer, advice=advice)
    if error.status_code == 404:
        return NotFound("source_not_found", answer, advice="Its files were deleted there.")
    if error.status_code in {409, 412}:
        return Invalid("file_changed", answer, advice="It changed while it was read: run the command again.")
    return Invalid("source_answer", answer, advice="Check the datastore in Azure ML.")


def _brief(error: Exception) -> str:
    """Return the first line of an error. The others repeat the request."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:SHOWN]
