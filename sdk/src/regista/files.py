"""Local files: hash them, list them in manifests, and read or write them without blocking the event loop."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from hashlib import sha256
from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from regista.errors import Damaged, Invalid, NotConfigured
from regista.local_errors import reading, shown, writing
from regista.progress import Report
from regista.wire.digests import FileEntry, Manifest, NoDigest
from regista.wire.file_names import problem_of_names
from regista.wire.keys import BadKey, SigningKey, load_signing_key

CHUNK = 4 << 20  # bytes read or written, and hashed, by one call in a thread
PIECE = 512 << 10  # bytes of one write to the connection
T = TypeVar("T")


def hash_file(path: Path) -> tuple[str, int]:
    """Return the SHA-256 in hex, and the size in bytes. Raises OSError."""
    h, size = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            h.update(chunk)
            size += len(chunk)
    return h.hexdigest(), size


def replace_file(path: Path, text: str, *, private: bool = False) -> None:
    """Write a file completely or not at all; one of this name is replaced. Raises OSError.

    `private`: only its owner reads it.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        opener = functools.partial(os.open, mode=0o600 if private else 0o666)
        with open(partial, "x", encoding="utf-8", opener=opener) as file:
            file.write(text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder to a new one, completely or not at all. Raises RegistaError."""
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part")
    with writing(target):
        try:
            partial.mkdir(parents=True)
            for file in sorted(source.rglob("*")):  # folders come before their files
                copy = partial / file.relative_to(source)
                if file.is_dir():
                    copy.mkdir()
                else:
                    shutil.copyfile(file, copy)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def files_of(path: Path, *, follow_links: bool = False) -> dict[str, Path]:
    """Return the files of an artifact by their path in it: one file under its own name, or all of a folder.

    With `follow_links`, a link to a regular file counts as that file. Raises Invalid.
    """
    with reading(str(path)):
        is_file, is_folder = path.is_file(), path.is_dir()
    if is_file:
        return {path.name: path}
    if not is_folder:
        raise Invalid(
            "artifact_missing",
            f"there is no file or folder {shown(str(path))}",
            advice="Write the model there first, then publish.",
        )
    found = {
        p.relative_to(path).as_posix(): p for p in sorted(path.rglob("*")) if p.is_symlink() or not p.is_dir()
    }
    _check_regular(found, follow_links=follow_links)
    if not found:
        raise Invalid(
            "artifact_empty",
            f"the folder {path} is empty",
            advice="Write the model there first, then publish.",
        )
    return found


def _check_regular(found: Mapping[str, Path], *, follow_links: bool) -> None:
    """Raise Invalid for devices, and for links that are not followed or lead to no regular file."""
    links = {name: p for name, p in found.items() if p.is_symlink()}
    only = "an artifact holds regular files only, not links or devices"
    if odd := [name for name, p in found.items() if name not in links and not p.is_file()]:
        raise Invalid("artifact_odd", f"{only}: {_list(odd)}", advice="Leave them out.")
    if odd := [name for name, p in links.items() if not p.is_file()]:
        detail = f"{only}, and a link that leads to no regular file is none: {_list(odd)}"
        raise Invalid("artifact_odd", detail, advice="Replace it by what it should contain, or leave it out.")
    if links and not follow_links:
        detail = f"{only}, and these are links: {_list(list(links))}"
        advice = (
            "Read links to files as files: `--follow-links` (follow_links=True). Or replace them by copies."
        )
        raise Invalid("artifact_odd", detail, advice=advice)


def empty_folders(path: Path) -> list[str]:
    """Return the folders below `path` without a file in them or below: an artifact has no folders."""
    full: set[Path] = set()
    folders = []
    for one in path.rglob("*") if path.is_dir() else ():
        if one.is_symlink() or not one.is_dir():
            full.update(one.parents)
        else:
            folders.append(one)
    return sorted(one.relative_to(path).as_posix() for one in folders if one not in full)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(shown(name) for name in names[:5]) + more


def checked_files_of(path: Path, *, follow_links: bool = False) -> dict[str, Path]:
    """Return the files of a new artifact. Raises Invalid, also for names that some file system changes."""
    found = files_of(path, follow_links=follow_links)
    if problem := problem_of_names(found):
        raise Invalid(
            "artifact_odd",
            problem,
            advice="Rename the file: every system must be able to store the artifact.",
        )
    return found


def manifest_of(path: Path, *, follow_links: bool = False) -> Manifest:
    """Return the manifest of an artifact on disk. Raises Invalid."""
    entries = []
    for name, file in files_of(path, follow_links=follow_links).items():
        with reading(name):
            digest, size = hash_file(file)
        entries.append(FileEntry(name, size, digest))
    return manifest(entries)


def manifest(entries: list[FileEntry]) -> Manifest:
    """Return the manifest of these files. Raises Invalid for names that cannot be stored everywhere."""
    try:
        return Manifest(tuple(entries))
    except NoDigest as e:
        raise Invalid("artifact_odd", str(e), advice="Rename the file.") from None


def signing_key(path: Path) -> SigningKey:
    """Return the key in a file. Raises NotConfigured."""
    try:
        return load_signing_key(path.expanduser())
    except (OSError, BadKey) as e:
        raise NotConfigured(
            "not_configured",
            f"{path} is not a signing key: {e}",
            advice="Name a file that `regista key generate` made.",
        ) from None


class HashingStream:
    """Read a file once, as pieces for an upload, and hash it on the way.

    The next chunk is read and hashed in a thread while the present one is sent. After the last piece,
    `sha256` and `size` describe what was sent.
    """

    def __init__(self, path: Path, name: str, progress: Report | None) -> None:
        self.path = path
        self.name = name
        with reading(name):
            self.total = path.stat().st_size
        self.sha256 = ""
        self.size = 0
        self._progress = progress

    async def __call__(self) -> AsyncIterator[bytes]:
        """Return the pieces.

        Raises Invalid when the file cannot be read, or has more or fewer bytes than announced.
        """
        digest, self.size = sha256(), 0
        with reading(self.name):
            file = await asyncio.to_thread(self.path.open, "rb", buffering=0)
            ahead = _in_thread(_read, file, digest)
            try:
                while chunk := await ahead:
                    self._check(len(chunk))
                    ahead = _in_thread(_read, file, digest)
                    for first in range(0, len(chunk), PIECE):
                        piece = chunk[first : first + PIECE]
                        self.size += len(piece)
                        if self._progress:
                            self._progress(self.name, self.size, self.total)
                        yield piece
            finally:
                await asyncio.wait([ahead])
                file.close()
        self._check(0)
        self.sha256 = digest.hexdigest()

    def _check(self, more: int) -> None:
        """Raise Invalid when the file grew, or ended before its size: the request has announced it."""
        if self.size + more > self.total or (not more and self.size < self.total):
            changed = "grew" if more else f"shrank to {self.size:,} bytes"
            raise Invalid(
                "file_changed",
                f"{shown(self.name)} {changed} while it was sent; it had {self.total:,} bytes before",
                advice="Publish again when no program writes to the file.",
            )


class FileWriter:
    """Write a file and hash it on the way, in a thread: `async with FileWriter(path) as file: …`.

    While one chunk is written, the next one arrives. After the block, `sha256` describes what was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.sha256 = ""
        self._digest = sha256()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._writing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._file = await asyncio.to_thread(self.path.open, "wb", buffering=0)
        return self

    async def write(self, piece: bytes) -> None:
        """Add a piece. Raises OSError of an earlier one."""
        self._held.append(piece)
        self.size += len(piece)
        self._held_bytes += len(piece)
        if self._held_bytes >= CHUNK:
            await self._write_held()

    async def restart(self) -> None:
        """Drop everything that was written: the file comes from its first byte again."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        await asyncio.to_thread(self._file.truncate, 0)
        self._file.seek(0)
        self.size, self._digest, self._writing = 0, sha256(), None
        self._held, self._held_bytes = [], 0

    async def _write_held(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
            self._writing.result()
        self._writing = _in_thread(_store, self._file, self._digest, self._held)
        self._held, self._held_bytes = [], 0

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._write_held()
        finally:
            if self._writing is not None:
                await asyncio.wait([self._writing])
            self._file.close()
        if error is None and self._writing is not None:
            self._writing.result()
            self.sha256 = self._digest.hexdigest()


def _in_thread(work: Callable[..., T], *args: Any) -> asyncio.Future[T]:
    return asyncio.ensure_future(asyncio.to_thread(work, *args))


def _read(file: RawIOBase, digest: Any) -> bytes:
    chunk = file.read(CHUNK) or b""
    digest.update(chunk)
    return chunk


def _store(file: RawIOBase, digest: Any, pieces: list[bytes]) -> None:
    chunk = b"".join(pieces)
    digest.update(chunk)
    written = 0
    while written < len(chunk):
        written += file.write(memoryview(chunk)[written:]) or 0


def verify_folder(folder: Path, expected: Manifest) -> None:
    """Raise Damaged unless the folder holds exactly the files of the manifest, each with its bytes."""
    present = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()
    }
    if present != {f.path for f in expected.files}:
        raise Damaged("cache_altered", f"{folder} does not hold the files of the artifact {expected.digest}")
    for entry in expected.files:
        if (folder / entry.path).is_symlink() or hash_file(folder / entry.path) != (entry.sha256, entry.size):
            raise Damaged("cache_altered", f"{folder / entry.path} is not the file that was registered")
