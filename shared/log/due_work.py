"""Describe work that is due at a time: rows with a due time, which any replica leases.

No timer is kept in memory.
"""

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
"""A read model. A service with due work lists it in its tables, and its projection puts and drops the rows.
"""


@dataclass(frozen=True, slots=True)
class DueRow:
    """A row of due work that this process has leased. `attempt` counts from 1."""

    service: str
    kind: str
    key: str
    due_at: datetime
    data: dict[str, Any]
    attempt: int = 1

    def cause(self, part: str = "") -> Cause:
        """Return the cause of its commands: the same for every attempt, so that each command runs once.

        `part` distinguishes several commands.
        """
        key = f"{self.key}@{self.due_at.isoformat()}"
        content = encode([self.kind, self.key, self.due_at, self.data])
        return Cause(
            source=f"{self.service}/due/{self.kind}",
            id=f"{key}/{part}" if part else key,
            digest=hashlib.sha256(content).digest(),
            trace=current_trace(),
        )

    @property
    def actor(self) -> Actor:
        """The service itself, as the actor of its commands."""
        return Actor(f"service:{self.service}")


Handle = Callable[[DueRow], Awaitable[Sequence[Submission]]]


@dataclass(frozen=True, slots=True)
class DueWork:
    """Due work of one kind.

    `handle` does the work, for at most `timeout` seconds, and returns the commands that follow from it. The
    lease of `lease` seconds is renewed meanwhile. The events of the last command must change or drop the row:
    it runs after all others succeeded. A row that is still due is tried again after a growing pause.
    `concurrency` is the number of rows that one process handles at a time, `poll` the seconds between two
    looks without a wake-up.
    """

    kind: str
    handle: Handle
    concurrency: int = field(default=4, kw_only=True)
    lease: float = field(default=30.0, kw_only=True)
    poll: float = field(default=1.0, kw_only=True)
    timeout: float = field(default=3600.0, kw_only=True)
