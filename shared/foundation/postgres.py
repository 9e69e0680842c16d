"""Connections, the leader's lock, and wake-ups between processes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator, Iterator

import asyncpg
import msgspec

log = logging.getLogger(__name__)

CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InvalidTransactionStateError,  # 25: read-only after a failover, ended while idle
    asyncpg.TransactionRollbackError,  # 40
    asyncpg.InsufficientResourcesError,  # 53: disk, memory, connections
    asyncpg.ObjectNotInPrerequisiteStateError,  # 55
    asyncpg.OperatorInterventionError,  # 57: shutdown, crash, canceled
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,  # 58, XX: the server's own faults
    asyncpg.InsufficientPrivilegeError,  # 42501: an operator took or forgot a grant
    ConnectionError,
    TimeoutError,
    OSError,
)
"""What asyncpg raises while the server is away or cannot work, by classes of SQLSTATE: wait and repeat, nothing is decided and no command is to blame."""


class Unavailable(Exception):  # noqa: N818 - a state of the world, not a fault of the caller
    """The database is away, restarting or cannot work.

    Nothing is known to be lost; repeat with the same cause (Idempotency-Key).
    """


def lock_key(*words: str) -> int:
    """A 64-bit advisory lock key; the same words give the same key in every process."""
    return int.from_bytes(
        hashlib.blake2b("/".join(words).encode(), digest_size=8).digest(), "big", signed=True
    )


async def _with_codecs(connection: asyncpg.Connection) -> None:
    """`jsonb` comes as `msgspec.Raw`, the document's bytes: most go into an answer as they are, and who looks inside decodes them, into a type.

    It goes in as bytes, too. Binary, because COPY knows no other format: a byte for the format's version,
    then the text.
    """
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda document: b"\x01" + document,
        decoder=lambda data: msgspec.Raw(data[1:]),
    )


async def _as_it_is(_connection: asyncpg.Connection) -> None:
    pass


# A client's host that vanished with a lock or a transaction open is noticed by the server in half a minute
# (its own defaults: two hours). That the server's host vanished is noticed by the sockets of
# shared/foundation/event_loop.py.
_ALIVE = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
}


async def connect_pool(
    url: str, *, schemas: tuple[str, ...], size: int = 8, application: str = "regista"
) -> asyncpg.Pool:
    """A pool whose unqualified names resolve in `schemas`. A transaction left idle for 30 s is ended: it would hide later events.

    Connections are not reset when they come back, which would cost every command a round trip: whoever
    changes a session (a lock, a setting) undoes it or ends the connection. A transaction left open is rolled
    back all the same.
    """
    settings = {
        "search_path": ",".join(schemas),
        "application_name": application,
        "idle_in_transaction_session_timeout": "30000",
        "jit": "off",
        **_ALIVE,
    }
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        server_settings=settings,
        command_timeout=60,
        statement_cache_size=200,
        init=_with_codecs,
        reset=_as_it_is,
    )


@contextlib.asynccontextmanager
async def leadership(url: str, *words: str, retry: float = 1.0) -> AsyncIterator[asyncpg.Connection]:
    """Waits until this process leads `words`, then yields the connection that holds the lock.

    The lock ends with the connection: whoever leads must use this connection for its writes, so that a leader
    cut off cannot write.
    """
    connection = await asyncpg.connect(
        url,
        command_timeout=60,
        server_settings={"application_name": "leader " + "/".join(words), "jit": "off", **_ALIVE},
    )
    try:
        while not await connection.fetchval(  # noqa: ASYNC110 - another process holds the lock, nothing here can ring
            "SELECT pg_try_advisory_lock($1)", lock_key("leader", *words)
        ):
            await asyncio.sleep(retry)
        yield connection
    finally:
        with contextlib.suppress(*CONNECTION_ERRORS):
            await connection.close(timeout=2)


class WakeUp:
    """Wakes the readers of a service's log, in this process at once and in others by a debounced NOTIFY.

    The NOTIFY goes out on a connection of its own, at most one in 5 ms: inside the appending transaction it
    would cost a factor of 2.5. Readers poll as well, so a wake_up that fails to ring delays them, no more.
    """

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = f"regista_{channel}"
        self._rung = asyncio.Event()
        self._waiters: set[asyncio.Event] = set()

    def notify(self) -> None:
        """Something was committed."""
        self._rung.set()
        self._wake()

    def _wake(self, *_: object) -> None:
        for waiter in self._waiters:
            waiter.set()

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[asyncio.Event]:
        """An event that is set at every ring; the reader clears it before it reads."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    async def run(self) -> None:
        """Sends and hears for the life of the process; reconnects when the server was away."""
        while True:
            try:
                connection = await asyncpg.connect(self._url, command_timeout=30, server_settings=_ALIVE)
                try:
                    await connection.add_listener(self._channel, self._wake)
                    await self._send(connection)
                finally:
                    with contextlib.suppress(*CONNECTION_ERRORS):
                        await connection.close(timeout=2)
            except CONNECTION_ERRORS as away:
                log.info("wake_up: the database is away (%s); readers poll meanwhile", type(away).__name__)
                await asyncio.sleep(1)

    async def _send(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            await connection.execute("SELECT pg_notify($1, '')", self._channel)
            await asyncio.sleep(0.005)
            if connection.is_closed():
                raise ConnectionError("the listening connection closed")


async def wait_for_wake_up(waiter: asyncio.Event, at_most: float) -> None:
    """Sleeps until the wake_up rings or `at_most` seconds passed (the poll)."""
    with contextlib.suppress(TimeoutError):  # not wait_for: until Python 3.12 it could swallow a cancellation
        async with asyncio.timeout(at_most):
            await waiter.wait()
