"""Carry urgent messages past Kafka: a sender of a service writes them to a table, and others read it.

A message is the same as on Kafka, with the same signature, and has the same cause: when Kafka delivers it
later, the inbox recognises it. The table is empty while Kafka stores messages.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
from aiokafka import ConsumerRecord

from regista.wire.cloudevents import to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from shared.deciding.events import START, Cursor
from shared.deciding.service import Service
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.topics import PARTITIONS_OF, topic_of
from shared.identity.access_view import AccessView
from shared.identity.ed25519 import FastSigningKey
from shared.log import eventlog
from shared.log.projector import schema_of
from shared.log.transact import WriterDied
from shared.messaging.authenticity import Refused, verified
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import Received, Record, Subscription
from shared.messaging.relay import READ_CHECKPOINT, to_cloudevent

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that Kafka gets to store an urgent message before it is also written to the table."""
SEND_EVERY, READ_EVERY = 0.5, 1.0
"""Seconds between two looks of the sender at its log, and of a reader at the table."""
MOST = 10_000
"""Messages of one service in the table. Further ones wait for Kafka."""
PAGE, AT_ONCE = 1_000, 20
"""Events of the log, and messages of the table, in one read."""

ADD = """
INSERT INTO messaging.urgent (service, tx, seq, key, headers, texts, value)
SELECT $1, $2, $3, $4, $5, $6, $7
WHERE (SELECT count(*) FROM (SELECT FROM messaging.urgent WHERE service = $1 LIMIT $8) AS there) < $8
ON CONFLICT DO NOTHING
"""
# What Kafka has stored: every reader gets it from there.
REMOVE = "DELETE FROM messaging.urgent WHERE service = $1 AND (tx, seq) <= ($2, $3)"
POSITIONS = "SELECT tx, seq FROM messaging.urgent WHERE service = $1 ORDER BY tx, seq"
MESSAGES = """
SELECT u.tx, u.seq, u.key, u.headers, u.texts, u.value FROM messaging.urgent u
JOIN unnest($2::bigint[], $3::bigint[]) AS wanted(tx, seq) ON u.tx = wanted.tx AND u.seq = wanted.seq
WHERE u.service = $1 ORDER BY u.tx, u.seq
"""


