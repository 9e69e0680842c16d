"""Open connections to PostgreSQL, hold the leader's lock, and send wake-ups between processes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator

import asyncpg
import msgspec

from shared.foundation.outages import POSTGRES
from shared.foundation.postgres_errors import CONNECTION_ERRORS, raise_if_cancelled

__all__ = [
    "CONNECTION_ERRORS",
    "Unavailable",
    "WakeUp",
    "connect_pool",
    "leadership",
    "lock_key",
    "wait_for_wake_up",
]


class Unavailable(Exception):  # noqa: N818 - a state of the world, not a fault of the caller
    """The database is unavailable. Repeat the command with the same cause (Idempotency-Key)."""


def lock_key(*words: str) -> int:
    """Return a 64-bit key of an advisory lock. The same words give the same key in every process."""
    return int.from_bytes(
        hashlib.blake2b("/".join(words).encode(), digest_size=8).digest(), "big", signed=True
    )


async def _with_codecs(connection: asyncpg.Connection) -> None:
    """Read `jsonb` as `msgspec.Raw` and write it from bytes: most documents go into an answer undecoded.

    The format is binary because COPY has no other: one byte for the version of the format, then the text.
    """
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda document: b"\x01" + document,
        decoder=lambda data: msgspec.Raw(data[1:]),
    )


async def _without_reset(_connection: asyncpg.Connection) -> None:
    """Replace asyncpg's reset of a connection, which costs every command a round trip."""


# The server detects within half a minute that a client's host vanished with a lock or a transaction open (its
# defaults: two hours). The sockets of shared/foundation/event_loop.py detect that the server's host vanished.
_ALIVE = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
}


async def connect_pool(
    url: str,
    *,
    schemas: tuple[str, ...],
    size: int = 8,
    application: str = "regista",
    plan_with_values: bool = False,
) -> asyncpg.Pool:
    """Return a pool of connections. Unqualified names resolve in `schemas`.

    PostgreSQL plans a prepared statement without its values after a few runs. What filters by the values of
    a caller must be planned with them (`plan_with_values`), or a rare value reads the whole table: such a
    pool opens its connections when they are needed.

    PostgreSQL ends a transaction that is idle for 30 s, because it hides later events from readers of the
    log. A connection is not reset when it is released: code that changes the session (a lock, a setting) must
    undo it or close the connection. An open transaction is rolled back anyway.
    """
    settings = {
        "search_path": ",".join(schemas),
        "application_name": application,
        "idle_in_transaction_session_timeout": "30000",
        "jit": "off",
        "plan_cache_mode": "force_custom_plan" if plan_with_values else "auto",
        **_ALIVE,
    }
    return await asyncpg.create_pool(
        url,
        min_size=0 if plan_with_values else 1,
        max_size=size,
        server_settings=settings,
        command_timeout=60,
        statement_cache_size=200,
        init=_with_codecs,
        reset=_without_reset,
    )


@contextlib.asynccontextmanager
async def leadership(
    url: str, *words: str, retry: float = 1.0, on_follow: Callable[[], None] = lambda: None
) -> AsyncIterator[asyncpg.Connection]:
    """Wait until this process is the leader of `words`, then yield the connection that holds the lock.

    The lock ends with the connection. A leader must write with this connection, so that it cannot write after
    it lost the lock. `on_follow` is called whenever another process is found to lead: what hindered this one
    as a leader hinders it no more.
    """
    connection = await asyncpg.connect(
        url,
        command_timeout=60,
        server_settings={"application_name": "leader " + "/".join(words), "jit": "off", **_ALIVE},
    )
    try:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key("leader", *words)):
            on_follow()
            await asyncio.sleep(retry)
        yield connection
    finally:
        with contextlib.suppress(*CONNECTION_ERRORS):
            await connection.close(timeout=2)


class WakeUp:
    """Wakes the readers of a service's log: immediately in this process, by a debounced NOTIFY in others.

    NOTIFY is sent on a connection of its own, at most once in 5 ms: inside the appending transaction it would
    cut the appends a second to 40 %. Readers poll as well, so a lost wake-up only delays them.
    """

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = f"regista_{channel}"
        self._pending = asyncio.Event()
        self._waiters: set[asyncio.Event] = set()

    def notify(self) -> None:
        """Wake the readers: events were committed."""
        self._pending.set()
        self._wake()

    def _wake(self, *_: object) -> None:
        for waiter in self._waiters:
            waiter.set()

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[asyncio.Event]:
        """Yield an asyncio.Event that is set at every wake-up. The reader clears it before it reads."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    async def run(self) -> None:
        """Send and receive notifications for the life of the process. Reconnect after an outage."""
        while True:
            try:
                connection = await asyncpg.connect(self._url, command_timeout=30, server_settings=_ALIVE)
                try:
                    await connection.add_listener(self._channel, self._wake)
                    await self._send(connection)
                finally:
                    with contextlib.suppress(*CONNECTION_ERRORS):
                        await connection.close(timeout=2)
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)  # readers poll meanwhile
                await asyncio.sleep(1)

    async def _send(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._pending.wait()
            self._pending.clear()
            await connection.execute("SELECT pg_notify($1, '')", self._channel)
            await asyncio.sleep(0.005)
            if connection.is_closed():
                raise ConnectionError("the listening connection closed")


async def wait_for_wake_up(waiter: asyncio.Event, at_most: float) -> None:
    """Sleep until a wake-up arrives, or for `at_most` seconds (the poll)."""
    with contextlib.suppress(TimeoutError):  # not wait_for: until Python 3.12 it could swallow a cancellation
        async with asyncio.timeout(at_most):
            await waiter.wait()
