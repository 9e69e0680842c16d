"""The log as outbox: the leading relay publishes its service's partition, signed and in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import asyncpg
from aiokafka import AIOKafkaProducer
from prometheus_client import Counter, Gauge

from regista.wire.cloudevents import CloudEvent, legal, to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from shared.deciding.events import NOTHING_RECENT, START, Cursor, Recent, Recorded, encode
from shared.deciding.service import Service
from shared.foundation.outages import KAFKA, POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, leadership, wait_for_wake_up
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.topics import topic_of
from shared.identity.ed25519 import FastSigningKey
from shared.log import eventlog
from shared.log.projector import schema_of
from shared.messaging.kafka import answer_in_time, stop_client
from shared.messaging.kafka_errors import KAFKA_ERRORS, TOO_LARGE
from shared.messaging.partition_batches import PartitionBatches, partitions_of

log = logging.getLogger(__name__)

PAGE = 500
FILL = 0.03
"""Seconds until the next page is read after a short one: each costs a query, a send and a stored position.

An event after a pause is published immediately; only those that follow it wait.
"""
FIRST_WAIT, LONGEST_WAIT = 0.005, 1.0
"""Seconds between reads without a page.

The newest event may still be hidden by an open transaction: the first wait is short, each further one twice
as long.
"""
LOOK_AGAIN = 4.0
"""Seconds until a stopped log is compared again."""
HELD = 10.0
"""Seconds between tries at an event that fails for an unforeseen reason."""
AT_ONCE = 8
"""Messages up to which a page is made on the event loop: handing it to a thread would cost more."""

READ_CHECKPOINT = "SELECT tx, seq FROM {schema}.relay_checkpoint"
CHECKPOINT = """
INSERT INTO {schema}.relay_checkpoint (tx, seq) VALUES ($1, $2)
ON CONFLICT (only_row) DO UPDATE SET tx = excluded.tx, seq = excluded.seq, at = now()
"""
# Events of the log that are not yet published.
LAG = """
SELECT count(*) FROM log.events_{partition} e
WHERE (e.tx, e.seq) > (
    coalesce((SELECT tx FROM {schema}.relay_checkpoint), 0)::text::xid8,
    coalesce((SELECT seq FROM {schema}.relay_checkpoint), 0)
)
"""

PUBLISHED = Counter("regista_relay_published", "Public events acknowledged by Kafka", ["service"])
LEADS = Gauge("regista_relay_leads", "1 while this process publishes for its service", ["service"])
BEHIND = Gauge(
    "regista_relay_behind_seconds", "Age of the last published event when it was acknowledged", ["service"]
)


Page = Sequence[tuple[Cursor, bytes | None]]
"""Positions with the stored events; None for an event that is never published."""


def to_cloudevent(service: Service, recorded: Recorded) -> CloudEvent | None:
    """Return the public form of a stored event; None for a private one.

    Every attribute is computed from the stored bytes, so a repeat is the same message.
    """
    public = service.message_of(recorded)
    if public is None:
        return None
    recorded_at = _zulu(recorded.recorded_at)
    stream = legal(recorded.stream)
    extensions = {
        "partitionkey": stream,
        "correlationid": legal(recorded.correlation_id),
        "causationid": legal(recorded.causation_id),
        "traceparent": recorded.trace,
        "recordedtime": recorded_at,
        "revision": str(recorded.revision),
        "leaf": recorded.leaf,
    }
    return CloudEvent(
        id=str(recorded.event_id),
        source=f"/regista/{service.name}",
        type=public.type,
        subject=stream,
        time=_zulu(recorded.occurred_at) if recorded.occurred_at else recorded_at,
        data=encode(public.data),
        extensions={name: value for name, value in extensions.items() if value},
    )


def _zulu(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class KeyEnded(Exception):  # noqa: N818 - a state of the world, not a fault
    """The relay's signing key is revoked or expired: no reader would accept what it signs."""


async def _valid() -> str:
    return ""


async def _alike(_database: asyncpg.Connection) -> None:
    """Compare nothing."""


