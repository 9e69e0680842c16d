"""Store artifacts in a folder of a local disk.

A file is written below `.new`, synced and renamed, so it is stored whole or not at all. Tags are files of
their own below `.tags`. No key can name a file below `.new`, below `.tags` or outside the folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import msgspec

from regista.wire.digests import NoDigest, check_path
from services.artifact.stores import (
    CHUNK,
    NoSuchObject,
    ObjectChanged,
    StoredObject,
    StoreFull,
    StoreUnavailable,
)
from shared.foundation.files import sync_folder

_FOLDERS = frozenset({"quarantine", "verified"})
_ABANDONED = 24 * 3600
"""Seconds after which a half-written file is deleted."""


class DiskStore:
    """All keys are paths below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.root = f"{self._root.as_uri()}/"
        self._new = self._root / ".new"
        self._tags = self._root / ".tags"

    async def close(self) -> None:
        """Do nothing: no file stays open."""

    async def check(self) -> None:
        """Create the folders, delete half-written files that a crash left, and write a small file."""
        try:
            await asyncio.to_thread(self._create_folders)
            await asyncio.to_thread(self._probe)
        except OSError as e:
            raise _unavailable(e) from e

    def _probe(self) -> None:
        with self._new_file() as (file, _):
            file.write(b"ready")
            file.flush()
            os.fsync(file.fileno())

    def uri(self, prefix: str) -> str:
        """Return `file:///…`."""
        return self._path(prefix).as_uri()

    async def put(self, key: str, chunks: AsyncIterable[bytes], tags: Mapping[str, str]) -> StoredObject:
        """Write to a new file, sync it, rename it."""
        target, digest, size = self._path(key), hashlib.sha256(), 0
        with _translated(), self._new_file() as (file, name):
            async for chunk in chunks:
                size += len(chunk)
                await asyncio.to_thread(_write, file, digest, chunk)
            etag = await asyncio.to_thread(self._finish, file, name, target)
            await self.tag(key, tags)
        return StoredObject(size, digest.hexdigest(), etag)

    async def read_and_hash(self, key: str) -> StoredObject:
        """Hash one inode: a file that is replaced meanwhile does not mix in.

        The thread ends when the caller is cancelled.
        """
        cancelled = threading.Event()
        try:
            with _translated():
                return await asyncio.to_thread(_hash, self._path(key), cancelled)
        finally:
            cancelled.set()

    async def copy(self, source: str, target: str, etag: str, tags: Mapping[str, str]) -> None:
        """Copy from the inode that was hashed."""
        with _translated():
            await asyncio.to_thread(self._copy, self._path(source), self._path(target), etag)
            await self.tag(target, tags)

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Yield pieces of CHUNK bytes."""
        with _translated():
            file = await asyncio.to_thread(_open, self._path(key))
            with file:
                file.seek(offset)
                left = length
                while left is None or left > 0:
                    chunk = await asyncio.to_thread(file.read, CHUNK if left is None else min(CHUNK, left))
                    if not chunk:
                        return
                    left = None if left is None else left - len(chunk)
                    yield chunk

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Write the tags to a file of their own."""
        with _translated():
            await asyncio.to_thread(self._tag, key, tags)

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags; {} when none were ever set."""
        with _translated():
            if not await asyncio.to_thread(self._path(key).is_file):
                raise NoSuchObject(key)
            with contextlib.suppress(FileNotFoundError):
                return msgspec.json.decode(self._tag_file(key).read_bytes(), type=dict[str, str])
            return {}

    async def keys(self, prefix: str) -> list[str]:
        """Walk the folder."""
        with _translated():
            return await asyncio.to_thread(self._keys, prefix)

    async def remove(self, keys: Sequence[str]) -> None:
        """Delete files, their tags, and the folders that become empty."""
        with _translated():
            for key in keys:
                await asyncio.to_thread(self._remove, key)

    def _path(self, key: str) -> Path:
        """Return the path of a key.

        Raises ValueError for a key that leads out of the folder, also by symbolic links.
        """
        try:
            check_path(key)
        except NoDigest as e:
            raise ValueError(f"not a key: {e}") from None
        path = self._root.joinpath(*key.split("/"))
        if key.split("/", maxsplit=1)[0] not in _FOLDERS or not path.resolve().is_relative_to(
            self._root.resolve()
        ):
            raise ValueError(f"not a key of this store: {key!r:.100}")
        return path

    def _create_folders(self) -> None:
        for folder in (self._new, self._tags, *(self._root / folder for folder in _FOLDERS)):
            folder.mkdir(parents=True, exist_ok=True)
        for left in self._new.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - _ABANDONED:
                    left.unlink()

    @contextlib.contextmanager
    def _new_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        self._new.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._new)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _finish(self, file: BinaryIO, name: Path, target: Path) -> str:
        file.flush()
        os.fsync(file.fileno())
        etag = _etag(file)
        made = _rename(name, target)
        for folder in {target.parent, *(new.parent for new in made)}:
            sync_folder(folder)
        return etag

    def _copy(self, source: Path, target: Path, etag: str) -> None:
        with _open(source) as origin, self._new_file() as (file, name):
            if _etag(origin) != etag:
                raise ObjectChanged(str(source))
            shutil.copyfileobj(origin, file, CHUNK)
            self._finish(file, name, target)

    def _tag_file(self, key: str) -> Path:
        """Return a name that is no folder of another key: no key holds a backslash.

        A suffix alone is not enough: the key `a` and the key `a.json/b` would collide.
        """
        return self._tags.joinpath(*key.split("/")).with_name(key.rpartition("/")[2] + "\\.json")

    def _tag(self, key: str, tags: Mapping[str, str]) -> None:
        if not self._path(key).is_file():
            return
        with self._new_file() as (file, name):
            file.write(msgspec.json.encode(dict(tags)))
            file.flush()
            _rename(name, self._tag_file(key))

    def _keys(self, prefix: str) -> list[str]:
        folder = self._path(prefix)
        return sorted(p.relative_to(self._root).as_posix() for p in folder.rglob("*") if p.is_file())

    def _remove(self, key: str) -> None:
        for path, top in ((self._path(key), self._root), (self._tag_file(key), self._tags)):
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if top in {folder, folder.parent}:
                    break
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    continue
                except OSError:
                    break


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if isinstance(e, FileNotFoundError | FileExistsError | IsADirectoryError | NotADirectoryError):
            raise NoSuchObject(str(e.filename)) from e
        raise _unavailable(e) from e


def _unavailable(error: OSError) -> StoreUnavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreFull(f"the artifact folder is full ({error.strerror}): free or add space")
    return StoreUnavailable(f"the artifact folder cannot be used: {error}")


def _open(path: Path) -> BufferedReader:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _etag(file: BinaryIO) -> str:
    found = os.fstat(file.fileno())
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def _hash(path: Path, cancelled: threading.Event) -> StoredObject:
    with _open(path) as file:
        etag, digest = _etag(file), hashlib.sha256()
        while (chunk := file.read(CHUNK)) and not cancelled.is_set():
            digest.update(chunk)
        return StoredObject(file.tell(), digest.hexdigest(), etag)


def _write(file: BinaryIO, digest: hashlib._Hash, chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


def _rename(name: Path, target: Path) -> list[Path]:
    """Rename in one step, over an existing file. Return the folders that were created."""
    while True:
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            name.replace(target)
        except FileNotFoundError:
            if not name.exists():
                raise
            continue  # another call deleted the empty folder between the two steps
        return made
