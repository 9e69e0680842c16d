"""Store artifacts in a container of Azure Blob Storage, by Microsoft's asynchronous client."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock

from services.artifact.stores import (
    NoSuchObject,
    ObjectChanged,
    StoredObject,
    StoreUnavailable,
)
from shared.foundation.azure import async_container

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, ContainerClient

BLOCK = 8 * 1024 * 1024
"""Bytes of one block of an upload. Two are in memory for each upload: one is received, one is sent."""

COPYING = 3600.0
"""Seconds that the server may take for a copy. It copies in the background and reports how far it is."""

POLL = 0.2
"""Seconds between two looks at a copy that is not complete yet."""

IDLE = 60.0
"""Seconds after which an upload that sends no byte fails."""

PROBE = ".ready"
"""The blob that shows whether the container accepts any."""

DELETING = 16
"""Blobs that are deleted at a time."""

_CHANGED = frozenset({"ConditionNotMet", "SourceConditionNotMet"})


class AzureStore:
    """One container, reached by the settings of `shared/foundation/azure.py`.

    `connections` is the largest number of concurrent uploads.
    """

    def __init__(
        self, container: str, *, connection_string: str = "", account_url: str = "", connections: int = 16
    ) -> None:
        self._name = container
        self._connection_string = connection_string
        self._account_url = account_url
        self._writing = asyncio.Semaphore(connections)
        self._must_probe = True

    @cached_property
    def _container(self) -> ContainerClient:
        """The client. It belongs to the event loop that first uses it."""
        return async_container(self._name, self._connection_string, self._account_url)

    async def close(self) -> None:
        """Close the connections."""
        if "_container" in self.__dict__:
            await self._container.close()

    async def check(self) -> None:
        """Return when the container exists, may be listed and, after it refused a blob, stores one."""
        with _translated(self._name):
            if not await self._container.exists():
                raise StoreUnavailable(
                    f"the container {self._name!r} does not exist: create it, or correct "
                    "REGISTA_AZURE_CONTAINER"
                )
            if self._must_probe:
                await self._container.upload_blob(PROBE, b"ready", overwrite=True)
                self._must_probe = False

    @property
    def root(self) -> str:
        """`https://<account>…/<container>/`, also where publishers store bytes themselves."""
        return f"{self._container.url.partition('?')[0]}/"  # without a shared access signature

    def uri(self, prefix: str) -> str:
        """Return `https://<account>…/<container>/…`."""
        return f"{self.root}{prefix}"

    async def put(self, key: str, chunks: AsyncIterable[bytes], tags: Mapping[str, str]) -> StoredObject:
        """Store as blocks, which become the blob only when the stream ended without an error.

        Azure deletes blocks that never become a blob after a week, or when another upload makes a blob here:
        then this one raises StoreUnavailable.
        """
        blob, digest, size, blocks = self._container.get_blob_client(key), hashlib.sha256(), 0, list[str]()
        upload, sending = uuid4().hex, list[asyncio.Task[None]]()
        try:
            async with self._writing:
                async for block in _in_blocks(chunks):
                    await asyncio.to_thread(digest.update, block)
                    size += len(block)
                    blocks.append(f"{upload}-{len(blocks):06}")
                    await asyncio.gather(*sending)
                    sending = [asyncio.create_task(self._stage(blob, blocks[-1], block))]
                await asyncio.gather(*sending)
                with _translated(key):
                    made = await blob.commit_block_list(list(map(BlobBlock, blocks)), tags=dict(tags) or None)
        except StoreUnavailable:
            self._must_probe = True
            raise
        finally:
            for task in sending:
                task.cancel()
        return StoredObject(size, digest.hexdigest(), str(made["etag"]))

    async def _stage(self, blob: BlobClient, id_: str, block: bytes) -> None:
        with _translated(blob.blob_name):
            await blob.stage_block(id_, BytesIO(block), len(block))

    async def read_and_hash(self, key: str) -> StoredObject:
        """Stream the blob through SHA-256. A blob that is replaced meanwhile does not mix in."""
        digest, size = hashlib.sha256(), 0
        with _translated(key):
            found = await self._container.download_blob(key)
            async for chunk in found.chunks():
                await asyncio.to_thread(digest.update, chunk)
                size += len(chunk)
        return StoredObject(size, digest.hexdigest(), str(found.properties.etag))

    async def copy(self, source: str, target: str, etag: str, tags: Mapping[str, str]) -> None:
        """Copy inside the account, on the condition that the source still has this ETag.

        The server copies in the background: wait until it is complete. A copy that is given up is aborted.
        """
        origin, copied = self._container.get_blob_client(source), self._container.get_blob_client(target)
        with _translated(source):
            begun = await copied.start_copy_from_url(
                origin.url,
                source_etag=etag,
                source_match_condition=MatchConditions.IfNotModified,
                tags=dict(tags) or None,
            )
            try:
                async with asyncio.timeout(COPYING):
                    status: object = begun["copy_status"]
                    while status == "pending":
                        await asyncio.sleep(POLL)
                        found = (await copied.get_blob_properties()).copy
                        status = found.status if found.id == begun["copy_id"] else "replaced"
            except BaseException:
                with contextlib.suppress(AzureError):
                    await copied.abort_copy(str(begun["copy_id"]))
                raise
        if status != "success":
            raise ObjectChanged(source)

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Yield pieces of CHUNK bytes, all of one content."""
        if length == 0:
            return
        with _translated(key):
            span: dict[str, Any] = (
                {} if offset == 0 and length is None else {"offset": offset, "length": length}
            )
            found = await self._container.download_blob(key, **span)  # an empty blob has no span
            async for chunk in found.chunks():
                yield chunk

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the index tags of the blob."""
        with contextlib.suppress(NoSuchObject), _translated(key):
            await self._container.get_blob_client(key).set_blob_tags(dict(tags))

    async def tags(self, key: str) -> dict[str, str]:
        with _translated(key):
            return dict(await self._container.get_blob_client(key).get_blob_tags())

    async def keys(self, prefix: str) -> list[str]:
        """List the prefix with a closing slash, so that `g1` does not include `g10`."""
        with _translated(prefix):
            names = self._container.list_blob_names(name_starts_with=f"{prefix}/")
            return sorted([name async for name in names])

    async def remove(self, keys: Sequence[str]) -> None:
        """Delete blobs with their snapshots, several at a time."""
        slots = asyncio.Semaphore(DELETING)

        async def delete(key: str) -> None:
            with contextlib.suppress(NoSuchObject), _translated(key):
                async with slots:
                    await self._container.delete_blob(key, delete_snapshots="include")

        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(delete(key))


async def _in_blocks(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Yield pieces of BLOCK bytes, the last one shorter.

    Raises TimeoutError after IDLE seconds of silence.
    """
    waiting, coming = bytearray(), aiter(chunks)
    while True:
        async with asyncio.timeout(IDLE):
            chunk = await anext(coming, None)
        if chunk is None:
            break
        waiting += chunk
        while len(waiting) >= BLOCK:
            yield bytes(waiting[:BLOCK])
            del waiting[:BLOCK]
    if waiting:
        yield bytes(waiting)


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    """Turn the client's errors into those of `ObjectStore`. `key` is what the call is about."""
    try:
        yield
    except ResourceNotFoundError as e:
        if _code(e) == "ContainerNotFound":
            raise StoreUnavailable(f"the container does not exist: create it ({key})") from e
        raise NoSuchObject(key) from e
    except HttpResponseError as e:
        if _code(e) in _CHANGED:
            raise ObjectChanged(key) from e
        if _code(e) == "InvalidBlockList":
            raise StoreUnavailable(
                f"another upload of {key} was completed while this one was received: repeat it"
            ) from e
        raise StoreUnavailable(f"the object store answered {_code(e)}: {e.reason}") from e
    except (AzureError, TimeoutError) as e:
        raise StoreUnavailable(f"the object store cannot be used: {e}") from e


def _code(error: HttpResponseError) -> str:
    """Return Azure's code of an error, else the HTTP status."""
    code = getattr(error, "error_code", None) or error.status_code
    return str(getattr(code, "value", code))
