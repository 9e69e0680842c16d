"""Turn API keys and signature keys into actors, from identities in memory that follow the log."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from regista.wire.keys import new_key_id, random_text
from shared.deciding.access import ACCESS_EVENTS, PARTITION
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, wait_for_wake_up
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.identity.identities import Identified, Identities
from shared.identity.key_use import KeyUse
from shared.identity.public_keys import Signer
from shared.log import eventlog

if TYPE_CHECKING:
    import asyncpg

LAG = Gauge(
    "regista_identities_lag_seconds",
    "Time since identities were last read completely: keys revoked since are still valid in this process",
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A new API key. `text` is shown once; only `verifier` (hex) may be stored."""

    key_id: str
    text: str = field(repr=False)
    verifier: str


def new_api_key(pepper: str, key_id: str = "") -> ApiKey:
    """Return a new API key `rg_<key id>_<secret>`. The secret has 250 bits."""
    key_id = key_id or new_key_id()
    text = f"rg_{key_id}_{random_text(42)}"
    return ApiKey(key_id, text, verifier_of(text, pepper))


def verifier_of(api_key: str, pepper: str) -> str:
    """Return the keyed hash (HMAC-SHA-256, hex) of an API key: the only form in which it is stored."""
    return hmac.digest(pepper.encode(), api_key.encode(), "sha256").hex()


class AccessView:
    """The identities of this process.

    It follows the partition `access` of the log by wake-ups and by polling. It applies every committed event,
    also behind an open transaction: a revocation must not wait for a transaction that has nothing to do with
    it. What was read behind one is read again until it is settled.

    Its content may be a moment old: commands check their permission again inside their transaction.
    """

    POLL = 1.0
    PAGE = 5_000
    PAUSE = 0.2

    def __init__(self, pool: asyncpg.Pool, pepper: str, wake_up: WakeUp) -> None:
        self.identities = Identities(pepper)
        self._pool = pool
        self._wake_up = wake_up
        self._pepper = pepper
        self._reading = asyncio.Lock()
        self.key_use = KeyUse(pool)
        self._read_from = 0.0
        LAG.set_function(self.lag)

    def lag(self) -> float:
        """Return the seconds since the beginning of the last complete read of the log."""
        return time.monotonic() - self._read_from if self._read_from else math.inf

    async def run(self) -> None:
        """Follow the log for the life of the process. While the database is unavailable, nothing changes."""
        after_outage = False
        with self._wake_up.subscribe() as woken:
            while True:
                woken.clear()
                try:
                    await (self._read_all_again() if after_outage else self.catch_up())
                    after_outage = False
                except CONNECTION_ERRORS as error:
                    raise_if_cancelled()
                    after_outage = True
                    POSTGRES.report(error)
                await wait_for_wake_up(woken, self.POLL)

    async def catch_up(self) -> None:
        """Read all that the log has at the time of the call. One of several callers reads for all."""
        called_at = time.monotonic()
        async with self._reading:
            if self._read_from >= called_at:
                return
            began = time.monotonic()
            await self._read(self.identities)
            self._read_from = began

    async def _read_all_again(self) -> None:
        """Read the whole partition: after an outage another server may answer that lacks the last events."""
        async with self._reading:
            fresh, began = Identities(self._pepper), time.monotonic()
            await self._read(fresh)
            self.identities, self._read_from = fresh, began

    async def horizon(self) -> int:
        """Return the next transaction id of the server: every key that was issued before now is below it."""
        return int(await self._pool.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))

    async def read_past(self, horizon: int) -> bool:
        """Catch up and return whether all events below `horizon` are applied.

        They are not while a transaction that began before `horizon` is open: readers of the log wait for it.
        """
        oldest = await self._pool.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        await self.catch_up()
        return bool(oldest >= horizon)

    async def _read(self, identities: Identities) -> None:
        after = identities.at
        while True:
            async with self._pool.acquire() as connection:
                page = await eventlog.read_visible(connection, PARTITION, after, self.PAGE)
            for event in page:
                if not identities.has(event.stream, event.revision):
                    recorded = ACCESS_EVENTS.recorded(PARTITION, event.bytes)
                    identities.apply_recorded(recorded, event.cursor)
                if event.settled:
                    identities.at = event.cursor
                after = event.cursor
            if len(page) < self.PAGE:
                return

    async def look_again(self) -> None:
        """Catch up for an unknown key or sign-in, which may be new; at most once in PAUSE seconds."""
        await asyncio.sleep(max(0.0, self._read_from + self.PAUSE - time.monotonic()))
        await self.catch_up()

    async def ended(self, key_id: str) -> str:
        """Return why a signature by this key is invalid now, or "" while it is valid."""
        await self.catch_up()
        signer = self.identities.signer(key_id)
        if signer is None or signer.live(datetime.now(UTC)):
            return ""
        return (
            f"{key_id} was revoked as compromised"
            if signer.compromised
            else f"{key_id} was revoked or has expired"
        )

    async def identify(self, api_key: str) -> Identified | None:
        """Return the caller of a live API key, or None. An unknown key makes it catch up first.

        Raises one of CONNECTION_ERRORS while the database is unavailable: the key may have been issued since.
        """
        found = self.by_api_key(api_key)
        if found is None:
            await self.look_again()
            found = self.by_api_key(api_key)
        return found

    def by_api_key(self, api_key: str) -> Identified | None:
        """Return what `identify` returns, without catching up."""
        found = self.identities.by_api_key(api_key)
        if found is not None:
            self.key_use.note(found.key_id)
        return found

    def signer(self, key_id: str) -> Signer | None:
        """Return the owner of an Ed25519 key, live or not, without catching up."""
        return self.identities.signer(key_id)
