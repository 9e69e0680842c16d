"""Events become leaves: each exactly once, in the log's order, with the tree's new edge in the same transaction; then checkpoints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from prometheus_client import Counter, Gauge

from regista.wire.checkpoint import Checkpoint, signed, verifier_key
from regista.wire.keys import SigningKey
from regista.wire.merkle import Tree
from services.audit.domain.reading import Stored
from services.audit.log_reader import read
from shared.deciding.events import Cursor

PAGE = 2_000

SEALED = Counter("regista_audit_sealed", "Events sealed into the tree")
SIZE = Gauge("regista_audit_tree_size", "Leaves of the tree")
LAG = Gauge("regista_audit_seal_lag_seconds", "Age of the oldest event that is not sealed yet")
LONGEST_LAG = 60.0

HEAD = "SELECT origin, size, edge, tx, seq FROM audit.tree"

SEAL = """
INSERT INTO audit.sealed (leaf_index, seq, service, stream, revision, event_id, leaf)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::bytea[])
"""

# Moves on only from the size that was read: a second sealer, however it came about, fails here and writes
# nothing.
ADVANCE = "UPDATE audit.tree SET size = $1, edge = $2, tx = $3, seq = $4 WHERE size = $5"

SIGN = "INSERT INTO audit.checkpoints (size, root, note) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"

NEWEST = "SELECT coalesce(max(size), 0) FROM audit.checkpoints"

# The first event that no leaf stands for yet, also one that an open transaction still hides from the sealer.
UNSEALED = "SELECT e.event_id FROM log.events e WHERE (e.tx, e.seq) > ($1::text::xid8, $2) ORDER BY e.tx, e.seq LIMIT 1"


class SealedTwice(Exception):  # noqa: N818
    """Another process moved the tree: this one has lost its leadership and must start over."""


@dataclass(frozen=True, slots=True)
class Head:
    """The tree as it is stored, and the place in the log up to which it goes."""

    origin: str
    tree: Tree
    cursor: Cursor


async def head(connection: asyncpg.Connection) -> Head:
    """The stored tree."""
    row = await connection.fetchrow(HEAD)
    edge = tuple(row["edge"][at : at + 32] for at in range(0, len(row["edge"]), 32))
    return Head(row["origin"], Tree(row["size"], edge), Cursor(row["tx"], row["seq"]))


class Sealer:
    """Seals page after page and signs the tree. One at a time, on the leader's connection."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._head: Head | None = None
        self._signed = -1

    async def step(self, connection: asyncpg.Connection) -> int:
        """Seals the next page. Dying anywhere here leaves either the whole page sealed or nothing of it."""
        at = self._head or await head(connection)
        page = await read(connection, at.cursor, PAGE)
        if page:
            self._head = None
            self._head = await self._seal(connection, at, page)
        else:
            self._head = at
        return len(page)

    async def _seal(self, connection: asyncpg.Connection, at: Head, page: Sequence[Stored]) -> Head:
        tree = at.tree.append(stored.leaf for stored in page)
        after = page[-1].cursor
        async with connection.transaction():
            await connection.execute(
                SEAL,
                range(at.tree.size, tree.size),
                [s.cursor.seq for s in page],
                [s.service for s in page],
                [s.stream for s in page],
                [s.revision for s in page],
                [s.event_id for s in page],
                [s.leaf for s in page],
            )
            moved = await connection.execute(
                ADVANCE, tree.size, b"".join(tree.edge), after.tx, after.seq, at.tree.size
            )
            if moved != "UPDATE 1":
                raise SealedTwice(SealedTwice.__doc__)
        SEALED.inc(len(page))
        SIZE.set(tree.size)
        return Head(at.origin, tree, after)

    async def sign(self, connection: asyncpg.Connection) -> bool:
        """A checkpoint over the tree as it is; False when there is one of this size already."""
        at = self._head or await head(connection)
        if self._signed < 0:
            self._signed = await connection.fetchval(NEWEST)
        if at.tree.size <= self._signed:
            return False
        note = signed(Checkpoint(at.origin, at.tree.size, at.tree.root), at.origin, self._key.private)
        await connection.execute(SIGN, at.tree.size, at.tree.root, note)
        self._signed = at.tree.size
        return True


def verifier(origin: str, key: SigningKey) -> str:
    """The text by which others verify the checkpoints."""
    return verifier_key(origin, key.public)


class SealingLags(Exception):  # noqa: N818
    """Events wait to be sealed for too long.

    Most often a transaction was left open and hides them: see pg_stat_activity, oldest xact_start.
    """


async def check_lag(connection: asyncpg.Connection) -> None:
    """Measures how far sealing is behind. Raises SealingLags."""
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
