"""The files of a version in another registry: list them, and read them as a stream."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from regista.errors import Forbidden, Invalid, NotFound, RegistaError
from regista.files import files_of
from regista.importing.opening import NotRegular, open_below
from regista.importing.requests import BROKE_OFF, SourceBroken, Waits
from regista.local_errors import reading, shown
from regista.progress import Report
from regista.wire import limits
from regista.wire.file_names import problem_of_names

CHUNK = 512 << 10
SHA256 = "sha256"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """`path` is relative to the artifact, `size` in bytes.

    `digests` are those that the source declares, in hexadecimal, by the algorithm's name in `hashlib`.
    """

    path: str
    size: int
    digests: Mapping[str, str] = field(default_factory=dict)


class Unreachable(Exception):  # noqa: N818 - not shown as an error: the version becomes a draft
    """The bytes cannot be read. The text states why."""


NO_BYTES = (Unreachable, NotFound, Forbidden, Invalid)
"""Errors that make a draft without bytes. Any other one ends the import: the next version would meet it."""


def why(error: Exception) -> str:
    """Return the text of one of these errors."""
    return error.detail if isinstance(error, RegistaError) else str(error)


class Files:
    """The files of one artifact."""

    async def entries(self) -> list[SourceFile]:
        """Return all files, by path. Raises RegistaError, and Unreachable when there are none."""
        raise NotImplementedError

    def read(self, path: str) -> AsyncIterator[bytes]:
        """Yield the bytes of a file. Raises RegistaError."""
        raise NotImplementedError

    def _check(self, files: int, folders: int) -> None:
        if files + folders > limits.FILES:
            raise Unreachable(f"it has more than {limits.FILES:,} files")


class LocalFiles(Files):
    """A folder or a file on this machine, below `root`. Both paths are resolved."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._one = path.is_file()

    @classmethod
    def below(cls, root: Path, path: Path) -> LocalFiles:
        """Return the files of `path` if it is below `root`. Raises Unreachable."""
        top, resolved = root.resolve(), path.resolve()
        if not resolved.is_relative_to(top):
            raise Unreachable(f"{path} is not below {root} (--artifacts-below)")
        return cls(top, resolved)

    async def entries(self) -> list[SourceFile]:
        try:
            found = await asyncio.to_thread(self._found)
        except Invalid as e:
            raise Unreachable(e.detail) from None
        self._check(len(found), 0)
        return found

    def _found(self) -> list[SourceFile]:
        with reading(str(self._path)):
            found = sorted(files_of(self._path).items())
            return [SourceFile(name, file.lstat().st_size) for name, file in found]

    async def read(self, path: str) -> AsyncIterator[bytes]:
        with reading(path), await asyncio.to_thread(self._open, path) as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk

    def _open(self, path: str) -> BinaryIO:
        """Open a file. Raises Invalid when it, or a folder above it, was replaced after it was listed."""
        whole = self._path if self._one else self._path / path
        try:
            return open_below(self._root, whole.relative_to(self._root).parts)
        except NotRegular:
            detail = f"{shown(path)} is no regular file, or a folder above it is a link now"
            advice = "Let no one else change the folder of --artifacts-below, and run the command again."
            raise Invalid("file_changed", detail, advice=advice) from None


async def listed(files: Files) -> list[SourceFile]:
    """Return the files of an artifact that can be stored here. Raises Unreachable."""
    found = await files.entries()
    if not found:
        raise Unreachable("it has no files")
    if problem := problem_of_names(file.path for file in found):
        raise Unreachable(problem)
    return found


async def small_file(
    reader: Files, files: Sequence[SourceFile], path: str, most: int, notes: list[str]
) -> bytes | None:
    """Return a file that describes the version, None when there is none or it is too large."""
    size = next((file.size for file in files if file.path == path), None)
    if size is None:
        return None
    raw = bytearray()
    if size <= most:
        async for piece in reader.read(path):
            raw += piece
            if len(raw) > most:
                break
    if size > most or len(raw) > most:
        notes.append(f"{path} has more than {most:,} bytes and was not read")
        return None
    return bytes(raw)


class CopiedFile:
    """One file on its way from there to here: read as a stream, hashed once, never stored on this machine.

    A stream that breaks off begins again: what was sent already is read again and compared, not sent.
    """

    def __init__(self, files: Files, file: SourceFile, waits: Waits, progress: Report | None) -> None:
        self.name = file.path
        self.total = file.size
        self.declared = file.digests
        self.sha256 = ""
        self.size = 0
        self._files = files
        self._waits = waits
        self._progress = progress

    async def __call__(self) -> AsyncIterator[bytes]:
        """Yield the pieces. Raises Invalid for another size, digest or content, and RegistaError."""
        sent: Any = hashlib.sha256()
        others = {name: hashlib.new(name, usedforsecurity=False) for name in self.declared if name != SHA256}
        self.size, attempt = 0, 0
        while True:
            begun = self.size
            try:
                async for piece in self._rest(sent):
                    self.size += len(piece)
                    if self.size > self.total:
                        raise self._changed(f"has more than {self.total:,} bytes")
                    sent.update(piece)
                    for other in others.values():
                        other.update(piece)
                    if self._progress:
                        self._progress(self.name, self.size, self.total)
                    yield piece
                break
            except SourceBroken as e:
                attempt = 1 if self.size > begun else attempt + 1
                if e.code != BROKE_OFF or attempt >= self._waits.attempts:
                    raise
                await self._waits.sleep(self._waits.pause(attempt - 1, None))
        if self.size < self.total:
            raise self._changed(f"ended after {self.size:,} of {self.total:,} bytes")
        self.sha256 = sent.hexdigest()
        for name, found in {SHA256: sent, **others}.items():
            if self.declared.get(name, found.hexdigest()) != found.hexdigest():
                raise self._other_digest(name, found.hexdigest())

    async def _rest(self, sent: Any) -> AsyncIterator[bytes]:
        """Yield what follows the bytes that were sent, of which `sent` is the hash."""
        again, left = hashlib.sha256(), self.size
        async for piece in self._files.read(self.name):
            before, rest = piece[:left], piece[left:]
            if left:
                again.update(before)
                left -= len(before)
                if not left and again.digest() != sent.digest():
                    raise self._changed("has other bytes than before")
            if rest:
                yield rest

    def _other_digest(self, name: str, found: str) -> Invalid:
        detail = f"{self.name!r:.120} has the {name} {found}; its source declares {self.declared[name]:.130}"
        return Invalid("file_mismatch", detail, advice="It was damaged or replaced there: find out by whom.")

    def _changed(self, what: str) -> Invalid:
        detail = f"{self.name!r:.120} {what}: it changed there while it was read"
        return Invalid("file_changed", detail, advice="Run the command again.")
