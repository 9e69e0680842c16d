"""How often verification reads the bytes, and what it notices when the store does not keep them."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from services.artifact.projections import VERIFY
from services.artifact.stored_bytes import CopyDiffers, Wrong, verify
from services.artifact.stores import ObjectStore, StoredObject
from tests.integration.artifact.conftest import digest_of, manifest, pieces, sum_of, without_etag

CONTENT = {"model.onnx": bytes(range(256)) * 4000, "config/labels.json": b"{}"}
SIZE = sum(len(data) for data in CONTENT.values())
OTHER = {**CONTENT, "config/labels.json": b"[]"}


class Counting:
    """A store that counts the bytes that are read from it and hashed."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self.read_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read_and_hash(self, key: str) -> StoredObject:
        found = await self._inner.read_and_hash(key)
        self.read_bytes += found.size
        return found


class Lying(Counting):
    """A store that copies other bytes than those with the etag, so many times."""

    def __init__(self, inner: ObjectStore, times: int) -> None:
        super().__init__(inner)
        self.left = times

    async def copy(self, source: str, target: str, etag: str, tags: Any) -> None:
        if self.left:
            self.left -= 1
            await self._inner.put(target, pieces(b"other bytes"), tags)
        else:
            await self._inner.copy(source, target, etag, tags)


class Failing(Counting):
    """A store that fails once one file is copied."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.copied = 0
        self._one_copied = asyncio.Event()

    async def copy(self, source: str, target: str, etag: str, tags: Any) -> None:
        self.copied += 1
        if self.copied > 1:
            await self._one_copied.wait()
            raise ConnectionError("the process ends here")
        await self._inner.copy(source, target, etag, tags)
        self._one_copied.set()


@pytest.fixture
def target() -> str:
    return f"verified/{digest_of(CONTENT)[7:]}/g{uuid.uuid4().int % 10**6}"


@pytest.fixture
def source() -> str:
    return f"quarantine/{uuid.uuid4()}"


async def put(store: ObjectStore, source: str, content: dict[str, bytes]) -> dict[str, StoredObject]:
    return {name: await store.put(f"{source}/{name}", pieces(data), {}) for name, data in content.items()}


async def is_stored(store: ObjectStore, target: str) -> bool:
    found = {name: without_etag(await store.read_and_hash(f"{target}/{name}")) for name in CONTENT}
    return found == {name: sum_of(data) for name, data in CONTENT.items()}


async def test_each_byte_that_was_hashed_on_its_way_in_is_read_once(store, source, target):
    received = await put(store, source, CONTENT)
    counting = Counting(store)
    assert await verify(counting, source, target, manifest(CONTENT), received) is None
    assert counting.read_bytes == SIZE
    assert await is_stored(store, target)


async def test_each_byte_that_came_another_way_is_read_twice(store, source, target):
    await put(store, source, CONTENT)
    counting = Counting(store)
    assert await verify(counting, source, target, manifest(CONTENT)) is None
    assert counting.read_bytes == 2 * SIZE


async def test_the_service_reads_each_uploaded_byte_once(open_replica, store):
    counting = Counting(store)
    replica = await open_replica(counting)
    upload = await replica.upload(CONTENT)
    await replica.register(CONTENT, upload)
    assert await replica.work(VERIFY) == ["ArtifactVerified", "ArtifactReleased"]
    assert counting.read_bytes == SIZE


async def test_a_file_replaced_after_it_was_received_is_found_wrong(store, source, target):
    received = await put(store, source, CONTENT)
    await put(store, source, OTHER)
    wrong = await verify(store, source, target, manifest(CONTENT), received)
    assert isinstance(wrong, Wrong)
    assert "differs from what was claimed" in wrong.detail
    assert not wrong.missing
    assert not any(sum_of(data)[1] in wrong.detail for data in OTHER.values())


async def test_a_file_replaced_by_the_same_bytes_is_read_and_accepted(store, source, target):
    received = await put(store, source, CONTENT)
    await put(store, source, OTHER)
    await put(store, source, CONTENT)
    assert await verify(store, source, target, manifest(CONTENT), received) is None
    assert await is_stored(store, target)


async def test_a_file_that_disappeared_after_it_was_received_is_found_missing(store, source, target):
    received = await put(store, source, CONTENT)
    await store.remove([f"{source}/model.onnx"])
    wrong = await verify(store, source, target, manifest(CONTENT), received)
    assert wrong == Wrong("model.onnx is not there.", missing=True)


async def test_a_copy_of_other_bytes_is_noticed_and_made_again(store, source, target):
    received = await put(store, source, CONTENT)
    assert await verify(Lying(store, 1), source, target, manifest(CONTENT), received) is None
    assert await is_stored(store, target)


async def test_a_store_that_always_copies_other_bytes_never_verifies(store, source, target):
    received = await put(store, source, CONTENT)
    with pytest.raises(CopyDiffers):
        await verify(Lying(store, 100), source, target, manifest(CONTENT), received)


async def test_an_etag_that_proves_nothing_is_not_believed(store, source, target):
    """The recorded hash is right and the etag is that of other bytes: the copy is read back."""
    await put(store, source, OTHER)
    there = {name: await store.read_and_hash(f"{source}/{name}") for name in OTHER}
    received = {n: StoredObject(*sum_of(data), there[n].etag) for n, data in CONTENT.items()}
    wrong = await verify(store, source, target, manifest(CONTENT), received)
    assert isinstance(wrong, Wrong)
    assert "differs from what was claimed" in wrong.detail
    assert not wrong.missing
    assert not any(sum_of(data)[1] in wrong.detail for data in OTHER.values())


async def test_copies_made_before_a_crash_are_kept(store, source, target):
    received = await put(store, source, CONTENT)
    with pytest.raises(ConnectionError):
        await verify(Failing(store), source, target, manifest(CONTENT), received)
    assert len(await store.keys(target)) == 1
    counting = Failing(store)
    assert await verify(counting, source, target, manifest(CONTENT), received) is None
    assert counting.copied == 1
    assert await is_stored(store, target)
