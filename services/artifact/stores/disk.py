"""Artifacts on a local disk: whole or not at all (written aside, synced, renamed), and never outside the folder.

Tags lie in files of their own below `.tags`; what is being written lies below `.new`. Neither can be named by
a key.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from services.artifact.stores import CHUNK, NoSuchObject, ObjectChanged, StoreAway, Sum
from shared.foundation.files import sync_folder

_ROOMS = frozenset({"quarantine", "verified"})
_FORGOTTEN = 24 * 3600
"""Seconds after which something half-written belongs to nobody any more."""


class DiskStore:
    """All keys live below `root`."""

    def __init__(self, root: Path) -> None:
        self.bucket = ""
        self._root = root.absolute()
        self._new = self._root / ".new"
        self._tags = self._root / ".tags"

    async def check(self) -> None:
        """Makes the folders and sweeps out what a crash left half-written."""
        try:
            await asyncio.to_thread(self._prepare)
        except OSError as e:
            raise StoreAway(f"the artifact folder cannot be used: {e}") from e

    def uri(self, prefix: str) -> str:
        """`file:///…`."""
        return self._path(prefix).as_uri()

    async def put(self, key: str, chunks: AsyncIterable[bytes], tags: Mapping[str, str]) -> Sum:
        """Writes aside, syncs, renames."""
        target, digest, size = self._path(key), hashlib.sha256(), 0
        with _translated(), self._aside() as (file, name):
            async for chunk in chunks:
                size += len(chunk)
                await asyncio.to_thread(_write, file, digest, chunk)
            mark = await asyncio.to_thread(self._settle, file, name, target)
            await self.tag(key, tags)
        return Sum(size, digest.hexdigest(), mark)

    async def sum(self, key: str) -> Sum:
        """Hashes one inode: a file replaced meanwhile does not mix in.

        Its thread ends when nobody waits for it any more.
        """
        given_up = threading.Event()
        try:
            with _translated():
                return await asyncio.to_thread(_sum, self._path(key), given_up)
        finally:
            given_up.set()

    async def copy(self, source: str, target: str, mark: str, tags: Mapping[str, str]) -> None:
        """Copies from the inode that was hashed."""
        with _translated():
            await asyncio.to_thread(self._copy, self._path(source), self._path(target), mark)
            await self.tag(target, tags)

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """In pieces of CHUNK bytes."""
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
        """Into a file beside the store's keys."""
        with _translated():
            await asyncio.to_thread(self._tag, key, tags)

    async def tags(self, key: str) -> dict[str, str]:
        """None were ever set: empty."""
        with _translated():
            if not await asyncio.to_thread(self._path(key).is_file):
                raise NoSuchObject(key)
            with contextlib.suppress(FileNotFoundError):
                return msgspec.json.decode(self._tag_file(key).read_bytes(), type=dict[str, str])
            return {}

    async def keys(self, prefix: str) -> list[str]:
        """Walks the folder."""
        with _translated():
            return await asyncio.to_thread(self._keys, prefix)

    async def remove(self, keys: Sequence[str]) -> None:
        """With the tags, and the folders that become empty."""
        with _translated():
            for key in keys:
                await asyncio.to_thread(self._remove, key)

    def _path(self, key: str) -> Path:
        """Below the root, whatever the key says. Symbolic links do not lead out of it."""
        try:
            check_path(key)
        except NoDigest as e:
            raise ValueError(f"not a key: {e}") from None
        path = self._root.joinpath(*key.split("/"))
        if key.split("/", maxsplit=1)[0] not in _ROOMS or not path.resolve().is_relative_to(
            self._root.resolve()
        ):
            raise ValueError(f"not a key of this store: {key!r:.100}")
        return path

    def _prepare(self) -> None:
        for folder in (self._new, self._tags, *(self._root / room for room in _ROOMS)):
            folder.mkdir(parents=True, exist_ok=True)
        for left in self._new.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - _FORGOTTEN:
                    left.unlink()

    @contextlib.contextmanager
    def _aside(self) -> Iterator[tuple[BinaryIO, Path]]:
        self._new.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._new)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _settle(self, file: BinaryIO, name: Path, target: Path) -> str:
        file.flush()
        os.fsync(file.fileno())
        mark = _mark(file)
        made = _rename(name, target)
        for folder in {target.parent, *(new.parent for new in made)}:
            sync_folder(folder)
        return mark

    def _copy(self, source: Path, target: Path, mark: str) -> None:
        with _open(source) as origin, self._aside() as (file, name):
            if _mark(origin) != mark:
                raise ObjectChanged(str(source))
            shutil.copyfileobj(origin, file, CHUNK)
            self._settle(file, name, target)

    def _tag_file(self, key: str) -> Path:
        """Named so that it can be no folder of another key's: no key holds a backslash (a suffix alone would: `a` beside `a.json/b`)."""
        return self._tags.joinpath(*key.split("/")).with_name(key.rpartition("/")[2] + "\\.json")

    def _tag(self, key: str, tags: Mapping[str, str]) -> None:
        if not self._path(key).is_file():
            return
        with self._aside() as (file, name):
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
        raise StoreAway(f"the artifact folder cannot be used: {e}") from e


def _open(path: Path) -> BufferedReader:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _mark(file: BinaryIO) -> str:
    found = os.fstat(file.fileno())
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def _sum(path: Path, given_up: threading.Event) -> Sum:
    with _open(path) as file:
        mark, digest = _mark(file), hashlib.sha256()
        while (chunk := file.read(CHUNK)) and not given_up.is_set():
            digest.update(chunk)
        return Sum(file.tell(), digest.hexdigest(), mark)


def _write(file: BinaryIO, digest: hashlib._Hash, chunk: bytes) -> None:
    digest.update(chunk)
    file.write(chunk)


def _rename(name: Path, target: Path) -> list[Path]:
    """At once, over what was there. Answers the folders it had to make."""
    while True:
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            name.replace(target)
        except FileNotFoundError:
            if not name.exists():
                raise
            continue  # the folder became empty and was swept away between the two steps
        return made
