"""What is due at a time: rows with a due time, leased by any replica in short transactions; never a timer in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.deciding.events import Actor, encode
from shared.deciding.submission import Cause, Submission
from shared.foundation.telemetry import current_trace

DUE = Table(
    "due",
    MetaData(),
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("data", JSONB, nullable=False),
    Index("due_by_time", "kind", "due_at"),
)
"""A read model: a service that has due work lists it among its tables, and its projection Puts and Drops the rows."""


@dataclass(frozen=True, slots=True)
class DueRow:
    """One piece of due work, leased to this process. `attempt` counts from 1."""

    service: str
    kind: str
    key: str
    due_at: datetime
    data: dict[str, Any]
    attempt: int = 1

    def cause(self, part: str = "") -> Cause:
        """Why its commands run: the same for every attempt, so that what an attempt did is done once.

        `part` tells several commands apart.
        """
        key = f"{self.key}@{self.due_at.isoformat()}"
        told = encode([self.kind, self.key, self.due_at, self.data])
        return Cause(
            source=f"{self.service}/due/{self.kind}",
            id=f"{key}/{part}" if part else key,
            digest=hashlib.sha256(told).digest(),
            trace=current_trace(),
        )

    @property
    def actor(self) -> Actor:
        """The service itself."""
        return Actor(f"service:{self.service}")


Handle = Callable[[DueRow], Awaitable[Sequence[Submission]]]


@dataclass(frozen=True, slots=True)
class DueWork:
    """Work of one kind. `handle` may do long I/O (the lease is renewed meanwhile), for `timeout` seconds, and returns the commands that follow from it.

    The events of the last one must change or drop the row: it is run only when all before it have been, so
    that a part that failed is not forgotten. A row that is still due afterwards is tried again, ever more
    slowly.
    """

    kind: str
    handle: Handle
    concurrency: int = field(default=4, kw_only=True)
    lease: float = field(default=30.0, kw_only=True)
    poll: float = field(default=1.0, kw_only=True)
    timeout: float = field(default=3600.0, kw_only=True)
