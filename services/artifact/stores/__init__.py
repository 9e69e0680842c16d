"""The object store of artifacts. Each kind of store implements `ObjectStore`; the settings choose one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

CHUNK = 1024 * 1024
"""Bytes that are in memory at a time while an object is read."""


class StoreUnavailable(Exception):  # noqa: N818 - a state to wait for
    """The store does not answer or refuses the request. Wait and repeat; the message is for the operator."""


class StoreFull(StoreUnavailable):
    """The store answers and stores nothing: it has no room. Free or add space."""


class NoSuchObject(Exception):  # noqa: N818 - an answer of the store
    """Nothing is stored under this key."""


class ObjectChanged(Exception):  # noqa: N818 - an answer of the store
    """The source no longer has the content that was hashed. Hash it again before copying it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored object: size in bytes, SHA-256 in hex, and the store's own name for exactly this content.

    A copy takes the `etag` as its condition. The store never gives the etag of one content to another one
    under the same key.
    """

    size: int
    sha256: str
    etag: str


class ObjectStore(Protocol):
    """Keys are relative paths with forward slashes. Every method may raise StoreUnavailable."""

    @property
    def root(self) -> str:
        """The URI of all keys, with a slash at its end. Publishers may store bytes below `quarantine/`."""
        ...

    async def close(self) -> None:
        """Close the connections of the store."""
        ...

    async def check(self) -> None:
        """Return when the store can be used. After it refused an object, store a small one first."""
        ...

    def uri(self, prefix: str) -> str:
        """Return the public URI of a key or key prefix."""
        ...

    async def put(self, key: str, chunks: AsyncIterable[bytes], tags: Mapping[str, str]) -> StoredObject:
        """Store a stream and hash it on the way.

        The object replaces an earlier one in one step, after the last byte. A stream that raises changes
        nothing. Of several at the same time one is stored; a store may ask the others to repeat
        (StoreUnavailable).
        """
        ...

    async def read_and_hash(self, key: str) -> StoredObject:
        """Read all that is stored under the key and hash it. Raises NoSuchObject."""
        ...

    async def copy(self, source: str, target: str, etag: str, tags: Mapping[str, str]) -> None:
        """Copy exactly the content with this etag, inside the store.

        Raises NoSuchObject, ObjectChanged.
        """
        ...

    def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the bytes from `offset` on. Raises NoSuchObject at the first piece."""
        ...

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of an object. Ignores a key that does not exist."""
        ...

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of an object. Raises NoSuchObject."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Return every key below the folder `prefix`, in order."""
        ...

    async def remove(self, keys: Sequence[str]) -> None:
        """Delete objects. Ignores keys that do not exist."""
        ...
