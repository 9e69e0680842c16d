"""Turn API keys and signature keys into actors. All identities are in memory and follow the log."""

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
from shared.deciding.access import (
    ACCESS,
    ACCESS_EVENTS,
    PARTITION,
    AccessEvent,
    AccessState,
    IdentityDisabled,
    KeyIssued,
    KeyRevoked,
    evolve_access,
)
from shared.deciding.events import START, Actor, Cursor, Recorded
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, wait_for_wake_up
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.identity.key_use import KeyUse
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


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller whose key was verified."""

    actor: Actor
    state: AccessState

    @property
    def key_id(self) -> str:
        return self.actor.method.partition(":")[2]


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


@dataclass(frozen=True, slots=True)
class PublicKeyRecord:
    """A public key with the time in which what it signed is valid: nothing, when it was compromised."""

    subject: str
    key_id: str
    public_key: bytes
    valid_from: datetime
    valid_until: datetime | None
    compromised: bool


class Identities:
    """All identities in memory, by key and by subject.

    A look-up costs one read of a dict and at most one HMAC.
    """

    def __init__(self, pepper: str) -> None:
        self.at: Cursor = START
        """The position in the log before which no event can appear any more."""
        self._pepper = pepper.encode()
        self._states: dict[str, AccessState] = {}
        self._revisions: dict[str, int] = {}
        self._owner: dict[str, tuple[Cursor, str]] = {}
        self._issued_at: dict[tuple[str, str], datetime] = {}
        self._revoked_at: dict[tuple[str, str], datetime] = {}
        self._disabled_at: dict[str, datetime] = {}

    def has(self, stream: str, revision: int) -> bool:
        """Return whether this event of the log is applied already."""
        return self._revisions.get(stream, 0) >= revision

    def apply_recorded(self, recorded: Recorded, cursor: Cursor) -> None:
        """Fold an event of the log, once. Events of one stream come in the order of their revisions."""
        if not self.has(recorded.stream, recorded.revision):
            self._revisions[recorded.stream] = recorded.revision
            self.apply(recorded.event, recorded.recorded_at, cursor)

    def apply(self, event: AccessEvent, at: datetime, cursor: Cursor = START) -> None:
        """Fold one event, recorded at `at`, at this position in the log.

        A key id belongs to the subject that was issued it first in the order of the log: a stream
        contains its own keys only, so nothing prevents another stream from issuing the same id. Events of
        two streams may come in another order than that of the log.
        """
        self._states[event.subject] = evolve_access(self._states.get(event.subject, ACCESS.initial), event)
        if isinstance(event, KeyIssued):
            first = self._owner.get(event.key_id)
            if first is None or cursor < first[0]:
                self._owner[event.key_id] = cursor, event.subject
            self._issued_at.setdefault((event.subject, event.key_id), at)
        if isinstance(event, IdentityDisabled):
            self._disabled_at[event.subject] = at
        if isinstance(event, KeyRevoked):
            self._revoked_at.setdefault((event.subject, event.key_id), at)

    def _owner_of(self, key_id: str) -> AccessState | None:
        found = self._owner.get(key_id)
        return self._states.get(found[1]) if found else None

    def all(self) -> list[AccessState]:
        return [state for _, state in sorted(self._states.items())]

    def state_of(self, subject: str) -> AccessState:
        """Return the identity of a subject, with its keys and roles; the initial state for an unknown one."""
        return self._states.get(subject, ACCESS.initial)

    def by_api_key(self, text: str, now: datetime | None = None) -> Identified | None:
        """Return the caller of a live API key `rg_<key id>_<secret>`, or None.

        The comparison takes constant time, also for an unknown key.
        """
        key_id = text[3:].partition("_")[0] if text.startswith("rg_") else ""
        state = self._owner_of(key_id)
        key = state.keys.get(key_id) if state else None
        given = hmac.digest(self._pepper, text.encode("utf-8", "replace"), "sha256")
        known = bytes.fromhex(key.verifier) if key and key.algorithm == "hmac-sha256" else bytes(32)
        if (
            not hmac.compare_digest(given, known)
            or state is None
            or key is None
            or not key.live(now or datetime.now(UTC))
            or state.disabled
        ):
            return None
        return Identified(Actor(state.subject, method=f"api-key:{key.key_id}"), state)

    def by_former_key(self, text: str) -> Actor | None:
        """Return whose API key this was, when it is revoked or expired, or its owner is disabled."""
        key_id = text[3:].partition("_")[0] if text.startswith("rg_") else ""
        state = self._owner_of(key_id)
        key = state.keys.get(key_id) if state else None
        if state is None or key is None or key.algorithm != "hmac-sha256":
            return None
        given = hmac.digest(self._pepper, text.encode("utf-8", "replace"), "sha256")
        if not hmac.compare_digest(given, bytes.fromhex(key.verifier)):
            return None
        return Actor(state.subject, method=f"api-key:{key.key_id}")

    def signer(self, key_id: str) -> Signer | None:
        """Return the owner of an Ed25519 key, live or not, or None for an unknown key."""
        state = self._owner_of(key_id)
        key = state.keys.get(key_id) if state else None
        if state is None or key is None or key.algorithm != "ed25519":
            return None
        revoked_at = self._revoked_at.get((state.subject, key_id))
        disabled_at = self._disabled_at.get(state.subject) if state.disabled else None
        ends = [moment for moment in (key.expires_at, revoked_at, disabled_at) if moment is not None]
        return Signer(
            state.subject, state.kind, bytes.fromhex(key.verifier), min(ends, default=None), key.compromised
        )

    def public_keys(self, kind: str) -> list[PublicKeyRecord]:
        """Return the Ed25519 keys that identities of this kind have or had, by subject and time."""
        found = []
        for state in self._states.values():
            for key in state.keys.values() if state.kind == kind else ():
                if key.algorithm == "ed25519" and self._owner[key.key_id][1] == state.subject:
                    of_key = state.subject, key.key_id
                    ends = [t for t in (key.expires_at, self._revoked_at.get(of_key)) if t is not None]
                    found.append(
                        PublicKeyRecord(
                            state.subject,
                            key.key_id,
                            bytes.fromhex(key.verifier),
                            self._issued_at[of_key],
                            min(ends, default=None),
                            key.compromised,
                        )
                    )
        return sorted(found, key=lambda k: (k.subject, k.valid_from, k.key_id))


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

    async def _look_again(self) -> None:
        """Catch up for an unknown key, which may be a moment old; at most once in PAUSE seconds."""
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
            await self._look_again()
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
