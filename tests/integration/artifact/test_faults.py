"""Processes that die, servers that stop, and work that two replicas do, on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from regista.wire.digests import FileEntry, manifest_digest
from services.artifact.projections import DELETE, VERIFY
from services.artifact.service import SERVICE
from services.artifact.stored_bytes import CopyDiffers, verify
from services.artifact.stores import ObjectChanged, StoreUnavailable
from services.artifact.stores.azure import AzureStore
from services.artifact.stores.disk import DiskStore
from services.artifact.stores.s3 import S3Store
from services.local.azurite import CONTAINER
from shared.foundation.s3 import S3Server
from shared.log import projector
from tests.integration.artifact.conftest import digest_of, manifest, pieces, sum_of, without_etag
from tests.integration.artifact.copier import Job

pytestmark = pytest.mark.servers
MIB = 1024 * 1024


async def until(true: Callable[[], Awaitable[Any]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await true():
                return
            await asyncio.sleep(0.02)


def settings_of(store, stack) -> dict[str, str]:
    if isinstance(store, DiskStore):
        return {"artifact_dir": str(store._root)}
    if isinstance(store, AzureStore):
        return {"azure_connection_string": store._connection_string, "azure_container": CONTAINER}
    return {
        "s3_endpoint": stack.s3.endpoint,
        "s3_access_key": "artifact",
        "s3_secret_key": stack.folder.secret("s3-artifact"),
    }


async def test_a_copy_killed_in_the_middle_is_resumed_and_not_begun_again(store, stack):
    content = {f"part-{n:03}": uuid.uuid4().bytes * 4096 for n in range(150)}
    source, target = f"quarantine/{uuid.uuid4()}", f"verified/{digest_of(content)[7:]}/g1"
    for name, data in content.items():
        await store.put(f"{source}/{name}", pieces(data), {})
    job = Job(settings_of(store, stack), source, target, tuple(manifest(content)))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.artifact.copier",
        msgspec.json.encode(job).decode(),
        stdout=asyncio.subprocess.PIPE,
    )

    async def some_copied() -> bool:
        return len(await store.keys(target)) >= 5

    await until(some_copied)
    child.kill()
    await child.communicate()
    copied = await store.keys(target)
    assert 5 <= len(copied) < len(content)
    marks = {key: (await store.read_and_hash(key)).etag for key in copied}
    assert await verify(store, source, target, job.files) is None
    for name, data in content.items():
        assert without_etag(await store.read_and_hash(f"{target}/{name}")) == sum_of(data)
    if isinstance(store, DiskStore):  # the mark of a file on disk changes with every copy
        assert {key: (await store.read_and_hash(key)).etag for key in copied} == marks


async def test_something_wrong_left_at_the_target_is_replaced(store):
    content = {"a": b"right", "b": b"also right"}
    source, target = (
        f"quarantine/{uuid.uuid4()}",
        f"verified/{digest_of(content)[7:]}/g{uuid.uuid4().int % 10**6}",
    )
    for name, data in content.items():
        await store.put(f"{source}/{name}", pieces(data), {})
    await store.put(f"{target}/a", pieces(b"wrong"), {})
    assert await verify(store, source, target, manifest(content)) is None
    assert without_etag(await store.read_and_hash(f"{target}/a")) == sum_of(b"right")


class Swapping:
    """A store whose upload is exchanged by its owner between hashing and copying."""

    def __init__(self, inner) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def copy(self, source, target, etag, tags) -> None:
        await self._inner.put(source, pieces(b"evil"), {})
        await self._inner.copy(source, target, etag, tags)


async def test_an_upload_exchanged_between_hashing_and_copying_is_not_copied(store):
    content = {"model.onnx": b"good"}
    source, target = (
        f"quarantine/{uuid.uuid4()}",
        f"verified/{digest_of(content)[7:]}/g{uuid.uuid4().int % 10**6}",
    )
    await store.put(f"{source}/model.onnx", pieces(b"good"), {})
    with pytest.raises(ObjectChanged):
        await verify(Swapping(store), source, target, manifest(content))
    assert await store.keys(target) == []


class Full:
    """A store whose disk is full: it acknowledges copies, and keeps nothing or half of them."""

    def __init__(self, inner: Any, *, half: bool) -> None:
        self._inner, self._half, self.full = inner, half, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def copy(self, source: str, target: str, etag: str, tags: Any) -> None:
        if not self.full:
            await self._inner.copy(source, target, etag, tags)
        elif self._half:
            await self._inner.put(target, pieces(b"half"), tags)


@pytest.mark.parametrize("half", [False, True])
async def test_bytes_that_a_full_store_did_not_keep_are_never_released(open_replica, store, half):
    """Once a released artifact was reported whose bytes were gone after the store's disk was full."""
    full = Full(store, half=half)
    replica = await open_replica(full)
    content = {"model.onnx": uuid.uuid4().bytes * 1000}
    digest, upload = digest_of(content), await replica.upload(content)
    await replica.register(content, upload)
    for _ in range(2):
        with pytest.raises(CopyDiffers):
            await replica.work(VERIFY)
        assert "ArtifactReleased" not in await replica.events(digest)
    full.full = False
    assert "ArtifactReleased" in await replica.work(VERIFY)
    found = await store.read_and_hash(f"verified/{digest[7:]}/g1/model.onnx")
    assert without_etag(found) == sum_of(content["model.onnx"])


