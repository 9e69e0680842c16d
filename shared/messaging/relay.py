"""The log as outbox: one active relay per service publishes its partition to Kafka, in log order, signed, at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from prometheus_client import Counter, Gauge

from regista.wire.cloudevents import CloudEvent, legal, to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from shared.deciding.events import NOTHING_RECENT, START, Cursor, Recent, Recorded, encode
from shared.deciding.service import Service
from shared.foundation.postgres import CONNECTION_ERRORS, WakeUp, leadership, wait_for_wake_up
from shared.foundation.topics import topic_of
from shared.log import eventlog
from shared.log.projector import schema_of
from shared.messaging.kafka import answer_in_time, stop_client

log = logging.getLogger(__name__)

PAGE = 500
FILL = 0.01
"""A short page was all there is: let the next one fill a little, each costs a query, a send and a checkpoint."""
FIRST_WAIT, LONGEST_WAIT = 0.005, 1.0
"""After a ring the newest event may still hide behind another transaction: look again soon, then ever less often."""

HELD = 10.0
"""Seconds between tries at an event that fails for an unforeseen reason."""

READ_CHECKPOINT = "SELECT tx, seq FROM {schema}.relay_checkpoint"
CHECKPOINT = """
INSERT INTO {schema}.relay_checkpoint (tx, seq) VALUES ($1, $2)
ON CONFLICT (only_row) DO UPDATE SET tx = excluded.tx, seq = excluded.seq, at = now()
"""
LAG = """
SELECT count(*) FROM log.events_{partition} e
WHERE (e.tx, e.seq) > (coalesce((SELECT tx FROM {schema}.relay_checkpoint), 0)::text::xid8, coalesce((SELECT seq FROM {schema}.relay_checkpoint), 0))
"""

PUBLISHED = Counter("regista_relay_published", "Public events acknowledged by Kafka", ["service"])
LEADS = Gauge("regista_relay_leads", "1 while this process publishes for its service", ["service"])
BEHIND = Gauge(
    "regista_relay_behind_seconds", "Age of the last published event when it was acknowledged", ["service"]
)

Message = tuple[bytes, bytes, list[tuple[str, bytes]]]


def to_cloudevent(service: Service, recorded: Recorded) -> CloudEvent | None:
    """The public form of a stored event, or nothing.

    Every attribute is a function of the stored bytes, so a repeat is the same message.
    """
    public = service.publish(recorded)
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
    """What this process signed from now on would count nowhere."""


async def _counts() -> str:
    return ""


class Relay:
    """Publishes the log of one service from its checkpoint on. Run one per replica: whoever holds the leader's lock works, the others wait.

    `connect` opens a started producer; `on_state` hears what stands in the way ("" when nothing does);
    `recent` are events that this process wrote lately and need not decode; `key_ended` answers, before each
    page, why the key counts no more ("" while it does).
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
        key_ended: Callable[[], Awaitable[str]] = _counts,
    ) -> None:
        self._service, self._schema = service, schema_of(service)
        self._url, self._wake_up, self._connect, self._key, self._on_state = (
            url,
            wake_up,
            connect,
            key,
            on_state,
        )
        self._recent, self._key_ended = recent, key_ended
        self._topic = topic_of(service.name)

    async def run(self) -> None:
        """For the life of the process. What is away is waited for; the checkpoint says where to go on.

        Raises RestoredBehind when the server that answers is one that was restored behind the log.
        """
        while True:
            try:
                async with leadership(self._url, "relay", self._service.name) as connection:
                    await self._lead(connection)
            except eventlog.RestoredBehind:
                raise
            except CONNECTION_ERRORS as away:
                self._on_state(f"relay: the database is away ({type(away).__name__})")
            except MessageSizeTooLargeError as large:
                self._on_state(
                    f"relay: an event is larger than Kafka takes, and those behind it wait: raise the broker's message.max.bytes ({large})"
                )
            except KeyEnded as ended:
                self._on_state(
                    f"relay: its signing key {ended}: bootstrap a new one, name it in SIGNING_KEY_FILE and start again"
                )
                await asyncio.sleep(HELD)
            except KafkaError as away:
                self._on_state(f"relay: Kafka is away ({type(away).__name__})")
            except Exception as fault:  # an event that cannot be published cannot be after a restart either: the process goes on
                self._on_state(
                    f"relay: held by an event that it cannot publish ({type(fault).__name__}): the log has the details"
                )
                log.exception("the relay failed and tries again")
                await asyncio.sleep(HELD)
            finally:
                LEADS.labels(self._service.name).set(0)
            await asyncio.sleep(1)

    async def _lead(self, connection: asyncpg.Connection) -> None:
        await eventlog.check_not_restored(
            connection
        )  # after an outage it may be another server, which is behind
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
        await connection.execute(
            "SET synchronous_commit = off"
        )  # a checkpoint lost in a crash publishes a page again, no more
        wait = FIRST_WAIT
        with self._wake_up.subscribe() as ring:
            while True:
                rung = ring.is_set()
                ring.clear()
                page = await eventlog.read(connection, self._service.name, cursor, PAGE)
                if page:
                    cursor = await self._publish(connection, producer, page)
                    wait = FIRST_WAIT
                    if len(page) < PAGE:
                        await asyncio.sleep(FILL)
                    continue
                wait = FIRST_WAIT if rung else min(wait * 2, LONGEST_WAIT)
                await wait_for_wake_up(ring, wait)

    async def _publish(
        self, connection: asyncpg.Connection, producer: AIOKafkaProducer, page: Sequence[tuple[Cursor, bytes]]
    ) -> Cursor:
        """Sends a page pipelined and moves the checkpoint when Kafka has all of it.

        Dying before that repeats the page, in order.
        """
        if ended := await self._key_ended():
            raise KeyEnded(ended)
        messages, newest = await asyncio.to_thread(self._messages, page)
        async with answer_in_time():
            sent = [
                await producer.send(self._topic, value=value, key=key, headers=headers)
                for key, value, headers in messages
            ]
            await asyncio.gather(*sent)
        cursor = page[-1][0]
        await connection.execute(CHECKPOINT.format(schema=self._schema), cursor.tx, cursor.seq)
        PUBLISHED.labels(self._service.name).inc(len(messages))
        BEHIND.labels(self._service.name).set(max(0.0, (datetime.now(UTC) - newest).total_seconds()))
        return cursor

    def _messages(self, page: Sequence[tuple[Cursor, bytes]]) -> tuple[list[Message], Any]:
        messages = []
        for cursor, stored in page:
            recorded = self._service.events.recorded(self._service.name, stored, cursor, self._recent)
            event = to_cloudevent(self._service, recorded)
            if event is not None:
                messages.append(to_kafka(sign(event, self._key)))
        return messages, recorded.recorded_at


async def lag(connection: asyncpg.Connection, service: Service) -> int:
    """Events of the log not yet published."""
    count: int = await connection.fetchval(LAG.format(partition=service.name, schema=schema_of(service)))
    return count