class Relay:
    """Publishes the log of one service from its stored position on.

    Every replica runs one; the one that holds the leader's lock publishes, the others wait.

    `connect` returns a started producer. `on_state` receives what stands in the way ("" when nothing does).
    `recent` are events that this process wrote lately and need not decode. `key_ended` returns why the key is
    no longer valid ("" while it is); it is called before each page that has messages. `compare` is called
    before a leader publishes, and raises LogStopped when the log lacks what was published.
    """

    def __init__(
        self,
        service: Service,
        url: str,
        wake_up: WakeUp,
        connect: Callable[[], Awaitable[AIOKafkaProducer]],
        key: SigningKey,
        on_state: Callable[[str], None] = lambda _: None,
        recent: Recent = NOTHING_RECENT,
        key_ended: Callable[[], Awaitable[str]] = _valid,
        compare: Callable[[asyncpg.Connection], Awaitable[None]] = _alike,
    ) -> None:
        self._service, self._schema = service, schema_of(service)
        self._url, self._wake_up, self._connect, self._on_state = url, wake_up, connect, on_state
        self._key, self._recent, self._key_ended = FastSigningKey(key), recent, key_ended
        self._compare = compare
        self._topic = topic_of(service.name)
        self._published = PUBLISHED.labels(service.name)
        self._behind = BEHIND.labels(service.name)

    async def run(self) -> None:
        """Publish for the life of the process; wait while a server is unavailable or the log is stopped."""
        while True:
            try:
                async with leadership(
                    self._url, "relay", self._service.name, on_follow=lambda: self._on_state("")
                ) as connection:
                    await self._lead(connection)
            except eventlog.LogStopped as stopped:
                self._on_state(f"relay: publishes nothing: {stopped}")
                await asyncio.sleep(LOOK_AGAIN)
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)
                self._on_state(f"relay: the database is unavailable ({type(error).__name__})")
            except TOO_LARGE as large:
                self._on_state(
                    "relay: an event is larger than Kafka accepts, and later events wait: "
                    f"raise the broker's message.max.bytes ({large})"
                )
            except KeyEnded as ended:
                self._on_state(
                    f"relay: its signing key {ended}: bootstrap a new one, "
                    "name it in SIGNING_KEY_FILE and start again"
                )
                await asyncio.sleep(HELD)
            except KAFKA_ERRORS as error:
                raise_if_cancelled()
                KAFKA.report(error)
                self._on_state(f"relay: Kafka is unavailable ({type(error).__name__})")
            except Exception as fault:  # a restart would meet the same event again: the process keeps running
                raise_if_cancelled()
                self._on_state(
                    f"relay: held by an event that it cannot publish ({type(fault).__name__}): "
                    "the log has the details"
                )
                log.exception("the relay failed and tries again")
                await asyncio.sleep(HELD)
            finally:
                LEADS.labels(self._service.name).set(0)
            await asyncio.sleep(1)

    async def _lead(self, connection: asyncpg.Connection) -> None:
        await eventlog.check_not_restored(connection)  # after an outage another server may answer
        await self._compare(connection)
        self._on_state("relay: connects to Kafka")
        producer = await self._connect()
        try:
            LEADS.labels(self._service.name).set(1)
            self._on_state("")
            await self._publish_all(connection, producer)
        finally:
            await stop_client(producer)

    async def _publish_all(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        at = await connection.fetchrow(READ_CHECKPOINT.format(schema=self._schema))
        cursor = Cursor(at["tx"], at["seq"]) if at else START
        # a position lost in a crash publishes one page again, no more
        await connection.execute("SET synchronous_commit = off")
        wait = FIRST_WAIT
        with self._wake_up.subscribe() as notified:
            while True:
                woken = notified.is_set()
                notified.clear()
                page = await eventlog.read_publishable(connection, self._service.name, cursor, PAGE)
                if page:
                    cursor = await self._publish(connection, producer, page)
                    wait = FIRST_WAIT
                    if len(page) < PAGE:
                        await asyncio.sleep(FILL)
                    continue
                wait = FIRST_WAIT if woken else min(wait * 2, LONGEST_WAIT)
                await wait_for_wake_up(notified, wait)

    async def _publish(
        self, connection: asyncpg.Connection, producer: AIOKafkaProducer, page: Page
    ) -> Cursor:
        """Send a page and store the position when Kafka has stored all of it. Return the new position.

        A process that dies before that sends the page again, in the same order.
        """
        stored = [(at, bytes_) for at, bytes_ in page if bytes_ is not None]
        if stored:
            await self._send(producer, stored)
        cursor = page[-1][0]
        await connection.execute(CHECKPOINT.format(schema=self._schema), cursor.tx, cursor.seq)
        return cursor

    async def _send(self, producer: AIOKafkaProducer, stored: Sequence[tuple[Cursor, bytes]]) -> None:
        if ended := await self._key_ended():
            raise KeyEnded(ended)
        batches = PartitionBatches(producer.create_batch, await partitions_of(producer, self._topic))
        if len(stored) <= AT_ONCE:
            newest = self._fill(batches, stored)
        else:
            newest = await asyncio.to_thread(self._fill, batches, stored)
        async with answer_in_time():
            await asyncio.gather(*await batches.send(producer, self._topic))
        self._published.inc(batches.count)
        self._behind.set(max(0.0, (datetime.now(UTC) - newest).total_seconds()))

    def _fill(self, batches: PartitionBatches, stored: Sequence[tuple[Cursor, bytes]]) -> datetime:
        """Sign the public form of each event and add it. Return when the newest event was recorded."""
        for cursor, bytes_ in stored:
            recorded = self._service.events.recorded(self._service.name, bytes_, cursor, self._recent)
            event = to_cloudevent(self._service, recorded)
            if event is not None:
                batches.add(*to_kafka(sign(event, self._key)))
        return recorded.recorded_at


async def lag(connection: asyncpg.Connection, service: Service) -> int:
    """Return the number of events of the log that are not yet published."""
    count: int = await connection.fetchval(LAG.format(partition=service.name, schema=schema_of(service)))
    return count
