"""Store the last day on which each key was used: coarse, so that a request costs a look-up in memory.

It is neither an event nor a read model: the days stand in the directory (shared/migrate.py). A crash loses
the uses of the last FLUSH_EVERY seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS
from shared.foundation.postgres_errors import NOT_MIGRATED, raise_if_cancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

log = logging.getLogger(__name__)

FLUSH_EVERY = 30.0

WRITE = """
INSERT INTO directory.key_use AS u (key_id, day)
SELECT key_id, day FROM unnest($1::text[], $2::date[]) AS seen (key_id, day)
ON CONFLICT (key_id, service) DO UPDATE SET day = excluded.day WHERE u.day < excluded.day
"""


def _today() -> date:
    return datetime.now(UTC).date()


class KeyUse:
    """The uses of keys in this process that are not stored yet."""

    def __init__(self, pool: asyncpg.Pool, today: Callable[[], date] = _today) -> None:
        self._pool = pool
        self._today = today
        self._seen: dict[str, date] = {}
        self._stored: dict[str, date] = {}

    def note(self, key_id: str) -> None:
        """Note that a live key was used now."""
        today = self._today()
        if self._stored.get(key_id) != today:
            self._seen[key_id] = today

    async def flush(self) -> None:
        """Store what was noted."""
        if seen := dict(self._seen):
            await self._pool.execute(WRITE, list(seen), list(seen.values()))
            self._stored |= seen
            self._seen = {key: day for key, day in self._seen.items() if seen.get(key) != day}

    async def run(self) -> None:
        """Flush for the life of the process, and a last time when it ends."""
        try:
            while True:
                await asyncio.sleep(FLUSH_EVERY)
                try:
                    await self.flush()
                except (*CONNECTION_ERRORS, *NOT_MIGRATED) as error:
                    raise_if_cancelled()
                    POSTGRES.report(error)
        finally:
            with contextlib.suppress(*CONNECTION_ERRORS, *NOT_MIGRATED, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.flush()
