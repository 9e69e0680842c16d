"""Compare the log of a service with the newest messages on its own topic, which it alone may write.

A message is sent after its event was committed. When the log lacks the event of a message that the service
itself signed, the log lost it: the database was restored to an older copy, replaced or rewritten.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.wire.cloudevents import MAX_ATTRIBUTE, CloudEvent, NotACloudEvent, from_kafka
from regista.wire.dsse import BadSignature, key_id_of, verify
from regista.wire.keys import SigningKey
from shared.foundation.settings import Settings
from shared.foundation.topics import topic_of
from shared.identity.access_view import AccessView
from shared.log import eventlog
from shared.messaging.kafka import Record, connection, stop_client

LOOK_BACK = 20
"""Messages at the end of each partition among which the newest own one is found.

Messages of other logs, with other keys, may stand between them on a broker that several logs share.
"""
ANSWER_WITHIN = 5.0
"""Seconds for Kafka's answer."""

# What the log has at the positions that the messages name: each one look-up in the primary key.
STORED = """
SELECT wanted.stream, wanted.revision, (
    SELECT encode(e.leaf, 'hex') FROM {table} e
    WHERE e.service = '{partition}' AND e.stream = wanted.stream AND e.revision = wanted.revision
) AS leaf
FROM unnest($1::text[], $2::bigint[]) AS wanted(stream, revision)
"""

# Messages before these offsets were given up when a restore was accepted.
ACCEPTED = "SELECT accepted::text FROM log.epochs ORDER BY epoch DESC LIMIT 1"

ADVICE = (
    "The database was restored to an older copy, replaced or rewritten. Nothing is written. Keep the database"
    " as it is and run `regista doctor`: it names what is lost, and what to run next."
)


@dataclass(frozen=True, slots=True)
class OwnTopic:
    """The topic of a service, with the keys by which its own messages are recognized."""

    settings: Settings
    service: str
    key: SigningKey
    access: AccessView

    async def compare(self, database: asyncpg.Connection) -> None:
        """Raise LogStopped when the log lacks an event that was published, or has another in its place.

        Raises KafkaError, TimeoutError and database errors when the comparison is not possible.
        """
        offsets = accepted_offsets(await database.fetchval(ACCEPTED), topic_of(self.service))
        async with asyncio.timeout(ANSWER_WITHIN):
            records = await _last_records(self.settings, topic_of(self.service), offsets)
        newest = [event for some in records if (event := self._newest(some)) is not None]
        if lost := await missing(database, self.service, newest):
            raise eventlog.LogStopped(f"{_described(self.service, lost)}. {ADVICE}")

    def _newest(self, records: Sequence[Record]) -> CloudEvent | None:
        return next((event for record in reversed(records) if (event := self._own(record))), None)

    def _own(self, record: Record) -> CloudEvent | None:
        """Return the event of a record that this service signed, with its present key or a former one."""
        try:
            event = from_kafka(record.value, record.headers)
            key_id = key_id_of(event)
            signer = self.access.signer(key_id)
            if key_id == self.key.key_id:
                verify(event, self.key.public)
            elif signer is not None and signer.subject == self.key.subject and not signer.compromised:
                verify(event, signer.public_key)
            else:
                return None
        except (NotACloudEvent, BadSignature):
            return None
        return event if event.source == f"/regista/{self.service}" else None


def accepted_offsets(accepted: str | None, topic: str) -> dict[str, int]:
    """Return the offset of each partition before which messages were given up; none for the others."""
    offsets: dict[str, int] = json.loads(accepted or "{}").get(topic, {})
    return offsets


async def missing(
    database: asyncpg.Connection, service: str, events: Iterable[CloudEvent], table: str = ""
) -> list[CloudEvent]:
    """Return the events of messages that the log of the service does not have as they were published.

    `table` is the service's own partition, or the whole log for those who may read it.
    """
    wanted = [event for event in events if _is_named(event)]
    if not wanted:
        return []
    rows = await database.fetch(
        STORED.format(partition=service, table=table or f"log.events_{service}"),
        [event.subject for event in wanted],
        [int(event.extensions["revision"]) for event in wanted],
    )
    stored = {(row[0], row[1]): row[2] for row in rows}
    return [
        event
        for event in wanted
        if (leaf := stored.get((event.subject, int(event.extensions["revision"])))) is None
        or event.extensions.get("leaf", leaf) != leaf
    ]


def _is_named(event: CloudEvent) -> bool:
    """Return whether the message names its stream in full: some characters do not survive in a header."""
    exact = "\ufffd" not in event.subject and len(event.subject) < MAX_ATTRIBUTE
    return exact and event.extensions.get("revision", "").isdecimal()


def _described(service: str, lost: Sequence[CloudEvent]) -> str:
    one = max(lost, key=lambda event: event.extensions.get("recordedtime", ""))
    return (
        f"the log lacks an event that {service} published: {one.type}, revision"
        f" {one.extensions['revision']} of {one.subject}, recorded"
        f" {one.extensions.get('recordedtime', 'at an unknown time')}"
    )


async def _last_records(settings: Settings, topic: str, accepted: dict[str, int]) -> list[list[Record]]:
    """Return the last records of each partition, without those before the accepted offsets."""
    consumer = AIOKafkaConsumer(
        topic, **connection(settings), enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        await consumer.start()
        partitions = sorted(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        found = []
        for partition in partitions:
            end = ends[partition]
            first = max(starts[partition], end - LOOK_BACK, accepted.get(str(partition.partition), 0))
            if first < end:
                found.append(await records_between(consumer, partition, first, end))
        return found
    finally:
        await stop_client(consumer)


async def records_between(
    consumer: AIOKafkaConsumer, at: TopicPartition, first: int, end: int
) -> list[Record]:
    """Return the records of a partition from the offset `first` to `end - 1`."""
    consumer.seek(at, first)
    records: list[Record] = []
    while await consumer.position(at) < end:
        for batch in (await consumer.getmany(at, timeout_ms=500)).values():
            records += [record for record in batch if record.offset < end]
    return records