async def test_a_rebuild_in_the_middle_of_a_verification_leaves_the_right_bytes(open_replica, store):
    """Once a released artifact was reported whose bytes did not hash, while rebuilds were killed."""
    one, other = await open_replica(store), await open_replica(store)
    contents = [{"model.onnx": uuid.uuid4().bytes * 50_000} for _ in range(4)]
    for number, content in enumerate(contents, 1):
        await one.register(content, await one.upload(content), number)

    async def killed_rebuild(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await projector.rebuild(SERVICE, one.app.pool)

    await asyncio.gather(
        one.work(VERIFY), other.work(VERIFY), *(killed_rebuild(0.02 * n) for n in range(1, 5))
    )
    await projector.rebuild(SERVICE, one.app.pool)
    await one.work(VERIFY)
    for content in contents:
        digest = digest_of(content)
        assert "ArtifactReleased" in await one.events(digest)
        generation = await one.app.pool.fetchval("SELECT verified FROM artifacts WHERE hex = $1", digest[7:])
        found = await store.read_and_hash(f"verified/{digest[7:]}/g{generation}/model.onnx")
        assert without_etag(found) == sum_of(content["model.onnx"])


async def test_two_workers_that_handle_the_same_row_verify_it_once(open_replica, store):
    one, other = await open_replica(store), await open_replica(store)
    content = {"model.onnx": uuid.uuid4().bytes * 100_000, "labels": b"x"}
    await one.register(content, await one.upload(content))
    (row,) = await one.due(VERIFY)
    await asyncio.gather(*(replica.work(VERIFY, row) for replica in (one, other, one, other)))
    assert (await one.events(digest_of(content))) == [
        "Noted",
        "ArtifactReceived",
        "ArtifactVerified",
        "ArtifactReleased",
    ]


async def test_two_processes_share_the_work_and_lose_none(open_replica, store):
    replicas = [await open_replica(store), await open_replica(store)]
    contents = [{"model.onnx": uuid.uuid4().bytes * 1000} for _ in range(20)]
    async with asyncio.TaskGroup() as group:
        tasks = [task for replica in replicas for task in await replica.runners(group)]
        for number, content in enumerate(contents, 1):
            await replicas[0].register(content, await replicas[0].upload(content), number)

        async def all_released() -> bool:
            return await replicas[0].app.pool.fetchval(
                "SELECT count(*) FROM artifact_references WHERE status = 'available'"
            ) == len(contents)

        await until(all_released)
        for number, content in enumerate(contents, 1):
            await replicas[0].receive(
                "VersionRetired",
                model_id="m1",
                number=number,
                artifact_digest=digest_of(content),
                rule="unused",
            )

        async def all_gone() -> bool:
            return (
                await replicas[0].app.pool.fetchval("SELECT count(*) FROM due WHERE kind = $1", DELETE) == 0
            )

        await until(all_gone)
        for task in tasks:
            task.cancel()
    for content in contents:
        assert await replicas[0].state(digest_of(content)) == "Deleted"
        assert await store.keys(f"verified/{digest_of(content)[7:]}") == []
        events = await replicas[0].events(digest_of(content))
        assert events == [
            "Noted",
            "ArtifactReceived",
            "ArtifactVerified",
            "ArtifactReleased",
            "Noted",
            "ArtifactExpired",
            "ExpiryTagged",
            "ArtifactDeleted",
        ]


@contextlib.asynccontextmanager
async def forwarder(port: int, target: str) -> AsyncIterator[None]:
    """Passes a port on to another: the network that comes and goes."""

    writers: list[asyncio.StreamWriter] = []
    under_way: set[asyncio.Task[Any]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        host, _, there = target.partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(there))
        writers.extend((writer, far_writer))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.gather(*under_way, return_exceptions=True)


async def test_while_the_store_is_unreachable_work_waits_and_then_resumes_by_itself(open_replica, stack):
    real = S3Store(S3Server(stack.s3.endpoint, "artifact", stack.folder.secret("s3-artifact")), "regista")
    content = {"model.onnx": uuid.uuid4().bytes * 1000}
    upload = await (await open_replica(real)).upload(content)
    probe = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    unreachable = S3Store(
        S3Server(f"127.0.0.1:{port}", "artifact", stack.folder.secret("s3-artifact")), "regista"
    )
    replica = await open_replica(unreachable)
    with pytest.raises(StoreUnavailable):
        await unreachable.check()
    async with asyncio.TaskGroup() as group:
        tasks = await replica.runners(group)
        await replica.register(content, upload)

        async def failed() -> Any:
            return await replica.app.pool.fetchval(
                "SELECT last_error FROM due_leases WHERE last_error LIKE '%cannot be used%'"
            )

        await until(failed)
        assert await replica.status(digest_of(content)) == {("m1", 1): "received"}
        async with forwarder(port, stack.s3.endpoint):

            async def released() -> bool:
                return (await replica.status(digest_of(content)))["m1", 1] == "available"

            await until(released, 40)
            for task in tasks:
                task.cancel()


@pytest.mark.slow
async def test_a_hundred_megabytes_are_verified_in_bounded_memory(replica):
    size, piece = 100 * MIB, uuid.uuid4().bytes * (MIB // 16)

    async def large() -> AsyncIterator[bytes]:
        for _ in range(size // MIB):
            yield piece

    upload = await replica.upload({})
    put = await replica.store.put(f"quarantine/{upload}/large.bin", large(), {})
    entry = {"path": "large.bin", "size": put.size, "sha256": put.sha256}
    digest = manifest_digest([FileEntry(**entry)])
    await replica.receive(
        "VersionRegistered",
        model_id="m1",
        number=1,
        artifact={"digest": digest, "files": [entry], "location": upload},
        requester_subject="anna",
    )
    tracemalloc.start()
    try:
        assert await replica.work(VERIFY) == ["ArtifactVerified", "ArtifactReleased"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * MIB
    await replica.store.remove(
        [
            *await replica.store.keys(f"quarantine/{upload}"),
            *await replica.store.keys(f"verified/{digest[7:]}"),
        ]
    )
