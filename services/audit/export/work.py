"""Export what is planned: first the file, then its manifest, then the plan's row.

The README states what a crash between them does.

It is a process of its own (`python -m services.audit export`): Arrow and the events of a chunk would stay in
the memory of the service.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg
import msgspec

from regista.wire.history import FORMAT as HISTORY
from regista.wire.history import (
    BadHistory,
    Event,
    LogRow,
    Manifest,
    event,
    file_name,
    leaves_of_name,
    manifest_name,
    manifest_of,
)
from regista.wire.merkle import Tree, growth_proof, verify_consistency
from services.audit.export import chunks
from services.audit.export.chunks import Chunk
from services.audit.export.parquet import parquet
from services.audit.export.stores import HistoryStore, NoSuchFile
from services.audit.settings import AuditSettings

PAGE, PAGE_BYTES = 1_000, 8 * 1024**2

T = TypeVar("T")

# At most $3 leaves and about $4 bytes of events: memory stays bounded.
EVENTS = """
SELECT * FROM (
    SELECT s.leaf_index, s.service, s.stream, s.revision, s.event_id::text, e.type, e.schema, e.bytes, s.leaf,
        sum(octet_length(e.bytes)) OVER (ORDER BY s.leaf_index) - octet_length(e.bytes) AS before
    FROM audit.sealed s LEFT JOIN log.events e
        ON e.service = s.service AND e.stream = s.stream AND e.revision = s.revision
        AND e.event_id = s.event_id
    WHERE s.leaf_index BETWEEN $1 AND least($2, $1 + $3 - 1)
) AS page WHERE before IS NULL OR before < $4 ORDER BY leaf_index
"""

LEAVES = "SELECT leaf FROM audit.sealed WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index"

CHECKPOINT = "SELECT c.root, c.note, t.origin FROM audit.checkpoints c, audit.tree t WHERE c.size = $1"

BEFORE = "SELECT manifest FROM audit.chunks WHERE last = $1 - 1"


class LogChanged(Exception):  # noqa: N818
    """An event is not what was sealed.

    Its chunk is not exported: request a full run of `regista audit invariants`.
    """


class HistoryDiffers(Exception):  # noqa: N818
    """The store holds files that this log does not have.

    The database was restored to an earlier time, or the store belongs to another log.

    Move those files to another folder, or name another store. Nothing was overwritten.
    """


class Busy(Exception):  # noqa: N818
    """Another process exports what is planned."""


@dataclass(slots=True)
class _Reading:
    """Reads the events of a chunk in pages and compares each with its leaf. `leaves`: those read so far."""

    connection: asyncpg.Connection
    chunk: Chunk
    leaves: list[bytes] = field(default_factory=list)

    async def pages(self) -> AsyncIterator[list[Event]]:
        at = self.chunk.first
        while at <= self.chunk.last:
            rows = await self.connection.fetch(EVENTS, at, self.chunk.last, PAGE, PAGE_BYTES, timeout=600)
            page = [_sealed(row) for row in rows]
            if not page:
                raise LogChanged(f"Leaf {at} is missing. {LogChanged.__doc__}")
            self.leaves += [row.leaf for row in page]
            at += len(page)
            yield page


def _sealed(row: asyncpg.Record) -> Event:
    log_row = LogRow(*tuple(row)[:7])
    found = event(log_row, row["bytes"]) if row["bytes"] is not None else None
    if found is None or found.leaf != row["leaf"]:
        where = f"Leaf {log_row.leaf_index}, {log_row.stream} {log_row.revision}"
        raise LogChanged(f"{where}: {LogChanged.__doc__}")
    return found


class Exporter:
    """Exports chunk after chunk over one connection of the auditor's role."""

    def __init__(self, connection: asyncpg.Connection, store: HistoryStore) -> None:
        self._connection = connection
        self._store = store
        self._tree = Tree()

    async def step(self) -> Chunk | None:
        """Export the next planned chunk and return it; None when there is none.

        Raises StoreUnavailable, LogChanged, HistoryDiffers.
        """
        chunk = await chunks.waiting(self._connection)
        if chunk is not None:
            await chunks.exported(self._connection, chunk, await self._export(chunk))
        return chunk

    async def _export(self, chunk: Chunk) -> bytes:
        if self._tree.size != chunk.first:
            self._tree = await self._tree_before(chunk)
        content, manifest, tree = await self._written(chunk)
        stored = await asyncio.to_thread(self._stored, manifest)
        if stored is None:
            stored = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            await asyncio.to_thread(self._store.put, manifest.file, content)
            await asyncio.to_thread(self._store.put, manifest_name(chunk.first, chunk.last), stored)
        self._tree = tree
        return stored

    async def _tree_before(self, chunk: Chunk) -> Tree:
        """Return the tree over all leaves before the chunk, from the chunk before."""
        if chunk.first == 0:
            return Tree()
        before = manifest_of(await self._connection.fetchval(BEFORE, chunk.first))
        tree = Tree(before.first, tuple(bytes.fromhex(h) for h in before.edge))
        return tree.append(await self._leaves(before.first, chunk.first))

    async def _leaves(self, first: int, end: int) -> list[bytes]:
        return [row[0] for row in await self._connection.fetch(LEAVES, first, end, timeout=600)]

    async def _written(self, chunk: Chunk) -> tuple[bytes, Manifest, Tree]:
        """Return file, manifest, and the tree at the chunk's end.

        Raises LogChanged when the checkpoint does not cover them.
        """
        reading = _Reading(self._connection, chunk)
        sealed = await self._connection.fetchrow(CHECKPOINT, chunk.checkpoint)
        content = await _in_thread(reading.pages(), lambda pages: parquet(pages, sealed["origin"]))
        tree = self._tree.append(reading.leaves)
        proof = growth_proof(tree, await self._leaves(tree.size, chunk.checkpoint))
        if not verify_consistency(tree.size, tree.root, chunk.checkpoint, sealed["root"], proof):
            raise LogChanged(
                f"Leaves {chunk.first} to {chunk.last} are not what checkpoint {chunk.checkpoint} covers."
                f" {LogChanged.__doc__}"
            )
        return (
            content,
            Manifest(
                format=HISTORY,
                origin=sealed["origin"],
                file=file_name(chunk.first, chunk.last),
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                rows=len(reading.leaves),
                first=chunk.first,
                last=chunk.last,
                edge=[h.hex() for h in self._tree.edge],
                root=tree.root.hex(),
                sealed=chunk.checkpoint,
                checkpoint=sealed["note"],
                proof=[h.hex() for h in proof],
            ),
            tree,
        )

    def _stored(self, mine: Manifest) -> bytes | None:
        """Return the manifest that an export before a crash stored, or None. Raises HistoryDiffers."""
        name = manifest_name(mine.first, mine.last)
        stored_names = self._store.names(f"{mine.first:016d}")
        if unknown := [n for n in stored_names if leaves_of_name(n) not in {None, (mine.first, mine.last)}]:
            raise HistoryDiffers(f"{self._store.uri}/{unknown[0]}: {HistoryDiffers.__doc__}")
        if name not in stored_names:
            return None
        try:
            stored = b"".join(self._store.read(name))
            theirs = manifest_of(stored)
        except (BadHistory, NoSuchFile) as e:
            raise HistoryDiffers(f"{self._store.uri}/{name} ({e}): {HistoryDiffers.__doc__}") from e
        if (theirs.origin, theirs.edge, theirs.root) != (mine.origin, mine.edge, mine.root):
            raise HistoryDiffers(f"{self._store.uri}/{name}: {HistoryDiffers.__doc__}")
        return stored


