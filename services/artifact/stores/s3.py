"""Artifacts in an S3 bucket, by `minio`: a synchronous client, so each call runs in a thread of this module's own pools.

Uploads have a pool of their own, so have hashing and copying: neither slow senders nor a verification keeps
downloads and readiness waiting.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar, cast

import urllib3
from minio.commonconfig import REPLACE, ComposeSource, CopySource, Tags
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from services.artifact.stores import CHUNK, NoSuchObject, ObjectChanged, StoreAway, Sum
from shared.foundation.s3 import client

PART = 8 * 1024 * 1024
"""Bytes of one part of an upload: what is in memory for each upload under way, about twice."""

MOST = 10_000 * PART
"""Bytes of the largest file: S3 takes so many parts."""

COPY_PART = 512 * 1024 * 1024
"""Bytes that the server copies in one request.

A larger file is copied in parts: S3 copies at most 5 GiB at once, and answers when that is done.
"""

COPYING = 600.0
"""Seconds that the server may take for one request of a copy: at a slow 1 MB/s for a whole part."""

IDLE = 60.0
"""Seconds that an upload may be silent."""

T = TypeVar("T")


class S3Store:
    """One bucket.

    `connections` bounds what runs at once: so many short calls, so many uploads, half as many hashes.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        *,
        region: str = "us-east-1",
        secure: bool = False,
        connections: int = 16,
    ) -> None:
        self.bucket = bucket
        self._client = client(
            endpoint, access_key, secret_key, secure=secure, region=region, connections=2 * connections
        )
        self._copier = client(
            endpoint,
            access_key,
            secret_key,
            secure=secure,
            region=region,
            connections=connections,
            read=COPYING,
            retries=0,
        )
        self._calls = ThreadPoolExecutor(connections, "s3-call")
        self._hashing = ThreadPoolExecutor(max(1, connections // 2), "s3-hash")
        self._uploads = ThreadPoolExecutor(connections, "s3-upload")

    async def check(self) -> None:
        """The bucket is there and we may list it."""
        if not await self._call(lambda: self._client.bucket_exists(self.bucket)):
            raise StoreAway(
                f"the bucket {self.bucket!r} does not exist: create it, or correct REGISTA_S3_BUCKET"
            )

    def uri(self, prefix: str) -> str:
        """`s3://bucket/…`."""
        return f"s3://{self.bucket}/{prefix}"

    async def put(self, key: str, chunks: AsyncIterable[bytes], tags: Mapping[str, str]) -> Sum:
        """A multipart upload, completed only when the stream ended well."""
        incoming = _Incoming(aiter(chunks), asyncio.get_running_loop())

        def upload() -> Sum:
            written = self._client.put_object(
                self.bucket,
                key,
                cast("BinaryIO", incoming),
                -1,
                part_size=PART,
                num_parallel_uploads=1,
                tags=_tags(tags),
            )
            return Sum(incoming.size, incoming.digest.hexdigest(), written.etag or "")

        try:
            return await self._call(upload, self._uploads)
        finally:
            incoming.closed = True

    async def sum(self, key: str) -> Sum:
        """Streams it through SHA-256, in a thread that ends when nobody waits for it any more."""
        given_up = threading.Event()
        try:
            return await self._call(lambda: self._sum(key, given_up), self._hashing)
        finally:
            given_up.set()

    async def copy(self, source: str, target: str, mark: str, tags: Mapping[str, str]) -> None:
        """Server-side, on the condition that the source still has the ETag `mark`, which is asked for with each part. Tags are replaced: an upload's must not come along."""
        await self._call(lambda: self._copy(source, target, mark, _tags(tags)), self._hashing)

    def _copy(self, source: str, target: str, mark: str, tags: Tags | None) -> None:
        found = self._client.stat_object(self.bucket, source)
        if (size := found.size or 0) <= COPY_PART:
            origin = CopySource(self.bucket, source, match_etag=mark)
            self._copier.copy_object(self.bucket, target, origin, tags=tags, tagging_directive=REPLACE)
            return
        parts = [
            ComposeSource(
                self.bucket, source, offset=first, length=min(COPY_PART, size - first), match_etag=mark
            )
            for first in range(0, size, COPY_PART)
        ]
        try:
            self._copier.compose_object(self.bucket, target, parts, tags=tags)
        except ValueError as shorter:  # `minio` looks at the source itself, before the server compares ETags
            raise ObjectChanged(source) from shorter

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """In pieces of CHUNK bytes."""
        if length == 0:
            return
        response = await self._call(lambda: self._client.get_object(self.bucket, key, offset, length or 0))
        try:
            while chunk := await self._call(lambda: response.read(CHUNK)):
                yield chunk
        finally:
            response.close()
            response.release_conn()

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replaces the object's tags."""
        try:
            await self._call(
                lambda: self._client.set_object_tags(self.bucket, key, cast("Tags", _tags(tags)))
            )
        except NoSuchObject:
            return

    async def tags(self, key: str) -> dict[str, str]:
        """The object's tags."""
        return dict(await self._call(lambda: self._client.get_object_tags(self.bucket, key)) or {})

    async def keys(self, prefix: str) -> list[str]:
        """Lists the prefix with a closing slash, so that g1 is not taken for g10."""
        return sorted(
            await self._call(
                lambda: [
                    str(o.object_name)
                    for o in self._client.list_objects(self.bucket, f"{prefix}/", recursive=True)
                ]
            )
        )

    async def remove(self, keys: Sequence[str]) -> None:
        """A thousand keys a request."""
        failed = await self._call(
            lambda: list(self._client.remove_objects(self.bucket, [DeleteObject(key) for key in keys]))
        )
        if failed:
            raise StoreAway(
                f"{len(failed)} of {len(keys)} objects could not be deleted: {failed[0].code} {failed[0].message}"
            )

    def _sum(self, key: str, given_up: threading.Event) -> Sum:
        response = self._client.get_object(self.bucket, key)
        try:
            digest, size = hashlib.sha256(), 0
            for chunk in response.stream(CHUNK):
                if given_up.is_set():
                    raise ConnectionAbortedError("nobody waits for this hash any more")
                digest.update(chunk)
                size += len(chunk)
            return Sum(size, digest.hexdigest(), response.headers.get("etag", "").strip('"'))
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
            raise StoreAway(f"the object store answered {e.code}: {e.message}") from e
        except (MinioException, urllib3.exceptions.HTTPError) as e:
            raise StoreAway(f"the object store cannot be used: {e}") from e


class _Incoming:
    """An asynchronous stream as the file that `minio` reads, in the upload's thread; sizes and hashes what passes."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks = chunks
        self._loop = loop
        self._rest = b""
        self._ended = False
        self.closed = False
        self.size = 0
        self.digest = hashlib.sha256()

    def read(self, wanted: int) -> bytes:
        """Exactly so many bytes, fewer only at the end (`minio` joins shorter pieces in quadratic time)."""
        parts, have = [self._rest], len(self._rest)
        while have < wanted and not self._ended:
            chunk = self._next()
            self._ended = chunk is None
            if chunk:
                self.digest.update(chunk)
                self.size += len(chunk)
                parts.append(chunk)
                have += len(chunk)
        whole = b"".join(parts)
        self._rest = whole[wanted:]
        return whole[:wanted]

    def _next(self) -> bytes | None:
        if self.closed:
            raise ConnectionAbortedError("the upload was given up")
        waiting = asyncio.run_coroutine_threadsafe(_following(self._chunks), self._loop)
        for _ in range(int(IDLE)):
            try:
                return waiting.result(1)
            except TimeoutError:
                if waiting.done():
                    raise
                if self.closed:
                    break
        waiting.cancel()
        raise TimeoutError("the upload fell silent or was given up")


async def _following(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


def _tags(tags: Mapping[str, str]) -> Tags | None:
    if not tags:
        return None
    found = Tags.new_object_tags()
    found.update(tags)
    return found
