"""Local files: hashing, manifests, and streams that hash while they are sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path

from regista.errors import Damaged, Invalid, NotConfigured
from regista.wire.digests import FileEntry, Manifest, NoDigest
from regista.wire.keys import BadKey, SigningKey, load_signing_key

CHUNK = 1 << 20  # bytes read, hashed and sent at once
Progress = Callable[[str, int, int], None]  # what, bytes done, bytes in all


def hash_file(path: Path) -> tuple[str, int]:
    """Hex SHA-256 and size in bytes."""
    h, size = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            h.update(chunk)
            size += len(chunk)
    return h.hexdigest(), size


def files_of(path: Path) -> dict[str, Path]:
    """The files of an artifact by their path in it: one file under its own name, or all of a folder.

    Raises Invalid.
    """
    if path.is_file():
        return {path.name: path}
    if not path.is_dir():
        raise Invalid(
            "artifact_missing",
            f"there is no file or folder {path}",
            advice="Write the model there first, then publish.",
        )
    found = {
        p.relative_to(path).as_posix(): p for p in sorted(path.rglob("*")) if p.is_symlink() or not p.is_dir()
    }
    if odd := [name for name, p in found.items() if p.is_symlink() or not p.is_file()]:
        raise Invalid(
            "artifact_odd",
            f"links and devices are no part of an artifact: {', '.join(odd[:5])}",
            advice="Copy the file in instead.",
        )
    if not found:
        raise Invalid(
            "artifact_empty",
            f"the folder {path} holds no file",
            advice="Write the model there first, then publish.",
        )
    return found


def manifest_of(path: Path) -> Manifest:
    """The manifest of an artifact on disk. Raises Invalid."""
    entries = []
    for name, file in files_of(path).items():
        digest, size = hash_file(file)
        entries.append(FileEntry(name, size, digest))
    return manifest(entries)


def manifest(entries: list[FileEntry]) -> Manifest:
    """The manifest of these files. Raises Invalid for names that cannot be stored everywhere."""
    try:
        return Manifest(tuple(entries))
    except NoDigest as e:
        raise Invalid("artifact_odd", str(e), advice="Rename the file.") from None


def signing_key(path: Path) -> SigningKey:
    """The key in a file. Raises NotConfigured."""
    try:
        return load_signing_key(path.expanduser())
    except (OSError, BadKey) as e:
        raise NotConfigured(
            "not_configured",
            f"{path} holds no signing key: {e}",
            advice="Name a file that `regista key generate` made.",
        ) from None


class HashingStream:
    """A file as chunks for an upload.

    After it ran to its end, `sha256` and `size` say what was really sent.
    """

    def __init__(self, path: Path, name: str, progress: Progress | None) -> None:
        self.path = path
        self.name = name
        self.total = path.stat().st_size
        self.sha256 = ""
        self.size = 0
        self._progress = progress

    async def __call__(self) -> AsyncIterator[bytes]:
        h, self.size = sha256(), 0
        with self.path.open("rb") as file:
            while chunk := await asyncio.to_thread(_read, file.read, h.update):
                self.size += len(chunk)
                if self._progress:
                    self._progress(self.name, self.size, self.total)
                yield chunk
        self.sha256 = h.hexdigest()


def _read(read: Callable[[int], bytes], update: Callable[[bytes], None]) -> bytes:
    chunk = read(CHUNK)
    update(chunk)
    return chunk


def verify_folder(folder: Path, expected: Manifest) -> None:
    """Raises Damaged unless the folder holds exactly the files of the manifest, each with its bytes."""
    present = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()
    }
    if present != {f.path for f in expected.files}:
        raise Damaged("cache_altered", f"{folder} holds other files than the artifact {expected.digest}")
    for entry in expected.files:
        if (folder / entry.path).is_symlink() or hash_file(folder / entry.path) != (entry.sha256, entry.size):
            raise Damaged("cache_altered", f"{folder / entry.path} is not the file that was registered")
