"""The object store on a disk of two gigabytes: it stores until the disk is full, and then reports it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.artifact.stores import StoreFull
from services.artifact.stores.disk import DiskStore
from services.artifact.stores.s3 import S3Store
from services.local import s3
from services.local.folders import InstanceFolder, free_space
from shared.foundation.s3 import S3Server

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PIECE = os.urandom(8 * 1024 * 1024)
BYTES = 2 * 1024**3


@contextlib.contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of its own, in memory. Skips where the user may not mount one."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[s3.S3]:
    with disk(tmp_path / "small", BYTES) as small:
        folder = InstanceFolder(small / "instance")
        made = s3.S3(folder)
        made.ports = folder.ports(s3.PORTS)
        made.prepare()
        child = made.launch()
        try:
            made.await_ready()
            yield made
        finally:
            child.kill()
            child.popen.wait()


async def pieces(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield PIECE


def store_of(server: s3.S3, identity: str, bucket: str) -> S3Store:
    return S3Store(S3Server(server.endpoint, identity, server.folder.secret(f"s3-{identity}")), bucket)


async def test_it_stores_until_the_disk_is_full_and_then_names_the_reason(server: s3.S3) -> None:
    artifacts = store_of(server, "artifact", s3.BUCKET)
    exported = store_of(server, "audit", s3.HISTORY)
    await exported.put("history/one", pieces(1), {})
    stored: list[str] = []

    async def fill() -> None:
        for number in range(300):
            await artifacts.put(f"quarantine/{number}", pieces(1), {})
            stored.append(f"quarantine/{number}")

    with pytest.raises(StoreFull, match=r"it answers and stores nothing .* free or add space"):
        await fill()
    assert len(stored) * len(PIECE) > 0.8 * BYTES
    assert free_space(server.folder.directory) < 0.1 * BYTES
    with pytest.raises(StoreFull):
        await artifacts.check()
    assert (await artifacts.read_and_hash("quarantine/0")).size == len(PIECE)


async def test_a_full_folder_names_the_reason_until_there_is_room(tmp_path: Path) -> None:
    with disk(tmp_path / "small", 64 * 1024**2) as small:
        store = DiskStore(small / "artifacts")
        await store.check()
        await store.put("quarantine/a", pieces(4), {})
        filled = small / "filled"
        with filled.open("wb", buffering=0) as rest, contextlib.suppress(OSError):
            while rest.write(PIECE[:4096]):
                pass
        with pytest.raises(StoreFull, match="is full"):
            await store.put("quarantine/b", pieces(1), {})
        with pytest.raises(StoreFull, match="is full"):
            await store.check()
        filled.unlink()
        await store.check()
