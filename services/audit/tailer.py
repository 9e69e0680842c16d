"""Follows the log as long as it leads: seals, signs, then indexes.

Any number of replicas; one of them works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import asyncpg
from prometheus_client import Counter, Gauge

from regista.wire.keys import SigningKey
from services.audit import indexing, log_reader
from services.audit.sealing import SealedTwice, Sealer
from shared.foundation.postgres import CONNECTION_ERRORS, leadership, wait_for_wake_up
from shared.log import eventlog

if TYPE_CHECKING:
    from shared.foundation.readiness import Readiness
    from shared.http.app import App

log = logging.getLogger(__name__)

SIGN_EVERY = 1.0
"""Seconds between two checkpoints while events keep coming.

The last event of a burst is covered as soon as this has passed.
"""
FIRST_WAIT, LONGEST_WAIT = 0.01, 1.0
"""After a ring the newest event may still hide behind another transaction: look again soon, then ever less often."""

INDEX_AGAIN = 2.0
"""Seconds until a page that could not be indexed is tried again."""

LEADS = Gauge("regista_audit_leads", "1 while this process seals")
NOT_INDEXED = Counter("regista_audit_index_failures", "Pages that could not be indexed; each is tried again")


async def tail(app: App, key: SigningKey) -> None:
    """For the life of the process. What is away is waited for; cursor and tree in the database say where to go on.

    Raises RestoredBehind when the server that answers is one that was restored behind the log.
    """
    while True:
        app.readiness.clear("tailer")
        try:
            async with leadership(app.settings.database_url, "audit") as connection:
                LEADS.set(1)
                await _lead(connection, key, app.readiness)
        except CONNECTION_ERRORS as away:
            log.info("the tailer waits: the database is away (%s)", type(away).__name__)
        except (SealedTwice, asyncpg.PostgresError) as fault:
            log.warning("the tailer starts over", exc_info=fault)
            app.readiness.wait("tailer", f"starts over ({type(fault).__name__}: {fault})")
        finally:
            LEADS.set(0)
            app.readiness.clear("index")
        await asyncio.sleep(1)


async def _lead(connection: asyncpg.Connection, key: SigningKey, readiness: Readiness) -> None:
    """The seal comes first and hangs on nothing else: what cannot be indexed is sealed and signed all the same."""
    await eventlog.check_not_restored(connection)  # after an outage it may be another server, which is behind
    await log_reader.reset_outdated_index(connection)
    sealer, index, signed_at, wait = Sealer(key), _Index(readiness), 0.0, FIRST_WAIT
    async with _heard(connection) as ring:
        while True:
            rung = ring.is_set()
            ring.clear()
            done = await sealer.step(connection)
            if time.monotonic() - signed_at >= SIGN_EVERY and await sealer.sign(connection):
                signed_at = time.monotonic()
            done += await index.step(connection)
            wait = FIRST_WAIT if done or rung else min(wait * 2, LONGEST_WAIT)
            if not done:
                await wait_for_wake_up(ring, wait)


class _Index:
    """Indexes page after page.

    What fails is told and tried again after a while; only a lost connection ends the leader's round.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._again_at = 0.0

    async def step(self, connection: asyncpg.Connection) -> int:
        """A rebuild that swapped in the middle of a page only means: once more, from the new generation."""
        if time.monotonic() < self._again_at:
            return 0
        try:
            done = await indexing.step(connection)
        except indexing.Overtaken:
            return 1
        except Exception as fault:  # whatever an event says: it must not stop the seal
            if connection.is_closed():
                raise
            self._failed(fault)
            return 0
        self._readiness.clear("index")
        return done

    def _failed(self, fault: Exception) -> None:
        self._again_at = time.monotonic() + INDEX_AGAIN
        NOT_INDEXED.inc()
        log.warning(
            "the next page could not be indexed; sealing goes on, and it is tried again", exc_info=fault
        )
        self._readiness.wait(
            "index", f"timelines end where indexing fails; sealing goes on ({type(fault).__name__}: {fault})"
        )


@contextlib.asynccontextmanager
async def _heard(connection: asyncpg.Connection) -> AsyncIterator[asyncio.Event]:
    """An event set whenever any service rings that it appended."""
    ring = asyncio.Event()
    channels = [f"regista_{name}" for name in await log_reader.partitions(connection)]
    for channel in channels:
        await connection.add_listener(channel, lambda *_: ring.set())
    yield ring
