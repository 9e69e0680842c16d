"""Keep a copy of the log checkpoints in the object store: the newest, and some that are never overwritten."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from regista.wire.checkpoint import Checkpoint, unverified
from services.audit.export.stores import HistoryStore, NoSuchFile, StoreUnavailable

KEEP_EVERY = 60.0
"""Seconds between two log checkpoints under names that are written once."""


class CopyUnavailable(Exception):  # noqa: N818
    """A copy of the log checkpoints outside the database cannot be read or written. It is tried again."""


class Copy(Protocol):
    """One place outside the database. Every call may raise CopyUnavailable."""

    @property
    def name(self) -> str:
        """What operators call the place."""
        ...

    async def newest(self, origin: str) -> Sequence[str]:
        """Return the newest signed notes of the log `origin`, and notes of other logs beside them."""
        ...

    async def add(self, checkpoint: Checkpoint, note: str) -> str:
        """Store a signed note. Return it, or the note of another tree of this size that the place has."""
        ...

    async def close(self) -> None:
        """Close connections; the next call opens them again."""
        ...


class StoreCopy:
    """Two folders: `newest` has one note of each log, `kept` has notes under names that are written once."""

    def __init__(self, newest: HistoryStore, kept: HistoryStore) -> None:
        self._newest, self._kept = newest, kept
        self._kept_at = float("-inf")

    @property
    def name(self) -> str:
        return f"object store {self._newest.uri}"

    async def newest(self, origin: str) -> Sequence[str]:
        with _available(self.name):
            return await asyncio.to_thread(self._read, _tag(origin))

    def _read(self, tag: str) -> list[str]:
        notes = {name: self._text(self._newest, name) for name in self._newest.names("")}
        at = _size(notes.get(f"{tag}.note", ""))
        later = [n for n in self._kept.names(f"{tag}-{at:016d}.note") if n.startswith(f"{tag}-")]
        return [*notes.values(), *(self._text(self._kept, name) for name in later[-1:])]

    @staticmethod
    def _text(store: HistoryStore, name: str) -> str:
        return b"".join(store.read(name)).decode(errors="replace")

    async def add(self, checkpoint: Checkpoint, note: str) -> str:
        with _available(self.name):
            return await asyncio.to_thread(self._write, checkpoint, note)

    def _write(self, checkpoint: Checkpoint, note: str) -> str:
        tag, now = _tag(checkpoint.origin), time.monotonic()
        if now - self._kept_at >= KEEP_EVERY:
            name = f"{tag}-{checkpoint.size:016d}.note"
            if not self._kept.put_new(name, note.encode()):
                stored = self._text(self._kept, name)
                if unverified(stored) != checkpoint:
                    return stored
            self._kept_at = now
        self._newest.put(f"{tag}.note", note.encode())
        return note

    async def close(self) -> None:
        """Nothing is open between calls."""


def _tag(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()[:16]


def _size(note: str) -> int:
    """Return the size in a note, or 0: what signed it is verified later."""
    lines = note.split("\n", 2)
    return int(lines[1]) if len(lines) > 1 and lines[1].isascii() and lines[1].isdecimal() else 0


@contextlib.contextmanager
def _available(name: str) -> Iterator[None]:
    try:
        yield
    except (StoreUnavailable, NoSuchFile) as error:
        raise CopyUnavailable(f"{name}: {error}") from error
