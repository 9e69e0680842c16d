"""Store artifacts in an S3 bucket, by the synchronous client `minio`: each call runs in a thread.

Uploads have a thread pool of their own, and so have hashing and copying. Slow senders and verifications
therefore delay neither downloads nor readiness.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar, cast

import urllib3
from minio.commonconfig import REPLACE, ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from services.artifact.stores import (
    CHUNK,
    NoSuchObject,
    ObjectChanged,
    StoredObject,
    StoreFull,
    StoreUnavailable,
)
from shared.foundation.s3 import S3Server
from shared.foundation.s3_client import client, encryption

PART = 8 * 1024 * 1024
"""Bytes of one part of an upload.

About four parts are in memory for each upload: one is received, one is sent, and copies.
"""

MOST = 10_000 * PART
"""Bytes of the largest file: S3 takes 10,000 parts."""

COPY_PART = 512 * 1024 * 1024
"""Bytes that the server copies in one request.

A larger file is copied in parts: S3 copies at most 5 GiB in one request, and answers when the copy is
complete.
"""

COPYING = 600.0
"""Seconds that the server may take for one request of a copy: one part at 1 MB/s."""

IDLE = 60.0
"""Seconds after which an upload that sends no byte fails."""

PROBE = ".ready"
"""The object that shows whether the bucket accepts any."""

NO_ROOM = frozenset({"XMinioStorageFull", "QuotaExceeded", "StorageFull", "InsufficientStorage"})
"""Codes of stores that are full. SeaweedFS answers InternalError."""

NO_TAGS = " (where the store has no object tags, set REGISTA_S3_TAGS=false)"

T = TypeVar("T")


class S3Store:
    """One bucket.

    `kms_key` encrypts what is stored. A store without `with_tags` stores none, and shows none.
    `connections` is the largest number of concurrent short calls, and of concurrent uploads. Half as many
    objects are hashed or copied at a time.
    """

    def __init__(
        self,
        server: S3Server,
        bucket: str,
        *,
        kms_key: str = "",
        with_tags: bool = True,
        connections: int = 16,
    ) -> None:
        self._bucket = bucket
        self.root = f"s3://{bucket}/"
        self._sse = encryption(kms_key)
        self._with_tags = with_tags
        self._client = client(server, connections=2 * connections)
        self._copier = client(server, connections=connections, read=COPYING, retries=0)
        self._calls = ThreadPoolExecutor(connections, "s3-call")
        self._hashing = ThreadPoolExecutor(max(1, connections // 2), "s3-hash")
        self._uploads = ThreadPoolExecutor(connections, "s3-upload")
        self._must_probe = True

    async def close(self) -> None:
        """End the threads. The connections end with the process."""
        for threads in (self._calls, self._hashing, self._uploads):
            threads.shutdown(wait=False, cancel_futures=True)

    async def check(self) -> None:
        """Return when the bucket exists, may be listed and, after it refused an object, stores one."""
        if not await self._call(lambda: self._client.bucket_exists(self._bucket)):
            raise StoreUnavailable(
                f"the bucket {self._bucket!r} does not exist: create it, or correct REGISTA_S3_BUCKET"
            )
        if self._must_probe:
            await self._call(self._probe)
            self._must_probe = False

    def _probe(self) -> None:
        """Store a small object. Raises StoreFull when the store answers and refuses it."""
        try:
            self._copier.put_object(self._bucket, PROBE, io.BytesIO(b"ready"), 5, sse=self._sse)
        except S3Error as e:
            if e.code not in {"InternalError", *NO_ROOM}:
                raise
            raise StoreFull(
                f"it answers and stores nothing ({e.code}: {e.message}), so it is probably full: free or "
                "add space"
            ) from e

    async def _explain(self, refused: StoreUnavailable) -> StoreUnavailable:
        """Return StoreFull where the store is the reason why a write failed, else the same error."""
        self._must_probe = True
        try:
            await self.check()
        except StoreFull as full:
            return full
        except StoreUnavailable:
            pass
        return refused

    def uri(self, prefix: str) -> str:
        """Return `s3://bucket/…`."""
        return f"{self.root}{prefix}"

    async def put(self, key: str, chunks: AsyncIterable[bytes], tags: Mapping[str, str]) -> StoredObject:
        """Store by a multipart upload, completed only when the stream ended without an error."""
        incoming = _Incoming(aiter(chunks), asyncio.get_running_loop())

        def upload() -> StoredObject:
            written = self._client.put_object(
                self._bucket,
                key,
                cast("BinaryIO", incoming),
                -1,
                part_size=PART,
                num_parallel_uploads=1,
                tags=self._tags(tags),
                sse=self._sse,
            )
            return StoredObject(incoming.size, incoming.digest.hexdigest(), written.etag or "")

        try:
            return await self._call(upload, self._uploads)
        except StoreUnavailable as refused:
            raise await self._explain(refused) from refused
        finally:
            incoming.close()

    async def read_and_hash(self, key: str) -> StoredObject:
        """Stream the object through SHA-256, in a thread that ends when the caller is cancelled."""
        cancelled = threading.Event()
        try:
            return await self._call(lambda: self._hash(key, cancelled), self._hashing)
        finally:
            cancelled.set()

    async def copy(self, source: str, target: str, etag: str, tags: Mapping[str, str]) -> None:
        """Copy inside the server, on the condition that the source still has this ETag.

        Each part has the condition. The tags are replaced, because S3 copies those of the source by default.
        """
        try:
            await self._call(lambda: self._copy(source, target, etag, self._tags(tags)), self._hashing)
        except StoreUnavailable as refused:
            raise await self._explain(refused) from refused

    def _copy(self, source: str, target: str, etag: str, tags: Tags | None) -> None:
        found = self._client.stat_object(self._bucket, source)
        if (size := found.size or 0) <= COPY_PART:
            origin = CopySource(self._bucket, source, match_etag=etag)
            directive = REPLACE if self._with_tags else None
            self._copier.copy_object(
                self._bucket, target, origin, sse=self._sse, tags=tags, tagging_directive=directive
            )
            return
        parts = [
            ComposeSource(
                self._bucket, source, offset=first, length=min(COPY_PART, size - first), match_etag=etag
            )
            for first in range(0, size, COPY_PART)
        ]
        try:
            self._copier.compose_object(self._bucket, target, parts, sse=self._sse, tags=tags)
        except ValueError as shorter:  # `minio` reads the size of the source before the server compares ETags
            raise ObjectChanged(source) from shorter

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Yield pieces of CHUNK bytes."""
        if length == 0:
            return
        response = await self._call(lambda: self._client.get_object(self._bucket, key, offset, length or 0))
        try:
            while chunk := await self._call(lambda: response.read(CHUNK)):
                yield chunk
        finally:
            response.close()
            response.release_conn()

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of the object."""
        if (found := self._tags(tags)) is None:
            return
        try:
            await self._call(lambda: self._client.set_object_tags(self._bucket, key, found))
        except NoSuchObject:
            return

    async def tags(self, key: str) -> dict[str, str]:
        if not self._with_tags:
            return {}
        return dict(await self._call(lambda: self._client.get_object_tags(self._bucket, key)) or {})

    async def keys(self, prefix: str) -> list[str]:
        """List the prefix with a closing slash, so that `g1` does not include `g10`."""
        return sorted(
            await self._call(
                lambda: [
                    str(o.object_name)
                    for o in self._client.list_objects(self._bucket, f"{prefix}/", recursive=True)
                ]
            )
        )

    async def remove(self, keys: Sequence[str]) -> None:
        """Delete a thousand keys a request."""
        failed = await self._call(
            lambda: list(self._client.remove_objects(self._bucket, [DeleteObject(key) for key in keys]))
        )
        if failed:
            raise StoreUnavailable(
                f"{len(failed)} of {len(keys)} objects could not be deleted: "
                f"{failed[0].code} {failed[0].message}"
            )

    def _tags(self, tags: Mapping[str, str]) -> Tags | None:
        if not tags or not self._with_tags:
            return None
        found = Tags.new_object_tags()
        found.update(tags)
        return found

    def _hash(self, key: str, cancelled: threading.Event) -> StoredObject:
        response = self._client.get_object(self._bucket, key)
        try:
            digest, size = hashlib.sha256(), 0
            for chunk in response.stream(CHUNK):
                if cancelled.is_set():
                    raise ConnectionAbortedError("the caller was cancelled")
                digest.update(chunk)
                size += len(chunk)
            return StoredObject(size, digest.hexdigest(), response.headers.get("etag", "").strip('"'))
        finally:
            response.close()
            response.release_conn()

    async def _call(self, call: Callable[[], T], pool: ThreadPoolExecutor | None = None) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool or self._calls, call)
        except S3Error as e:
            if e.code in {"NoSuchKey", "NoSuchUpload", "ResourceNotFound"} or (
                e.code == "NotFound" and e.object_name
            ):
                raise NoSuchObject(e.object_name or "") from e
            if e.code == "PreconditionFailed":
                raise ObjectChanged(e.object_name or "") from e
            hint = NO_TAGS if e.code == "NotImplemented" and self._with_tags else ""
            raise StoreUnavailable(f"the object store answered {e.code}: {e.message}{hint}") from e
        except (MinioException, urllib3.exceptions.HTTPError) as e:
            raise StoreUnavailable(f"the object store cannot be used: {e}") from e


class _Incoming:
    """The asynchronous stream of an upload as the file that `minio` reads in the upload's thread.

    It counts and hashes the bytes that pass. While one part is sent to the store, the next one is received.
    """

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks = chunks
        self._loop = loop
        self._left = memoryview(b"")
        self._rest = b""
        self._ended = False
        self._closed = False
        self._next: Future[bytes] | None = None
        self.size = 0
        self.digest = hashlib.sha256()

    def close(self) -> None:
        """Receive no more: the upload has ended or was cancelled."""
        self._closed = True
        if self._next is not None:
            self._next.cancel()

    def read(self, wanted: int) -> bytes:
        """Return exactly `wanted` bytes, fewer only at the end."""
        piece = self._rest or self._following(wanted)
        while len(piece) < wanted and not self._ended:
            piece += self._following(wanted - len(piece))
        self._rest = piece[wanted:]
        return piece[:wanted]

    def _following(self, size: int) -> bytes:
        """Return the next bytes, at most `size` or a received part, and start to receive the next part."""
        if self._closed:
            raise ConnectionAbortedError("the upload was cancelled")
        try:
            piece = (self._next or self._start(size)).result()
        except CancelledError:
            raise ConnectionAbortedError("the upload was cancelled") from None
        if piece:
            self._next = self._start(PART)
            if self._closed:
                self._next.cancel()
        self._ended = not piece
        self.digest.update(piece)
        self.size += len(piece)
        return piece

    def _start(self, size: int) -> Future[bytes]:
        return asyncio.run_coroutine_threadsafe(self._receive(size), self._loop)

    async def _receive(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end.

        Raises TimeoutError after IDLE seconds of silence.
        """
        received = io.BytesIO()  # hands over its buffer without a copy
        while (room := size - received.tell()) > 0:
            if not self._left:
                async with asyncio.timeout(IDLE):
                    chunk = await anext(self._chunks, None)
                if chunk is None:
                    break
                self._left = memoryview(chunk)
            received.write(self._left[:room])
            self._left = self._left[room:]
        return received.getvalue()
