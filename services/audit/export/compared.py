"""Compare the exported files with the log's Merkle tree: what only the files have, and what is damaged."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import asyncpg

from regista.wire.history import BadHistory, Manifest, leaves_of_name, manifest_name, manifest_of
from services.audit import sealing, tiles
from services.audit.export.stores import HistoryStore, NoSuchFile

EXPORTED = "SELECT first, last FROM audit.chunks WHERE exported_at IS NOT NULL ORDER BY first"
Progress = Callable[[str], None]


@dataclass(slots=True)
class OfHistory:
    """`lost`: what the files have and the log has not. `damaged`: files that are missing or changed."""

    store: str
    files: int = 0
    leaves: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


async def compare(connection: asyncpg.Connection, store: HistoryStore, progress: Progress) -> OfHistory:
    """Compare every manifest and every file in the store with the log. It only reads.

    Raises StoreUnavailable, NotTiled.
    """
    found, head = OfHistory(store.uri), await sealing.head(connection)
    names = set(await asyncio.to_thread(store.names, ""))
    planned = {(row[0], row[1]) for row in await connection.fetch(EXPORTED)}
    in_store = {leaves for name in names if (leaves := leaves_of_name(name))}
    for first, last in sorted(in_store | planned):
        if manifest_name(first, last) not in names and (first, last) not in planned:
            continue  # an export that is under way, or was cut off and goes on: the file comes first
        manifest = await asyncio.to_thread(_manifest, store, first, last, names, found)
        if manifest is None:
            continue
        found.files += 1
        if manifest.origin != head.origin:
            found.damaged.append(f"{manifest.file}: it belongs to the log {manifest.origin!r:.100}")
            continue
        found.leaves = max(found.leaves, last + 1)
        await _with_the_tree(connection, manifest, head.tree.size, found)
        progress(f"exported log: leaves up to {last} compared")
    _gaps(sorted(in_store | planned), found)
    return found


def _manifest(
    store: HistoryStore, first: int, last: int, names: set[str], found: OfHistory
) -> Manifest | None:
    """Return a manifest, None without a readable one; compare its file with it. Call it in a thread."""
    name = manifest_name(first, last)
    try:
        manifest = manifest_of(b"".join(store.read(name)))
    except NoSuchFile:
        found.damaged.append(f"{name} is missing in the store")
        return None
    except BadHistory as wrong:
        found.damaged.append(f"{name}: {wrong}")
        return None
    if manifest.file not in names:
        found.damaged.append(f"{manifest.file} is missing in the store")
    elif _digest(store.read(manifest.file)) != (manifest.size, manifest.sha256):
        found.damaged.append(f"{manifest.file}: its bytes are not those of its manifest")
    return manifest


def _digest(pieces: Iterator[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


async def _with_the_tree(
    connection: asyncpg.Connection, manifest: Manifest, sealed: int, found: OfHistory
) -> None:
    if manifest.last >= sealed:
        first = max(manifest.first, sealed)
        found.lost.append(f"leaves {first} to {manifest.last} are exported; the log has sealed {sealed}")
        return
    (root,) = await tiles.heads_over(connection, [(0, manifest.last + 1)])
    if root.hex() != manifest.root:
        found.lost.append(
            f"leaves up to {manifest.last}: the exported events are not those that the log has sealed now"
        )


def _gaps(in_store: Sequence[tuple[int, int]], found: OfHistory) -> None:
    expected = 0
    for first, last in in_store:
        if first != expected:
            found.damaged.append(f"leaves {expected} to {first - 1} have no file in the store")
        expected = last + 1
