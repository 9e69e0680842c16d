"""Read the topics of the services from a position, without a consumer group."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import Counter

from regista.wire.event_feed import SERVICES, Partition, Position
from shared.foundation.settings import Settings
from shared.foundation.topics import topic_of
from shared.identity.access_view import AccessView
from shared.messaging.authenticity import Refused, verified
from shared.messaging.kafka import (
    Handler,
    Received,
    Record,
    Subscription,
    answer_in_time,
    by_service,
    connection,
    stop_client,
)

log = logging.getLogger(__name__)

PAGE = 500
FETCH_BYTES = 4 * 1024 * 1024
"""Bytes that one reader holds of all partitions; a larger record comes alone."""
CLOCKS_DIFFER = 300
"""Seconds by which a message may be dated before its event: the clocks of broker, service and database."""

NOT_AUTHENTIC = Counter(
    "regista_audit_public_events_refused", "Messages on the topics of services that no service signed"
)


class _EveryType(dict[str, Handler]):
    """Contains every type: what a newer release publishes is passed on, too."""

    def __contains__(self, _type: object) -> bool:
        return True


SUBSCRIPTIONS: Mapping[str, Subscription] = {
    service: Subscription(topic_of(service), "audit", _EveryType(), by_service(service))
    for service in SERVICES
}


class Topics:
    """A started reader of all partitions. `position` is what it reads next."""

    def __init__(
        self, consumer: AIOKafkaConsumer, access: AccessView, partitions: dict[TopicPartition, Partition]
    ) -> None:
        self._consumer, self._access, self._partitions = consumer, access, partitions
        self.position: Position = {}

    @classmethod
    async def opened(cls, settings: Settings, access: AccessView) -> Topics:
        """Return a reader of the topics that exist. Raises KAFKA_ERRORS and TimeoutError."""
        service_of = {topic_of(service): service for service in SERVICES}
        consumer = AIOKafkaConsumer(
            *service_of,
            **connection(settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES // 4,
        )
        try:
            async with answer_in_time():
                await consumer.start()
            partitions = {at: (service_of[at.topic], at.partition) for at in sorted(consumer.assignment())}
            # A subscription would begin all topics again when one gets another partition.
            consumer.unsubscribe()
            consumer.assign(list(partitions))
            return cls(consumer, access, partitions)
        except BaseException:
            await stop_client(consumer)
            raise

    async def close(self) -> None:
        await stop_client(self._consumer)

    async def ends(self) -> Position:
        """Return the position behind the newest message."""
        return await self._offsets(await self._consumer.end_offsets(list(self._partitions)))

    async def beginnings(self) -> Position:
        """Return the position of the oldest message that is kept."""
        return await self._offsets(await self._consumer.beginning_offsets(list(self._partitions)))

    async def at(self, moment: datetime) -> Position:
        """Return a position before every event that was recorded at the moment or later."""
        since = max(0, int((moment.timestamp() - CLOCKS_DIFFER) * 1000))
        async with answer_in_time():
            found = await self._consumer.offsets_for_times(dict.fromkeys(self._partitions, since))
        return await self.ends() | {
            self._partitions[at]: offset.offset for at, offset in found.items() if offset is not None
        }

    async def _offsets(self, offsets: Mapping[TopicPartition, int]) -> Position:
        return {self._partitions[at]: offset for at, offset in offsets.items()}

    def seek(self, position: Position) -> None:
        """Read from the position next. Partitions that it lacks are read from their beginning."""
        self.position = {partition: position.get(partition, 0) for partition in self._partitions.values()}
        for at, partition in self._partitions.items():
            self._consumer.seek(at, self.position[partition])

    async def read(self, wait_ms: int) -> list[Received]:
        """Return the next authentic messages and move the position behind them; none after `wait_ms`.

        Raises KAFKA_ERRORS, and Unavailable while the key of a message is not readable yet. After an error
        the same messages come again.
        """
        before = self.position
        try:
            batch = await self._consumer.getmany(timeout_ms=wait_ms, max_records=PAGE)
            found = [
                message for at, records in batch.items() for message in await self._verified(at, records)
            ]
            reached = {self._partitions[at]: await self._consumer.position(at) for at in batch}
        except BaseException:
            self.seek(before)
            raise
        self.position = before | reached
        return found

    async def _verified(self, at: TopicPartition, records: Sequence[Record]) -> list[Received]:
        service = self._partitions[at][0]
        verdicts = await verified(records, SUBSCRIPTIONS[service], self._access)
        for record, verdict in zip(records, verdicts, strict=True):
            if isinstance(verdict, Refused):
                NOT_AUTHENTIC.inc()
                where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
                log.warning("a message is passed over", extra={**where, "why": verdict.reason})
        return [verdict for verdict in verdicts if isinstance(verdict, Received)]