class UrgentSender:
    """Writes those urgent events of a service to the table that Kafka has not stored within PATIENCE.

    Every replica runs one: a second copy changes nothing.
    """

    def __init__(
        self,
        service: Service,
        pool: asyncpg.Pool,
        key: SigningKey,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = service.name
        self._service, self._pool, self._key = service, pool, FastSigningKey(key)
        self._clock = clock
        self._types = sorted(class_.__name__ for class_ in service.urgent)
        self._cursor = START
        self._seen: dict[Cursor, float] = {}
        self._sent: set[Cursor] = set()

    async def run(self) -> None:
        """Look at the log for the life of the process."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self.send(connection)
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)
            await asyncio.sleep(SEND_EVERY)

    async def send(self, connection: asyncpg.Connection) -> None:
        """Write what is due, and remove what Kafka has stored meanwhile."""
        row = await connection.fetchrow(READ_CHECKPOINT.format(schema=schema_of(self._service)))
        stored = Cursor(row["tx"], row["seq"]) if row else START
        await connection.execute(REMOVE, self.name, stored.tx, stored.seq)
        self._seen = {cursor: since for cursor, since in self._seen.items() if cursor > stored}
        self._sent = {cursor for cursor in self._sent if cursor > stored}
        self._cursor = after = max(self._cursor, stored)
        is_settled = True
        while True:
            page = await eventlog.read_types(connection, self.name, after, self._types, PAGE)
            for cursor, bytes_, settled in page:
                done = bytes_ is None or await self._send_if_due(connection, cursor, bytes_)
                is_settled = is_settled and settled and done
                if is_settled:
                    self._cursor = cursor
            if len(page) < PAGE:
                return
            after = page[-1][0]

    async def _send_if_due(self, connection: asyncpg.Connection, cursor: Cursor, stored: bytes) -> bool:
        """Write the event's message unless Kafka may still store it in time. Return whether it is written."""
        if cursor in self._sent:
            return True
        if self._clock() - self._seen.setdefault(cursor, self._clock()) < PATIENCE:
            return False
        recorded = self._service.events.recorded(self.name, stored, cursor)
        if (event := to_cloudevent(self._service, recorded)) is not None:
            key, value, headers = to_kafka(sign(event, self._key))
            names, texts = [name for name, _ in headers], [text for _, text in headers]
            added = await connection.execute(
                ADD, self.name, cursor.tx, cursor.seq, key, names, texts, value, MOST
            )
            if added == "INSERT 0 1":
                log.info("sent past Kafka", extra={"type": event.type, "id": event.id})
        self._sent.add(cursor)
        return True


def urgent_parts(subscriptions: Sequence[Subscription]) -> list[Subscription]:
    """Return the subscriptions that have urgent handlers, with these handlers only."""
    urgent = [
        {type_: handler for type_, handler in subscription.handlers.items() if handler.urgent}
        for subscription in subscriptions
    ]
    return [
        replace(subscription, handlers=handlers)
        for subscription, handlers in zip(subscriptions, urgent, strict=True)
        if handlers
    ]


class UrgentReader:
    """Handles the urgent messages of one subscription that are in the table.

    `consumer` has the urgent part of the subscription.
    """

    def __init__(self, consumer: Consumer, pool: asyncpg.Pool, access: AccessView) -> None:
        self._consumer, self._pool, self._access = consumer, pool, access
        self._subscription = consumer.subscription
        self._service = next(s for s in PARTITIONS_OF if topic_of(s) == self._subscription.topic)
        self._handled: set[Cursor] = set()

    async def run(self) -> None:
        """Read the table for the life of the process."""
        while True:
            try:
                await self.read()
            except (Unavailable, *CONNECTION_ERRORS) as error:
                raise_if_cancelled()
                POSTGRES.report(error)
            await asyncio.sleep(READ_EVERY)

    async def read(self) -> None:
        """Handle what is new in the table."""
        rows = await self._pool.fetch(POSITIONS, self._service)
        there = [Cursor(row["tx"], row["seq"]) for row in rows]
        new = [cursor for cursor in there if cursor not in self._handled]
        self._handled.intersection_update(there)
        for first in range(0, len(new), AT_ONCE):
            some = new[first : first + AT_ONCE]
            found = await self._pool.fetch(
                MESSAGES, self._service, [cursor.tx for cursor in some], [cursor.seq for cursor in some]
            )
            for row in found:
                await self._handle(self._record(row))
                self._handled.add(Cursor(row["tx"], row["seq"]))

    async def _handle(self, record: Record) -> None:
        """Handle one message. One that fails waits for Kafka, whose consumer judges it."""
        (verdict,) = await verified([record], self._subscription, self._access)
        if isinstance(verdict, Refused):
            log.warning("an urgent message is not authentic", extra={"why": verdict.reason})
        if not isinstance(verdict, Received):
            return
        try:
            await self._consumer.settle([record])
        except (Unavailable, *CONNECTION_ERRORS, WriterDied):
            raise
        except Exception:
            raise_if_cancelled()
            log.exception("an urgent message fails: it waits for Kafka", extra={"id": verdict.event.id})

    def _record(self, row: asyncpg.Record) -> ConsumerRecord[Any, Any]:
        """Return the message as Kafka would deliver it. Its position in the log stands for an offset."""
        headers = tuple(zip(row["headers"], row["texts"], strict=True))
        topic, value = self._subscription.topic, row["value"]
        return ConsumerRecord(
            topic, -1, row["seq"], 0, 0, row["key"], value, None, len(row["key"] or b""), len(value), headers
        )
