"""Follow the log while this process leads: seal, sign, then index.

Any number of replicas run; one of them leads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import asyncpg
from prometheus_client import Counter, Gauge

from regista.wire.keys import SigningKey
from services.audit import index_writer, log_reader
from services.audit.checkpoint_copies.copies import CopyUnavailable
from services.audit.checkpoint_copies.guard import Contradicted, PublishedCheckpoints
from services.audit.sealing import PAGE, SealedPage, SealedTwice, Sealer
from services.audit.tiles import NotTiled
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, leadership, wait_for_wake_up
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.log import eventlog

if TYPE_CHECKING:
    from shared.foundation.readiness import Readiness
    from shared.http.app import App

log = logging.getLogger(__name__)

SIGN_EVERY = 1.0
"""Seconds between two checkpoints while events keep coming."""

GATHER = 0.2
"""Seconds between two rounds while events keep coming.

A round costs a dozen statements, however few events it seals.
"""

FIRST_WAIT, LONGEST_WAIT = 0.01, 1.0
"""Seconds to the next round when a wake-up brought no event, then ever longer: a transaction may still hide
the newest one.
"""

INDEX_AGAIN = 2.0
"""Seconds until a page that could not be indexed is tried again."""

LOOK_AGAIN = 4.0
"""Seconds until a log that contradicts what was published is compared again."""

PUBLISHED = "published"
"""The part of readiness that reports whether the log continues every published log checkpoint."""

COPIES = "waits for the copies of log checkpoints"

LEADS = Gauge("regista_audit_leads", "1 while this process seals")
NOT_INDEXED = Counter("regista_audit_index_failures", "Pages that could not be indexed; each is tried again")


async def follow_log(app: App, key: SigningKey, published: PublishedCheckpoints | None = None) -> None:
    """Seal, sign and index for the life of the process, whenever this process leads.

    Wait while the database is unreachable, while the log contradicts what was `published`, and while a
    restored dump is not accepted.
    """
    published = published or PublishedCheckpoints(key)
    try:
        await _follow(app, key, published)
    finally:
        await published.close()


async def _follow(app: App, key: SigningKey, published: PublishedCheckpoints) -> None:
    while True:
        app.readiness.clear("leader")
        try:
            async with leadership(
                app.settings.database_url, "audit", on_follow=functools.partial(_follows, app.readiness)
            ) as connection:
                LEADS.set(1)
                await _lead_or_stop(connection, Sealer(key, published), app.readiness)
        except eventlog.LogStopped as stopped:
            app.readiness.wait(PUBLISHED, str(stopped))
            await asyncio.sleep(LOOK_AGAIN)
        except Contradicted as contradicted:
            app.readiness.wait(PUBLISHED, str(contradicted))
            await asyncio.sleep(LOOK_AGAIN)
        except CopyUnavailable as unavailable:
            raise_if_cancelled()
            app.readiness.wait(PUBLISHED, f"sealing {COPIES} ({unavailable})")
        except CONNECTION_ERRORS as error:
            raise_if_cancelled()
            POSTGRES.report(error)
        except (SealedTwice, NotTiled, asyncpg.PostgresError) as fault:
            raise_if_cancelled()
            log.warning("sealing starts over", exc_info=fault)
            app.readiness.wait("leader", f"starts over ({type(fault).__name__}: {fault})")
        finally:
            LEADS.set(0)
            app.readiness.clear("index")
        await asyncio.sleep(1)


def _follows(readiness: Readiness) -> None:
    """Withdraw that this process waits for copies: another one leads. A contradicted log concerns both."""
    if COPIES in readiness.reasons.get(PUBLISHED, ""):
        readiness.clear(PUBLISHED)


async def _lead_or_stop(connection: asyncpg.Connection, sealer: Sealer, readiness: Readiness) -> None:
    """Lead; when the log contradicts what was published, stop services that append. Raises Contradicted."""
    try:
        await _lead(connection, sealer, readiness)
    except Contradicted as contradicted:
        await eventlog.stop(connection, str(contradicted))
        raise


async def _lead(connection: asyncpg.Connection, sealer: Sealer, readiness: Readiness) -> None:
    """Seal first: an event that cannot be indexed is sealed and signed all the same."""
    await eventlog.check_not_restored(connection)  # after an outage it may be another server, which is behind
    await index_writer.reset_outdated_index(connection)
    await sealer.start(connection)
    await eventlog.release(connection)
    index, signer, wait = _Index(readiness), _Signer(sealer, readiness), FIRST_WAIT
    async with _subscribed(connection) as wake_up:
        while True:
            woken = wake_up.is_set()
            wake_up.clear()
            page = await sealer.step(connection)
            await signer.step(connection)
            done = max(len(page.events), await index.step(connection, page))
            if done:
                wait = FIRST_WAIT
                await asyncio.sleep(GATHER if done < PAGE else 0)
            else:
                wait = FIRST_WAIT if woken else min(wait * 2, LONGEST_WAIT)
                await wait_for_wake_up(wake_up, wait)


class _Signer:
    """Signs the tree now and then. While a copy outside the database is unavailable, sealing goes on."""

    def __init__(self, sealer: Sealer, readiness: Readiness) -> None:
        self._sealer, self._readiness = sealer, readiness
        self._signed_at = float("-inf")

    async def step(self, connection: asyncpg.Connection) -> None:
        if time.monotonic() - self._signed_at < SIGN_EVERY:
            return
        try:
            if await self._sealer.sign(connection):
                self._signed_at = time.monotonic()
        except CopyUnavailable as unavailable:
            raise_if_cancelled()
            self._signed_at = time.monotonic()
            self._readiness.wait(PUBLISHED, f"signing {COPIES} ({unavailable}); sealing goes on")
        else:
            self._readiness.clear(PUBLISHED)


class _Index:
    """Indexes what was sealed.

    A failure is reported by readiness and tried again later; only a lost connection ends the leader's round.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._again_at = 0.0

    async def step(self, connection: asyncpg.Connection, page: SealedPage) -> int:
        """Index a page.

        Return how many events were indexed; 1 when a rebuild swapped the generation meanwhile.
        """
        if time.monotonic() < self._again_at:
            return 0
        try:
            done = await index_writer.step(connection, page)
        except index_writer.Overtaken:
            return 1
        except Exception as fault:  # whatever an event holds, it must not stop the seal
            raise_if_cancelled()
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
            "the next page could not be indexed; it is tried again, and sealing goes on", exc_info=fault
        )
        self._readiness.wait(
            "index", f"timelines end where indexing fails; sealing goes on ({type(fault).__name__}: {fault})"
        )


@contextlib.asynccontextmanager
async def _subscribed(connection: asyncpg.Connection) -> AsyncIterator[asyncio.Event]:
    """Yield an event that is set whenever any service reports that it appended."""
    wake_up = asyncio.Event()
    channels = [f"regista_{name}" for name in await log_reader.partitions(connection)]
    for channel in channels:
        await connection.add_listener(channel, lambda *_: wake_up.set())
    yield wake_up
