"""Where bytes lie. Both stores say the same things (`ObjectStore`); the settings choose one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

CHUNK = 1024 * 1024
"""Bytes that are in memory at a time when an object is read."""


class StoreAway(Exception):  # noqa: N818 - what is the case
    """The store does not answer or refuses us. Wait and repeat; the message is for the operator."""


class NoSuchObject(Exception):  # noqa: N818
    """Nothing is stored under this key."""


class ObjectChanged(Exception):  # noqa: N818
    """The source is not what was hashed any more: hash it again before it is copied."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What is stored under a key: bytes, SHA-256 in hex, and a mark of this very content by which a copy can insist on it."""

    size: int
    sha256: str
    mark: str


class ObjectStore(Protocol):
    """Keys are relative paths with forward slashes. Every call may raise StoreAway."""

    bucket: str

    async def check(self) -> None:
        """Returns when the store can be used."""
        ...

    def uri(self, prefix: str) -> str:
        """The public name of a place."""
        ...

    async def put(self, key: str, chunks: AsyncIterable[bytes], tags: Mapping[str, str]) -> Sum:
        """Stores a stream and hashes it on the way.

        What was under the key is replaced at the end, at once; a stream that raises leaves it untouched.
        """
        ...

    async def sum(self, key: str) -> Sum:
        """Reads all that is stored under the key and hashes it. Raises NoSuchObject."""
        ...

    async def copy(self, source: str, target: str, mark: str, tags: Mapping[str, str]) -> None:
        """Copies exactly the content that has this mark, without passing it through here.

        Raises NoSuchObject, ObjectChanged.
        """
        ...

    def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """The bytes from `offset` on, in pieces. Raises NoSuchObject at the first piece."""
        ...

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replaces the tags. A key that is gone is passed over."""
        ...

    async def tags(self, key: str) -> dict[str, str]:
        """The tags. Raises NoSuchObject."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Every key below the folder `prefix`, in order."""
        ...

    async def remove(self, keys: Sequence[str]) -> None:
        """Deletes; keys that are gone are passed over."""
        ...
