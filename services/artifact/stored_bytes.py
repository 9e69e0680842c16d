"""Verify that the stored bytes are what was claimed, and copy them to their generation.

Every verified file was hashed at its final key, after the copy. A file that this service received was
hashed on its way into the store, so it is copied without being read first, on the condition that the store
still holds exactly that content. Any other file is read and hashed before it is copied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from regista.wire.digests import FileEntry
from services.artifact.stores import NoSuchObject, ObjectChanged, ObjectStore, StoredObject

CONCURRENT_FILES = 4
"""Files of one artifact that are read or copied at the same time."""

NAMED_FILES = 5
"""Wrong files that a refusal names."""

VERIFIED_TAGS = {"regista-state": "verified"}

NOTHING_RECEIVED: Mapping[str, StoredObject] = {}

T = TypeVar("T")


class CopyDiffers(Exception):  # noqa: N818 - an answer of the store
    """The source hashes to the claim and its copy does not: the store is at fault. Copy again."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """The stored bytes are not what was claimed.

    The detail names the files that differ, never what is stored: a caller that claims a wrong hash does not
    receive the right one. `missing`: a file is not there.
    """

    detail: str
    missing: bool = False


async def verify(
    store: ObjectStore,
    source: str,
    target: str,
    files: Sequence[FileEntry],
    received: Mapping[str, StoredObject] = NOTHING_RECEIVED,
) -> Wrong | None:
    """Copy the files below `source` to `target` and hash them there.

    Return None, or what is wrong with the source.

    `received` maps each path to what this service hashed while it stored the file. Files that are already
    right at `target`, after a crash, are kept. Raises StoreUnavailable, ObjectChanged, CopyDiffers: try again
    later.
    """
    missing = await _not_yet_copied(store, target, files)
    known = {f.path: r.etag for f in missing if _equal(r := received.get(f.path), f) and r and r.etag}
    unknown = [f for f in missing if f.path not in known]
    found = await _each(unknown, lambda f: _read(store, f"{source}/{f.path}"))
    if wrong := _compared(unknown, found):
        return wrong
    etags = known | {f.path: r.etag for f, r in zip(unknown, found, strict=True) if r}
    try:
        await _each(
            missing,
            lambda f: store.copy(f"{source}/{f.path}", f"{target}/{f.path}", etags[f.path], VERIFIED_TAGS),
        )
        differs = await damage(store, target, missing)
    except (NoSuchObject, ObjectChanged):
        if not known:
            raise
    else:
        if not differs:
            return None
        if not known:
            raise CopyDiffers(differs)
    return await verify(store, source, target, files)  # read the source: it changed after it was received


async def damage(store: ObjectStore, prefix: str, files: Sequence[FileEntry]) -> str:
    """Return which files below `prefix` are missing or hash to something else, or ""."""
    wrong = _compared(files, await _each(files, lambda f: _read(store, f"{prefix}/{f.path}")))
    return wrong.detail if wrong else ""


async def _not_yet_copied(store: ObjectStore, target: str, files: Sequence[FileEntry]) -> list[FileEntry]:
    there = set(await store.keys(target))
    copied = [f for f in files if f"{target}/{f.path}" in there]
    found = await _each(copied, lambda f: _read(store, f"{target}/{f.path}"))
    right = {f.path for f, stored in zip(copied, found, strict=True) if _equal(stored, f)}
    return [f for f in files if f.path not in right]


def _compared(files: Sequence[FileEntry], found: Sequence[StoredObject | None]) -> Wrong | None:
    pairs = zip(files, found, strict=True)
    wrong = [_difference(f, stored) for f, stored in pairs if not _equal(stored, f)]
    if not wrong:
        return None
    more = f" and {len(wrong) - NAMED_FILES} more" if len(wrong) > NAMED_FILES else ""
    return Wrong("; ".join(wrong[:NAMED_FILES]) + more + ".", missing=None in found)


def _difference(claimed: FileEntry, found: StoredObject | None) -> str:
    if found is None:
        return f"{claimed.path} is not there"
    return f"{claimed.path} differs from what was claimed"


def _equal(found: StoredObject | None, claimed: FileEntry) -> bool:
    return found is not None and (found.size, found.sha256) == (claimed.size, claimed.sha256)


async def _read(store: ObjectStore, key: str) -> StoredObject | None:
    try:
        return await store.read_and_hash(key)
    except NoSuchObject:
        return None


async def _each(files: Sequence[FileEntry], work: Callable[[FileEntry], Awaitable[T]]) -> list[T]:
    """Return the results in order, working on a few files at a time. The first failure ends the rest."""
    free = asyncio.Semaphore(CONCURRENT_FILES)

    async def one(file: FileEntry) -> T:
        async with free:
            return await work(file)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(file)) for file in files]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]
