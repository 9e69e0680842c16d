"""Turn API keys and signature keys into actors. All identities are in memory and follow the log."""

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


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller whose key was verified."""

    actor: Actor
    state: AccessState


@dataclass(frozen=True, slots=True)
class Signer:
    """The owner of a public key. `public_key` is the raw 32 bytes. The key is valid before `until`."""

    subject: str
    kind: str
    public_key: bytes
    until: datetime | None = None
    compromised: bool = False

    def live(self, at: datetime) -> bool:
        """Return whether the key was valid at that moment."""
        return not self.compromised and (self.until is None or at < self.until)


class Identities:
    """All identities in memory, by key and by subject.

    A look-up costs one read of a dict and at most one HMAC.
    """

    def __init__(self, pepper: str) -> None:
        self.at: Cursor = START
        """The position in the log up to which events are applied."""
        self._pepper = pepper.encode()
        self._states: dict[str, AccessState] = {}
        self._owner: dict[str, str] = {}
        self._revoked_at: dict[str, datetime] = {}

    def apply(self, event: AccessEvent, at: datetime) -> None:
        """Fold one event of the log, recorded at `at`.

        A key id belongs to the first subject that was issued it: a stream contains its own keys only, so
        nothing prevents another stream from issuing the same id.
        """
        self._states[event.subject] = evolve_access(self._states.get(event.subject, ACCESS.initial), event)
        if isinstance(event, KeyIssued):
            self._owner.setdefault(event.key_id, event.subject)
        if isinstance(event, KeyRevoked) and self._owner.get(event.key_id) == event.subject:
            self._revoked_at.setdefault(event.key_id, at)

    def state_of(self, subject: str) -> AccessState:
        """Return the identity of a subject, with its keys and roles; the initial state for an unknown one."""
        return self._states.get(subject, ACCESS.initial)

    def by_api_key(self, text: str, now: datetime | None = None) -> Identified | None:
        """Return the caller of a live API key `rg_<key id>_<secret>`, or None.

        The comparison takes constant time, also for an unknown key.
        """
        key_id = text[3:].partition("_")[0] if text.startswith("rg_") else ""
        state = self._states.get(self._owner.get(key_id, ""))
        key = state.keys.get(key_id) if state else None
        given = hmac.digest(self._pepper, text.encode("utf-8", "replace"), "sha256")
        known = bytes.fromhex(key.verifier) if key and key.algorithm == "hmac-sha256" else bytes(32)
        if (
            not hmac.compare_digest(given, known)
            or state is None
            or key is None
            or not key.live(now or datetime.now(UTC))
        ):
            return None
        return Identified(Actor(state.subject, method=f"api-key:{key.key_id}"), state)

    def signer(self, key_id: str) -> Signer | None:
        """Return the owner of an Ed25519 key, live or not, or None for an unknown key."""
        state = self._states.get(self._owner.get(key_id, ""))
        key = state.keys.get(key_id) if state else None
        if state is None or key is None or key.algorithm != "ed25519":
            return None
        ends = [moment for moment in (key.expires_at, self._revoked_at.get(key_id)) if moment is not None]
        return Signer(
            state.subject, state.kind, bytes.fromhex(key.verifier), min(ends, default=None), key.compromised
        )


class AccessView:
    """The identities of this process.

    It follows the partition `access` of the log by wake-ups and by polling.

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
        self._read_from = 0.0

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
                    after_outage = True
                    log.warning(
                        "identities are not updated: the database is unavailable (%s)", type(error).__name__
                    )
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
            fresh = Identities(self._pepper)
            await self._read(fresh)
            self.identities = fresh

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
        """Catch up for an unknown key, which may be a moment old; at most once in PAUSE seconds."""
        await asyncio.sleep(max(0.0, self._read_from + self.PAUSE - time.monotonic()))
        with contextlib.suppress(*CONNECTION_ERRORS):
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
        """Return the caller of a live API key, or None. An unknown key makes it catch up first."""
        found = self.identities.by_api_key(api_key)
        if found is None:
            await self._look_again()
            found = self.identities.by_api_key(api_key)
        return found

    def by_api_key(self, api_key: str) -> Identified | None:
        """Return what `identify` returns, without catching up."""
        return self.identities.by_api_key(api_key)

    def signer(self, key_id: str) -> Signer | None:
        """Return the owner of an Ed25519 key, live or not, without catching up."""
        return self.identities.signer(key_id)
