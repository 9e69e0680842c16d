"""The one place that turns an API key or a signature's key into an actor: all identities in memory, kept up to date from the log."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from regista.wire.keys import new_key_id, random_text
from shared.deciding.access import (
    ACCESS,
    ACCESS_EVENTS,
    PARTITION,
    AccessEvent,
    AccessState,
    KeyIssued,
    KeyRevoked,
    evolve_access,
)
from shared.deciding.events import START, Actor, Cursor
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, wait_for_wake_up
from shared.log import eventlog

if TYPE_CHECKING:
    import asyncpg

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A new API key: `text` is shown once, `verifier` (hex) is what may be stored."""

    key_id: str
    text: str = field(repr=False)
    verifier: str


def new_api_key(pepper: str, key_id: str = "") -> ApiKey:
    """Mints `rg_<key id>_<secret>`; the secret has 250 bits."""
    key_id = key_id or new_key_id()
    text = f"rg_{key_id}_{random_text(42)}"
    return ApiKey(key_id, text, verifier_of(text, pepper))


def verifier_of(api_key: str, pepper: str) -> str:
    """The keyed hash (HMAC-SHA-256, hex) of the whole text of an API key: the only form in which it is stored."""
    return hmac.digest(pepper.encode(), api_key.encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller whose key was verified."""

    actor: Actor
    state: AccessState


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose public key it is. `public_key` is the raw 32 bytes; the key ended, or will end, at `until`."""

    subject: str
    kind: str
    public_key: bytes
    until: datetime | None = None
    compromised: bool = False

    def live(self, at: datetime) -> bool:
        """Whether the key was good at that moment."""
        return not self.compromised and (self.until is None or at < self.until)


class Identities:
    """All identities in memory, by key and by subject.

    Changes by `apply` only; every look-up is a dict read and at most one HMAC.
    """

    def __init__(self, pepper: str) -> None:
        self.at: Cursor = START
        """How far in the log."""
        self._pepper = pepper.encode()
        self._states: dict[str, AccessState] = {}
        self._owner: dict[str, str] = {}
        self._revoked_at: dict[str, datetime] = {}

    def apply(self, event: AccessEvent, at: datetime) -> None:
        """Folds one event of the log, recorded at `at`.

        A key id stays with the first who got it: a stream knows its own keys only, so others may be given the
        same.
        """
        self._states[event.subject] = evolve_access(self._states.get(event.subject, ACCESS.initial), event)
        if isinstance(event, KeyIssued):
            self._owner.setdefault(event.key_id, event.subject)
        if isinstance(event, KeyRevoked) and self._owner.get(event.key_id) == event.subject:
            self._revoked_at.setdefault(event.key_id, at)

    def by_api_key(self, text: str, now: datetime | None = None) -> Identified | None:
        """The caller of a live API key `rg_<key id>_<secret>`, else None.

        Compares in constant time, also when the key is unknown.
        """
        key_id = text[3:].partition("_")[0] if text.startswith("rg_") else ""
        state = self._states.get(self._owner.get(key_id, ""))
        key = state.keys.get(key_id) if state else None
        told = hmac.digest(self._pepper, text.encode("utf-8", "replace"), "sha256")
        known = bytes.fromhex(key.verifier) if key and key.algorithm == "hmac-sha256" else bytes(32)
        if (
            not hmac.compare_digest(told, known)
            or state is None
            or key is None
            or not key.live(now or datetime.now(UTC))
        ):
            return None
        return Identified(Actor(state.subject, method=f"api-key:{key.key_id}"), state)

    def signer(self, key_id: str) -> Signer | None:
        """The owner of an Ed25519 key, live or not; None for a key that nobody has."""
        state = self._states.get(self._owner.get(key_id, ""))
        key = state.keys.get(key_id) if state else None
        if state is None or key is None or key.algorithm != "ed25519":
            return None
        ends = [moment for moment in (key.expires_at, self._revoked_at.get(key_id)) if moment is not None]
        return Signer(
            state.subject, state.kind, bytes.fromhex(key.verifier), min(ends, default=None), key.compromised
        )


class AccessView:
    """The identities of this process, tailing the partition `access` of the log: woken by its wake_up, polling each second.

    What the view says may be a moment old; commands check their permission again inside their transaction.
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
        self._read_from = 0.0

    async def run(self) -> None:
        """Follows the log for the life of the process.

        While the database is away the view stays as it was.
        """
        was_away = False
        with self._wake_up.subscribe() as rung:
            while True:
                rung.clear()
                try:
                    await (self._begin_again() if was_away else self.catch_up())
                    was_away = False
                except CONNECTION_ERRORS as away:
                    was_away = True
                    log.warning(
                        "identities stay as they were: the database is away (%s)", type(away).__name__
                    )
                await wait_for_wake_up(rung, self.POLL)

    async def catch_up(self) -> None:
        """Reads what the log had when it was called; of many callers at once one reads for all who wait."""
        asked = time.monotonic()
        async with self._reading:
            if self._read_from >= asked:
                return
            began = time.monotonic()
            await self._read(self.identities)
            self._read_from = began

    async def _begin_again(self) -> None:
        """After an outage another server may answer, which lost the last events: what it does not have never happened."""
        async with self._reading:
            fresh = Identities(self._pepper)
            await self._read(fresh)
            self.identities = fresh

    async def horizon(self) -> int:
        """The transaction id that the server gives out next: every key issued before now is below it."""
        return int(await self._pool.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))

    async def read_past(self, horizon: int) -> bool:
        """Catches up; answers whether that showed all below `horizon`.

        Not while a transaction that began before it is still writing: the log's readers wait for it.
        """
        oldest = await self._pool.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        await self.catch_up()
        return bool(oldest >= horizon)

    async def _read(self, identities: Identities) -> None:
        while True:
            async with self._pool.acquire() as connection:
                page = await eventlog.read(connection, PARTITION, identities.at, self.PAGE)
            for cursor, stored in page:
                recorded = ACCESS_EVENTS.recorded(PARTITION, stored)
                identities.apply(recorded.event, recorded.recorded_at)
                identities.at = cursor
            if len(page) < self.PAGE:
                return

    async def _look_again(self) -> None:
        """Catches up for somebody unknown, who may have been registered a moment ago; once in PAUSE seconds at most, so strangers wait."""
        await asyncio.sleep(max(0.0, self._read_from + self.PAUSE - time.monotonic()))
        with contextlib.suppress(*CONNECTION_ERRORS):
            await self.catch_up()

    async def ended(self, key_id: str) -> str:
        """Why what is signed with this key now counts nowhere, as far as the log says at this moment; "" while it counts."""
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
        """The caller of a live API key, else None."""
        found = self.identities.by_api_key(api_key)
        if found is None:
            await self._look_again()
            found = self.identities.by_api_key(api_key)
        return found

    def by_api_key(self, api_key: str) -> Identified | None:
        """As `identify`, from what is known already."""
        return self.identities.by_api_key(api_key)

    def signer(self, key_id: str) -> Signer | None:
        """The owner of an Ed25519 key, live or not, from what is known already."""
        return self.identities.signer(key_id)
