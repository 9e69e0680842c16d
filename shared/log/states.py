"""Folded states: cached per process by stream, and stored beside the log as snapshots.

Both are disposable: dropping them loses nothing.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from shared.deciding.decider import Fold, category_of
from shared.deciding.events import Recent, Upcaster
from shared.log.snapshots import SnapshotCodec

FIND = (
    "SELECT stream, revision, recorded_at, fold, state FROM {schema}.snapshots WHERE stream = ANY($1::text[])"
)

# A snapshot only ever moves forward.
KEEP = """
INSERT INTO {schema}.snapshots AS s (stream, revision, recorded_at, fold, state) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, recorded_at = excluded.recorded_at,
    fold = excluded.fold, state = excluded.state
WHERE s.fold <> excluded.fold OR s.revision < excluded.revision
"""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CachedState:
    """A stream's folded state, the revision it stands at, and when that was recorded.

    `kept` is the revision of its newest snapshot.
    """

    state: Any
    revision: int = 0
    recorded_at: datetime = NEVER
    kept: int = 0

    @property
    def wants_keeping(self) -> bool:
        """Whether a cold start would fold more than 500 events and a thirty-second of the stream.

        Writing snapshots that often costs about 10 µs an event.
        """
        return self.revision - self.kept >= max(500, self.revision // 32)

    @property
    def may_be_kept(self) -> bool:
        """Worth a snapshot when there is nothing else to do: a restart often follows a quiet time."""
        return self.revision - self.kept >= max(200, self.revision // 256)


class States:
    """The cache. The least recently used streams leave it first.

    `capacity` counts events, because a long stream takes more memory than a short one.
    """

    def __init__(
        self,
        schema: str,
        folds: Iterable[Fold[Any, Any]],
        capacity: int = 1_000_000,
        upcasters: Iterable[Upcaster] = (),
    ) -> None:
        self._schema = schema
        self._folds = {fold.category: fold for fold in folds}
        self._upcasters = tuple(upcasters)
        self._codecs: dict[str, SnapshotCodec] = {}
        self._held: OrderedDict[str, CachedState] = OrderedDict()
        self._capacity = capacity
        self._size = 0
        self._behind: set[str] = set()
        self.recent: Recent = Recent(2_000)

    def fold_of(self, stream: str) -> Fold[Any, Any]:
        """Return the fold of this stream. Raises KeyError for a category that the service does not have."""
        return self._folds[category_of(stream)]

    def get(self, stream: str) -> CachedState:
        """Return the state that this process saw last, or the initial one."""
        held = self._held.get(stream)
        if held is None:
            return CachedState(self.fold_of(stream).initial)
        self._held.move_to_end(stream)
        return held

    def put(self, stream: str, held: CachedState) -> None:
        """Cache a committed state."""
        previous = self._held.pop(stream, None)
        self._size += held.revision + 10 - (previous.revision + 10 if previous else 0)
        self._held[stream] = held
        (self._behind.add if held.may_be_kept else self._behind.discard)(stream)
        while self._size > self._capacity and len(self._held) > 1:
            name, gone = self._held.popitem(last=False)
            self._size -= gone.revision + 10
            self._behind.discard(name)

    def clear(self) -> None:
        """Drop everything cached: the database that answers may have lost what it was made from."""
        self._held.clear()
        self._behind.clear()
        self._size = 0
        self.recent.clear()

    def behind(self) -> Sequence[str]:
        """Return the streams whose snapshot is missing or old enough to be written again in a quiet time."""
        return tuple(self._behind)

    async def warm(self, connection: asyncpg.Connection, streams: Iterable[str]) -> None:
        """Load snapshots of the streams that are not cached. Call it before the transaction."""
        cold = [stream for stream in streams if stream not in self._held]
        if not cold:
            return
        for row in await connection.fetch(FIND.format(schema=self._schema), cold):
            codec = self.codec(category_of(row["stream"]))
            if row["fold"] == codec.fingerprint:
                self.put(
                    row["stream"],
                    CachedState(
                        codec.load(row["state"]), row["revision"], row["recorded_at"], row["revision"]
                    ),
                )

    async def keep(self, connection: asyncpg.Connection, stream: str, held: CachedState) -> None:
        """Write a snapshot beside the log."""
        codec = self.codec(category_of(stream))
        await connection.execute(
            KEEP.format(schema=self._schema),
            stream,
            held.revision,
            held.recorded_at,
            codec.fingerprint,
            codec.dump(held.state),
        )
        now = self._held.get(stream)
        if now is not None:
            self.put(stream, dataclasses.replace(now, kept=max(now.kept, held.revision)))

    def prepare(self) -> None:
        """Make the codecs of all folds. Their fingerprints take 0.1 s: call it in a thread at start."""
        for category in self._folds:
            self.codec(category)

    def codec(self, category: str) -> SnapshotCodec:
        if category not in self._codecs:
            self._codecs[category] = SnapshotCodec(self._folds[category], self._upcasters)
        return self._codecs[category]
