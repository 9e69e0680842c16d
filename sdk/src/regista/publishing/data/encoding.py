"""How numbers, texts and parts are written in the digest of data, form 2 (docs/data-digest.md)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def u32(number: int) -> bytes:
    """Return an unsigned number in 4 bytes, little-endian."""
    return number.to_bytes(4, "little")


def u64(number: int) -> bytes:
    """Return an unsigned number in 8 bytes, little-endian."""
    return number.to_bytes(8, "little")


def text(value: str) -> bytes:
    """Return the UTF-8 of a text, after its length in 4 bytes."""
    raw = value.encode("utf-8", "surrogatepass")
    return u32(len(raw)) + raw


def content(kind: str, checksum: str) -> bytes:
    """Return the digest of a part that is described by a SHA-256 in hex: bytes, a file, a folder."""
    return sha256(text(kind) + bytes.fromhex(checksum)).digest()


def combined(parts: Sequence[bytes]) -> str:
    """Return the digest of data from the digests of its parts."""
    return "rdh2:" + sha256(text("rdh2") + u32(len(parts)) + b"".join(parts)).hexdigest()
