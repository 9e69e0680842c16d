"""Seal events and sign the tree.

Each event becomes one leaf, in the log's order. The tree's new edge and tiles are in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from prometheus_client import Counter, Gauge

from regista.wire.checkpoint import Checkpoint, signed, verifier_key
from regista.wire.keys import SigningKey
from regista.wire.merkle import Tree
from regista.wire.tiles import HASH, Tiles, grown, last_tiles
from services.audit import tiles
from services.audit.checkpoint_copies.guard import PublishedCheckpoints
from services.audit.domain.reading import Stored
from services.audit.log_reader import read
from shared.deciding.events import Cursor

PAGE = 2_000

SEALED = Counter("regista_audit_sealed", "Events sealed into the tree")
SIZE = Gauge("regista_audit_tree_size", "Leaves of the tree")
LAG = Gauge("regista_audit_seal_lag_seconds", "Age of the oldest event that is not sealed yet")
LONGEST_LAG = 60.0

HEAD = "SELECT origin, size, edge, tx, seq FROM audit.tree"

SEALED_COLUMNS = ("leaf_index", "seq", "service", "stream", "revision", "event_id", "leaf")

# Advances only from the size that was read: a second sealer fails here and writes nothing.
ADVANCE = (
    "UPDATE audit.tree SET size = $1, tiled = $1, edge = $2, tx = $3, seq = $4 WHERE size = $5 AND tiled = $5"
)

SIGN = "INSERT INTO audit.checkpoints (size, root, note) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"

NEWEST = "SELECT coalesce(max(size), 0) FROM audit.checkpoints"

# The first event without a leaf, also one that an open transaction still hides from the sealer.
UNSEALED = """
SELECT e.event_id FROM log.events e WHERE (e.tx, e.seq) > ($1::text::xid8, $2) ORDER BY e.tx, e.seq LIMIT 1
"""


class SealedTwice(Exception):  # noqa: N818
    """Another process sealed events: this process is no longer the leader and starts over."""


@dataclass(frozen=True, slots=True)
class Head:
    """The stored tree, and the position in the log up to which events are sealed."""

    origin: str
    tree: Tree
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class SealedPage:
    """The events that one step sealed.

    `after` and `up_to` are the log positions before and after the step.
    """

    after: Cursor
    up_to: Cursor
    events: Sequence[Stored]


def edge_of(stored: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a stored right edge."""
    return tuple(stored[at : at + HASH] for at in range(0, len(stored), HASH))


async def head(connection: asyncpg.Connection) -> Head:
    """Return the stored tree."""
    row = await connection.fetchrow(HEAD)
    return Head(row["origin"], Tree(row["size"], edge_of(row["edge"])), Cursor(row["tx"], row["seq"]))


class Sealer:
    """Seals page after page and signs the tree. Only the leader uses one, on its own connection."""

    def __init__(self, key: SigningKey, published: PublishedCheckpoints | None = None) -> None:
        self._key = key
        self._published = published or PublishedCheckpoints(key)
        self._at: tuple[Head, Tiles] | None = None
        self._signed = -1

    async def start(self, connection: asyncpg.Connection) -> tuple[Head, Tiles]:
        """Read the stored tree, compare it with what was published. Raises Contradicted, CopyUnavailable."""
        at = await head(connection)
        last = await tiles.complete(connection, at.tree.size)
        await self._published.check(connection, at.origin, at.tree)
        self._at = (at, last)
        return self._at

    async def step(self, connection: asyncpg.Connection) -> SealedPage:
        """Seal the next page. A crash leaves the whole page sealed or none of it.

        Raises Contradicted and CopyUnavailable, as `start` does: the tree may have to be read again.
        """
        at, last = self._at or await self.start(connection)
        events = await read(connection, at.cursor, PAGE)
        self._at = None  # read again if sealing fails
        self._at = await self._seal(connection, at, last, events) if events else (at, last)
        return SealedPage(at.cursor, self._at[0].cursor, events)

    @staticmethod
    async def _seal(
        connection: asyncpg.Connection, at: Head, last: Tiles, events: Sequence[Stored]
    ) -> tuple[Head, Tiles]:
        tree = at.tree.append(event.leaf for event in events)
        changed = grown(at.tree.size, last, (event.leaf for event in events))
        up_to = events[-1].cursor
        rows = [
            (index, e.cursor.seq, e.service, e.stream, e.revision, e.event_id, e.leaf)
            for index, e in enumerate(events, at.tree.size)
        ]
        async with connection.transaction():
            await connection.copy_records_to_table(
                "sealed", schema_name="audit", columns=SEALED_COLUMNS, records=rows
            )
            await tiles.write(connection, changed)
            moved = await connection.execute(
                ADVANCE, tree.size, b"".join(tree.edge), up_to.tx, up_to.seq, at.tree.size
            )
            if moved != "UPDATE 1":
                raise SealedTwice(SealedTwice.__doc__)
        SEALED.inc(len(events))
        SIZE.set(tree.size)
        held = {**last, **changed}
        return Head(at.origin, tree, up_to), {key: held[key] for key in last_tiles(tree.size)}

    async def sign(self, connection: asyncpg.Connection) -> bool:
        """Publish a checkpoint over the tree, then store it. Return False when there is one of this size.

        Raises Contradicted and CopyUnavailable.
        """
        at = self._at[0] if self._at else await head(connection)
        if self._signed < 0:
            self._signed = await connection.fetchval(NEWEST)
        if at.tree.size <= self._signed:
            return False
        await self._published.check(connection, at.origin, at.tree)
        checkpoint = Checkpoint(at.origin, at.tree.size, at.tree.root)
        note = signed(checkpoint, at.origin, self._key.private)
        await self._published.add(checkpoint, note)
        await connection.execute(SIGN, at.tree.size, at.tree.root, note)
        self._signed = at.tree.size
        return True


def verifier(origin: str, key: SigningKey) -> str:
    """Return the text by which others verify the checkpoints."""
    return verifier_key(origin, key.public)


class SealingLags(Exception):  # noqa: N818
    """Events wait too long to be sealed.

    Most often an open transaction hides them: look in pg_stat_activity for the oldest xact_start and end that
    session.
    """


async def check_lag(connection: asyncpg.Connection) -> None:
    """Measure how far sealing is behind. Raises SealingLags."""
    cursor = (await head(connection)).cursor
    event_id = await connection.fetchval(UNSEALED, str(cursor.tx), cursor.seq)
    age = (
        max(0.0, time.time() - (event_id.int >> 80) / 1000)
        if event_id is not None and event_id.version == 7
        else 0.0
    )
    LAG.set(age)
    if age > LONGEST_LAG:
        raise SealingLags(f"{age:.0f} s. {SealingLags.__doc__}")
