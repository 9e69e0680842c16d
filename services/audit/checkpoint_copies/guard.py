"""Compare the tree with every log checkpoint that was published, before another one is signed."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from prometheus_client import Gauge

from regista.wire.checkpoint import BadCheckpoint, Checkpoint, opened, unverified
from regista.wire.keys import SigningKey
from regista.wire.merkle import Tree, consistency_ranges, verify_consistency
from services.audit import tiles
from services.audit.checkpoint_copies.copies import Copy

CONTRADICTED = Gauge(
    "regista_audit_contradicted", "1 while the log contradicts a published log checkpoint: nothing is signed"
)

NEWEST = "SELECT note FROM audit.checkpoints ORDER BY size DESC LIMIT 1"

ADVICE = (
    "The database was restored to an older copy, replaced, or rewritten. Nothing is sealed or signed, and no"
    " service writes. Keep the database as it is and run `regista doctor`: it names what is lost, and what to"
    " run next."
)


class Contradicted(Exception):  # noqa: N818
    """The log contradicts a log checkpoint that was published. Nothing more is signed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}. {ADVICE}")
        self.what = what


class PublishedCheckpoints:
    """What audit published: the last log checkpoint of this process, and the copies outside the database.

    A log checkpoint is stored in every copy before it is stored in the database and served.
    """

    def __init__(self, key: SigningKey, copies: Sequence[Copy] = ()) -> None:
        self._key, self._copies = key, tuple(copies)
        self._last: tuple[Checkpoint, str] | None = None

    async def check(self, connection: asyncpg.Connection, origin: str, tree: Tree) -> None:
        """Compare the tree with what the database, this process and each copy have.

        Raises Contradicted and CopyUnavailable.
        """
        if self._last:
            await self._compare(connection, origin, tree, *self._last)
        stored = await connection.fetchval(NEWEST)
        notes = [("the database", stored)] if stored else []
        for copy in self._copies:
            notes += [(copy.name, note) for note in await copy.newest(origin)]
        for where, note in notes:
            published = self._of_this_key(note) if where == "the database" else self._relevant(note, origin)
            if published is not None:
                await self._compare(connection, origin, tree, published, where)
        CONTRADICTED.set(0)

    async def add(self, checkpoint: Checkpoint, note: str) -> None:
        """Store a signed note in each copy. Raises Contradicted and CopyUnavailable."""
        for copy in self._copies:
            if unverified(await copy.add(checkpoint, note)) != checkpoint:
                raise _contradicted(f"{copy.name} has another log checkpoint of {checkpoint.size} events")
            self._last = (checkpoint, copy.name)  # the first copy may be read already
        self._last = (checkpoint, "this process")

    async def close(self) -> None:
        """Close the connections of the copies."""
        for copy in self._copies:
            await copy.close()

    def _relevant(self, note: str, origin: str) -> Checkpoint | None:
        """Return the checkpoint of this log, whatever key signed it, or of another log by this key.

        Only audit writes the copies, and its key may have been replaced since.
        """
        found = unverified(note)
        return found if found is not None and found.origin == origin else self._of_this_key(note)

    def _of_this_key(self, note: str) -> Checkpoint | None:
        found = unverified(note)
        try:
            return found and opened(note, found.origin, self._key.public)
        except BadCheckpoint:
            return None

    async def _compare(
        self, connection: asyncpg.Connection, origin: str, tree: Tree, published: Checkpoint, where: str
    ) -> None:
        if published.origin != origin:
            raise _contradicted(
                f"the database has the log {origin}, and {where} a log checkpoint of the log"
                f" {published.origin}, signed by the same key"
            )
        if published.size > tree.size:
            raise _contradicted(
                f"{tree.size} events are sealed, and {where} has a log checkpoint of {published.size}:"
                f" {published.size - tree.size} events are missing"
            )
        ranges = consistency_ranges(published.size, tree.size)
        proof = await tiles.heads_over(connection, ranges)
        if not verify_consistency(published.size, published.root, tree.size, tree.root, proof):
            raise _contradicted(
                f"the log does not continue the log checkpoint of {published.size} in {where}"
            )


def _contradicted(what: str) -> Contradicted:
    CONTRADICTED.set(1)
    return Contradicted(what)
