"""Are the bytes what was claimed? Reads them whole, in bounded memory; copies what is right; says what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from regista.wire.digests import FileEntry, manifest_digest
from services.artifact.stores import NoSuchObject, ObjectStore, Sum

AT_ONCE = 4
"""Files of one artifact that are read at the same time."""

TOLD = 5
"""Wrong files that a refusal names."""

VERIFIED_TAGS = {"regista-state": "verified"}

T = TypeVar("T")


class CopyDiffers(Exception):  # noqa: N818
    """What was copied is not what was hashed before: the store is at fault. Copy again."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What lies there is not what was claimed.

    `found` is the digest of what lies there, "" when a file is missing.
    """

    found: str
    detail: str


async def verify(store: ObjectStore, source: str, target: str, files: Sequence[FileEntry]) -> Wrong | None:
    """Hashes the files below `source`, copies exactly what was hashed to `target`, and hashes it there again.

    Begun anew after a crash, it takes what is right at `target` as it is. Raises StoreAway, ObjectChanged,
    CopyDiffers: try again later.
    """
    there = set(await store.keys(target))
    kept = await _each(
        files, lambda f: _sum(store, f"{target}/{f.path}", present=f"{target}/{f.path}" in there)
    )
    missing = [f for f, found in zip(files, kept, strict=True) if not _equal(found, f)]
    sums = await _each(missing, lambda f: _sum(store, f"{source}/{f.path}"))
    if wrong := _compared(missing, sums, [f for f in files if f not in missing]):
        return wrong
    marks = {f.path: found.mark for f, found in zip(missing, sums, strict=True) if found}
    await _each(
        missing,
        lambda f: store.copy(f"{source}/{f.path}", f"{target}/{f.path}", marks[f.path], VERIFIED_TAGS),
    )
    if again := await damage(store, target, missing):
        raise CopyDiffers(again)
    return None


async def damage(store: ObjectStore, place: str, files: Sequence[FileEntry]) -> str:
    """What of the files below `place` is not as it should be; "" when all is."""
    wrong = _compared(files, await _each(files, lambda f: _sum(store, f"{place}/{f.path}")), ())
    return wrong.detail if wrong else ""


def _compared(
    files: Sequence[FileEntry], sums: Sequence[Sum | None], right: Iterable[FileEntry]
) -> Wrong | None:
    wrong = [_difference(f, found) for f, found in zip(files, sums, strict=True) if not _equal(found, f)]
    if not wrong:
        return None
    found = (
        ""
        if None in sums
        else manifest_digest(
            [*right, *(FileEntry(f.path, s.size, s.sha256) for f, s in zip(files, sums, strict=True) if s)]
        )
    )
    more = f" and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
    return Wrong(found, "; ".join(wrong[:TOLD]) + more + ".")


def _difference(claimed: FileEntry, found: Sum | None) -> str:
    if found is None:
        return f"{claimed.path} is not there"
    if found.size != claimed.size:
        return f"{claimed.path} has {found.size} bytes, not {claimed.size}"
    return f"{claimed.path} has the SHA-256 {found.sha256}, not {claimed.sha256}"


def _equal(found: Sum | None, claimed: FileEntry) -> bool:
    return found is not None and (found.size, found.sha256) == (claimed.size, claimed.sha256)


async def _sum(store: ObjectStore, key: str, *, present: bool = True) -> Sum | None:
    try:
        return await store.sum(key) if present else None
    except NoSuchObject:
        return None


async def _each(files: Sequence[FileEntry], work: Callable[[FileEntry], Awaitable[T]]) -> list[T]:
    """The results in order, a few at a time; the first failure ends the rest."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(file: FileEntry) -> T:
        async with free:
            return await work(file)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(file)) for file in files]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]
