"""What both stores promise, on a real folder and a real S3 server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import tracemalloc

import pytest

from services.artifact.stores import NoSuchObject, ObjectChanged, StoredObject, StoreUnavailable, s3
from services.artifact.stores.azure import AzureStore
from services.artifact.stores.disk import DiskStore
from services.artifact.stores.s3 import S3Store
from shared.foundation.s3 import S3Server
from tests.integration.artifact.conftest import pieces, s3_store, sum_of, whole, without_etag

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * 9000  # 2.3 MB, more than one piece


async def test_written_bytes_are_hashed_and_read_back_unchanged(store, folder):
    put = await store.put(f"{folder}/deep/er/model.onnx", pieces(CONTENT[:7], b"", CONTENT[7:]), {})
    assert without_etag(put) == sum_of(CONTENT)
    assert await store.read_and_hash(f"{folder}/deep/er/model.onnx") == put
    assert await whole(store.read(f"{folder}/deep/er/model.onnx")) == CONTENT
    assert await whole(store.read(f"{folder}/deep/er/model.onnx", 1000, 2_000_000)) == CONTENT[1000:2_001_000]
    assert await whole(store.read(f"{folder}/deep/er/model.onnx", 1000)) == CONTENT[1000:]


async def test_an_empty_file_is_a_file(store, folder):
    put = await store.put(f"{folder}/empty", pieces(), {})
    assert without_etag(put) == sum_of(b"") == without_etag(await store.read_and_hash(f"{folder}/empty"))
    assert await whole(store.read(f"{folder}/empty")) == b""


async def test_a_stream_that_breaks_leaves_what_was_there(store, folder):
    async def broken():
        yield CONTENT
        raise ConnectionAbortedError("the sender closed the connection")

    await store.put(f"{folder}/a", pieces(b"before"), {})
    with pytest.raises((ConnectionAbortedError, StoreUnavailable)):
        await store.put(f"{folder}/a", broken(), {})
    assert await whole(store.read(f"{folder}/a")) == b"before"
    assert await store.keys(folder) == [f"{folder}/a"]


async def test_a_second_put_replaces_the_first_and_its_mark(store, folder):
    first = await store.put(f"{folder}/a", pieces(b"one"), {})
    second = await store.put(f"{folder}/a", pieces(b"two"), {})
    assert first.etag != second.etag
    assert await whole(store.read(f"{folder}/a")) == b"two"


async def test_a_copy_takes_exactly_what_was_hashed_and_its_own_tags(store, folder):
    put = await store.put(f"{folder}/a", pieces(CONTENT), {"regista-state": "quarantine"})
    await store.copy(f"{folder}/a", f"{folder}/b", put.etag, {"regista-state": "verified"})
    assert without_etag(await store.read_and_hash(f"{folder}/b")) == sum_of(CONTENT)
    assert await store.tags(f"{folder}/b") == {"regista-state": "verified"}
    assert await store.tags(f"{folder}/a") == {"regista-state": "quarantine"}


async def test_no_name_of_a_file_stands_in_the_way_of_anothers_tags(store, folder):
    for name in ("a", "a.json/b", "a.json/b.json/c"):
        await store.put(f"{folder}/{name}", pieces(b"x"), {"regista-state": "quarantine"})
    assert [await store.tags(key) for key in await store.keys(folder)] == [
        {"regista-state": "quarantine"}
    ] * 3


async def test_a_source_changed_since_it_was_hashed_is_not_copied(store, folder):
    put = await store.put(f"{folder}/a", pieces(b"good"), {})
    await store.put(f"{folder}/a", pieces(b"evil"), {})
    with pytest.raises(ObjectChanged):
        await store.copy(f"{folder}/a", f"{folder}/b", put.etag, {})
    assert await store.keys(f"{folder}/b") == []


@pytest.fixture
def parts_of_5_mib(monkeypatch):
    """The least that S3 takes for a part."""
    monkeypatch.setattr(s3, "COPY_PART", 5 * MIB)


@pytest.mark.parametrize("size", [5 * MIB, 5 * MIB + 1, 10 * MIB, 12 * MIB])
async def test_a_file_larger_than_a_part_is_copied_in_parts_and_is_the_same(
    stack, folder, parts_of_5_mib, size
):
    store, content = s3_store(stack), os.urandom(size)
    put = await store.put(f"{folder}/a", pieces(content), {"regista-state": "quarantine"})
    await store.copy(f"{folder}/a", f"{folder}/b", put.etag, {"regista-state": "verified"})
    copied = await store.read_and_hash(f"{folder}/b")
    assert without_etag(copied) == sum_of(content)
    assert copied.etag.endswith(f"-{-(-size // (5 * MIB))}") is (size > 5 * MIB), copied.etag
    assert await store.tags(f"{folder}/b") == {"regista-state": "verified"}


@pytest.mark.parametrize("after", [5 * MIB + 1, 11 * MIB, 12 * MIB, 13 * MIB])
async def test_a_file_that_changes_while_its_parts_are_copied_is_not_copied(
    stack, folder, parts_of_5_mib, monkeypatch, after
):
    store = s3_store(stack)
    put = await store.put(f"{folder}/a", pieces(bytes(12 * MIB)), {})
    copier, here = store._copier, asyncio.get_running_loop()
    begin = copier._create_multipart_upload

    def exchanged_meanwhile(*arguments):
        upload = begin(*arguments)
        asyncio.run_coroutine_threadsafe(store.put(f"{folder}/a", pieces(b"x" * after), {}), here).result(30)
        return upload

    monkeypatch.setattr(copier, "_create_multipart_upload", exchanged_meanwhile)
    with pytest.raises(ObjectChanged):
        await store.copy(f"{folder}/a", f"{folder}/b", put.etag, {})
    assert await store.keys(folder) == [f"{folder}/a"]


async def test_a_file_that_became_shorter_before_its_parts_are_copied_is_not_copied(
    stack, folder, parts_of_5_mib, monkeypatch
):
    store = s3_store(stack)
    put = await store.put(f"{folder}/a", pieces(bytes(12 * MIB)), {})
    compose, here = store._copier.compose_object, asyncio.get_running_loop()

    def exchanged_before(*arguments, **more):
        asyncio.run_coroutine_threadsafe(store.put(f"{folder}/a", pieces(b"x" * 6 * MIB), {}), here).result(
            30
        )
        return compose(*arguments, **more)

    monkeypatch.setattr(store._copier, "compose_object", exchanged_before)
    with pytest.raises(ObjectChanged):
        await store.copy(f"{folder}/a", f"{folder}/b", put.etag, {})


async def test_a_folder_lists_its_own_keys_only(store, folder):
    for name in ("g1/a", "g1/sub/b", "g10/a"):
        await store.put(f"{folder}/{name}", pieces(b"x"), {})
    assert await store.keys(f"{folder}/g1") == [f"{folder}/g1/a", f"{folder}/g1/sub/b"]
    assert await store.keys(f"{folder}/nothing") == []


async def test_removing_twice_is_removing_once(store, folder):
    await store.put(f"{folder}/g1/a", pieces(b"x"), {})
    await store.put(f"{folder}/g2/a", pieces(b"y"), {})
    for _ in range(2):
        await store.remove([f"{folder}/g1/a", f"{folder}/g1/never-there"])
    assert await store.keys(folder) == [f"{folder}/g2/a"]


async def test_a_missing_object_is_reported_as_absent(store, folder):
    for call in (
        lambda: store.read_and_hash(f"{folder}/x"),
        lambda: whole(store.read(f"{folder}/x")),
        lambda: store.tags(f"{folder}/x"),
        lambda: store.copy(f"{folder}/x", f"{folder}/y", "mark", {}),
    ):
        with pytest.raises(NoSuchObject):
            await call()
    await store.tag(f"{folder}/x", {"a": "b"})


async def test_tags_are_replaced(store, folder):
    await store.put(f"{folder}/a", pieces(b"x"), {"regista-state": "verified"})
    await store.tag(
        f"{folder}/a", {"regista-state": "expired", "regista-delete-at": "2026-11-23T01:00:00+00:00"}
    )
    assert await store.tags(f"{folder}/a") == {
        "regista-state": "expired",
        "regista-delete-at": "2026-11-23T01:00:00+00:00",
    }


async def test_names_of_all_kinds_survive(store, folder):
    for name in ("with space", "ü/ñ", "a+b=c&d", "100%", "#1?x"):
        await store.put(f"{folder}/{name}", pieces(name.encode()), {})
        assert await whole(store.read(f"{folder}/{name}")) == name.encode()
    assert len(await store.keys(folder)) == 5


async def test_concurrent_writers_of_one_key_leave_one_of_their_contents(store, folder):
    """Azure keeps the first and lets the others repeat; the other stores keep the last."""
    contents = [bytes([n]) * 3 * MIB for n in range(4)]
    puts = (store.put(f"{folder}/a", pieces(c[:MIB], c[MIB:]), {}) for c in contents)
    ends = await asyncio.gather(*puts, return_exceptions=True)
    stored = [c for c, end in zip(contents, ends, strict=True) if isinstance(end, StoredObject)]
    assert await whole(store.read(f"{folder}/a")) in stored
    refused = [str(end) for end in ends if isinstance(end, StoreUnavailable)]
    assert len(stored) + len(refused) == 4
    assert all("repeat it" in one for one in refused) if isinstance(store, AzureStore) else not refused


@pytest.mark.slow
async def test_a_hundred_megabytes_pass_in_bounded_memory(store, folder):
    digest = hashlib.sha256()

    async def large():
        for _ in range(1600):
            piece = os.urandom(64 * 1024)
            digest.update(piece)
            yield piece

    tracemalloc.start()
    try:
        put = await store.put(f"{folder}/large", large(), {})
        await store.copy(f"{folder}/large", f"{folder}/copy", put.etag, {})
        found = await store.read_and_hash(f"{folder}/copy")
        size = sum([len(piece) async for piece in store.read(f"{folder}/copy")])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await store.remove([f"{folder}/large", f"{folder}/copy"])
    assert put.sha256 == found.sha256 == digest.hexdigest()
    assert put.size == size == 100 * MIB
    assert peak < 48 * MIB


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "quarantine/../../x",
        "/etc/passwd",
        "elsewhere/x",
        "quarantine/a\x00b",
        ".tags/x",
        "quarantine",
        "",
    ],
)
async def test_no_key_leads_out_of_the_folder(tmp_path, key):
    store = DiskStore(tmp_path / "artifacts")
    await store.check()
    with pytest.raises((ValueError, NoSuchObject, StoreUnavailable)):
        await store.put(key, pieces(b"x"), {})
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


async def test_a_symbolic_link_in_the_folder_leads_nowhere(tmp_path):
    store = DiskStore(tmp_path / "artifacts")
    await store.check()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("s")
    (tmp_path / "artifacts" / "quarantine" / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="not a key"):
        await store.read_and_hash("quarantine/out/key")


async def test_a_half_written_file_of_a_crash_is_deleted(tmp_path):
    store = DiskStore(tmp_path / "artifacts")
    await store.check()
    left = tmp_path / "artifacts" / ".new" / "left"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    await store.check()
    assert not left.exists()


async def test_a_folder_that_cannot_be_used_is_an_absent_store(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        await DiskStore(tmp_path / "file").check()


async def test_an_unreachable_server_is_an_absent_store():
    store = S3Store(S3Server("127.0.0.1:9", "a", "b"), "regista")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        await store.check()


async def test_a_missing_bucket_and_a_wrong_key_say_what_to_correct(stack):
    with pytest.raises(StoreUnavailable, match=r"AccessDenied|bucket"):
        await S3Store(
            S3Server(stack.s3.endpoint, "artifact", stack.folder.secret("s3-artifact")), "no-such-bucket"
        ).check()
    with pytest.raises(StoreUnavailable, match=r"SignatureDoesNotMatch|AccessDenied"):
        await S3Store(S3Server(stack.s3.endpoint, "artifact", "wrong"), "regista").check()


async def test_while_everything_hashes_the_store_still_answers_and_reads(stack, folder):
    store = S3Store(
        S3Server(stack.s3.endpoint, "artifact", stack.folder.secret("s3-artifact")), "regista", connections=2
    )
    await store.put(f"{folder}/a", pieces(CONTENT), {})
    enough = threading.Event()
    busy = [store._hashing.submit(enough.wait) for _ in range(8)]
    try:
        async with asyncio.timeout(20):
            await store.check()
            assert await whole(store.read(f"{folder}/a")) == CONTENT
        assert not any(b.done() for b in busy)
    finally:
        enough.set()


async def test_an_upload_that_falls_silent_is_given_up(stack, folder, monkeypatch):
    async def silent():
        yield b"x"
        await asyncio.Event().wait()

    monkeypatch.setattr(s3, "IDLE", 1)
    store = S3Store(S3Server(stack.s3.endpoint, "artifact", stack.folder.secret("s3-artifact")), "regista")
    with pytest.raises(TimeoutError):
        await store.put(f"{folder}/a", silent(), {})
    assert await store.keys(folder) == []