async def _in_thread(
    pages: AsyncIterator[Sequence[Event]], write: Callable[[Iterator[Sequence[Event]]], T]
) -> T:
    """Run `write` over the pages in a thread; read each page on this loop when the writer needs it.

    An exception of the reading is raised unchanged.
    """
    loop, faults = asyncio.get_running_loop(), list[Exception]()

    def pulled() -> Iterator[Sequence[Event]]:
        while True:
            following: Future[Sequence[Event] | None] = asyncio.run_coroutine_threadsafe(
                _following(pages), loop
            )
            try:
                page = following.result()
            except Exception as fault:
                faults.append(fault)
                raise
            if page is None:
                return
            yield page

    try:
        return await asyncio.to_thread(write, pulled())
    except Exception:
        if faults:
            raise faults[0] from None
        raise


async def _following(pages: AsyncIterator[Sequence[Event]]) -> Sequence[Event] | None:
    return await anext(pages, None)


async def export(settings: AuditSettings, store: HistoryStore) -> int:
    """Export all planned chunks and return how many. Raises Busy, and what `Exporter.step` raises."""
    connection = await asyncpg.connect(
        settings.database_url,
        command_timeout=60,
        server_settings={"application_name": "audit export", "jit": "off"},
    )
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", chunks.WRITING):
            raise Busy(Busy.__doc__)
        exporter, done = Exporter(connection, store), 0
        while await exporter.step():
            done += 1
        return done
    finally:
        await connection.close()
