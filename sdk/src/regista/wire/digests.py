"""Digests that two parties compute independently: RFC 8785 canonical JSON, SHA-256, artifact manifests."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import rfc8785

MAX_PATH = 1024
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


class NoDigest(ValueError):  # noqa: N818 - names what the value lacks
    """The value has no canonical form (NaN, an integer beyond 2^53, an unsafe path); the message names it."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of an artifact: relative path with forward slashes, size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of an artifact, by path.

    Raises NoDigest for a path that leaves the artifact or appears twice, and for a malformed size or hash.
    """

    files: tuple[FileEntry, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for entry in self.files:
            check_path(entry.path)
            if entry.path in seen:
                raise NoDigest(f"the path {entry.path!r} appears twice")
            if entry.size < 0 or not _HEX.fullmatch(entry.sha256):
                raise NoDigest(
                    f"size or SHA-256 of {entry.path!r} is malformed:"
                    " expected bytes and 64 lower-case hex digits"
                )
            seen.add(entry.path)
        if not self.files:
            raise NoDigest("an artifact has at least one file")
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda entry: entry.path)))

    @property
    def digest(self) -> str:
        """Return `sha256:<hex>` over the canonical form of `{"files": [...]}`, files by path."""
        return digest({"files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in self.files]})


def canonical(obj: Any) -> bytes:
    """Return the RFC 8785 bytes of JSON values. Raises NoDigest."""
    try:
        return rfc8785.dumps(obj)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as e:
        raise NoDigest(f"no canonical JSON: {e}") from None


def digest(obj: Any) -> str:
    """Return `sha256:<hex>` of the canonical bytes. Raises NoDigest."""
    return "sha256:" + sha256(canonical(obj)).hexdigest()


def manifest_digest(files: Iterable[FileEntry]) -> str:
    """Return the digest of the artifact with these files, in any order. Raises NoDigest."""
    return Manifest(tuple(files)).digest


def check_path(path: str) -> None:
    """Raise NoDigest unless the path is relative, stays inside, and is portable (NFC, no backslash)."""
    parts = path.split("/")
    if not path or len(path) > MAX_PATH or any(part in {"", ".", ".."} for part in parts):
        raise NoDigest(f"the path {path!r:.100} is not relative or leaves the artifact")
    if (
        "\\" in path
        or ":" in parts[0]
        or not path.isprintable()
        or unicodedata.normalize("NFC", path) != path
    ):
        raise NoDigest(f"the path {path!r:.100} has characters that file systems spell differently")
