"""Run all subscriptions of a process on one FastStream broker, and replace the broker when it is stuck.

FastStream's defaults lose messages: it acknowledges before it handles, and a decoder that fails drops the
whole batch. So the handlers get raw records, FastStream decodes nothing, and only
shared/messaging/consumer.py acknowledges.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from prometheus_client import Gauge

from shared.foundation.outages import KAFKA
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.readiness import Readiness
from shared.foundation.settings import Settings
from shared.foundation.telemetry import error_summary
from shared.messaging.consumer import Consumer
from shared.messaging.faststream_seam import start_with_consumers, stop_tasks
from shared.messaging.kafka import Record, connection, stop_client
from shared.messaging.kafka_errors import KAFKA_ERRORS
from shared.messaging.skipping_consumer import SkippingConsumer

log = logging.getLogger(__name__)

LAG = Gauge("regista_consumer_lag", "Messages not yet acknowledged", ["topic", "group", "partition"])
SHORT, FILL = 100, 0.02
"""Records below which a batch is short, and seconds until the next batch is read after a short one.

Each batch costs a transaction and an acknowledgement.
"""
WATCH = 5.0
"""Seconds between two checks of a subscription, and the time limit of one check."""
UNREAD = 10.0
"""Seconds in which a partition with waiting messages must be read, or the process is not ready."""
STANDSTILL = 20.0
"""Seconds in which a partition with waiting messages must be read, or the client is replaced.

Time in which a batch is handled does not count, nor do partitions that are paused at an event that fails.
"""
SILENCE = 30.0
"""Seconds without an answer to a check after which the client is replaced: it lost its broker or its group.
"""

Records: TypeAlias = Sequence[Record]


class Stuck(Exception):  # noqa: N818
    """The Kafka client delivers nothing although messages wait."""


class WatchedSubscription:
    """One subscription on the broker.

    It stops at the first batch that fails and records when it last made progress.
    """

    def __init__(self, consumer: Consumer, failed: asyncio.Future[None]) -> None:
        self.consumer = consumer
        self.about = f"kafka broker, {consumer.subscription.topic}"
        self.busy = False
        self.answered_at = time.monotonic()
        self._moved: dict[TopicPartition, tuple[int, float]] = {}
        self._failed = failed
        self._client: Callable[[], AIOKafkaConsumer | None] = lambda: None

    def attach(self, broker: KafkaBroker) -> None:
        """Add the subscriber to the broker."""
        subscription = self.consumer.subscription
        subscriber = broker.subscriber(
            subscription.topic,
            group_id=subscription.group_id,
            batch=True,
            max_records=500,
            batch_timeout_ms=20,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=[StickyPartitionAssignor],
            max_poll_interval_ms=300_000,
            session_timeout_ms=15_000,
            parser=_raw,
            decoder=_undecoded,
        )
        subscriber(self._on_batch)
        self._client = lambda: subscriber.consumer

    async def _on_batch(self, records: Records) -> None:
        client = self._client()
        if self._failed.done() or client is None:
            return  # an earlier batch failed: acknowledging this one would acknowledge that one, too
        self.busy = True
        try:
            await self.consumer.handle(records, client)
        except BaseException as error:
            if not self._failed.done():
                self._failed.set_exception(
                    error if isinstance(error, Exception) else Stuck("stopped in the middle of a batch")
                )
            raise
        finally:
            self.busy = False
            self._moved.clear()
        if len(records) < SHORT:
            await asyncio.sleep(FILL)

    async def watch(self, readiness: Readiness) -> None:
        """Measure how many messages wait. Raises Stuck after a standstill or a silence of the broker."""
        client = self._client()
        if client is None:
            return
        self.consumer.resume_paused(client)
        try:
            await self._watch(client, readiness)
        except (*KAFKA_ERRORS, TimeoutError) as error:
            raise_if_cancelled()
            KAFKA.report(error)
            self._lag_unknown()
            readiness.wait(self.about, f"Kafka does not answer ({type(error).__name__})", logged=False)
            if not self.busy and time.monotonic() - self.answered_at > SILENCE:
                raise Stuck(
                    f"Kafka has not answered about {self.consumer.subscription.topic} for {SILENCE:.0f} s"
                ) from error
        else:
            self.answered_at = time.monotonic()
            KAFKA.answered()

    def _lag_unknown(self) -> None:
        """Show that the lag is not known: the last value may be 0 while messages wait."""
        client = self._client()
        self.consumer.lag_shown |= client.assignment() if client is not None else set()
        for partition in self.consumer.lag_shown:
            LAG.labels(partition.topic, self.consumer.subscription.group_id, partition.partition).set(
                math.nan
            )

    def detach(self) -> None:
        """Withdraw what this client reported: its successor may get other partitions, or none."""
        self._lag_unknown()
        self._client = lambda: None
        self.consumer.detach()

    async def _watch(self, client: AIOKafkaConsumer, readiness: Readiness) -> None:
        subscription = self.consumer.subscription
        assigned = client.assignment()
        if not assigned and not client.partitions_for_topic(subscription.topic):
            readiness.wait(
                self.about,
                f"the topic {subscription.topic} does not exist or this service may not read it:"
                " create it or grant READ",
            )
            return
        async with asyncio.timeout(WATCH):
            if not assigned:
                await client.topics()  # a broker that hangs must not look ready without partitions
            ends = await client.end_offsets(assigned) if assigned else {}
            positions = {partition: await client.position(partition) for partition in ends}
        unread = ""
        for partition, end in ends.items():
            at = positions[partition]
            lag = max(0, end - (min(at, self.consumer.acknowledged.get(partition, at)) if self.busy else at))
            LAG.labels(partition.topic, subscription.group_id, partition.partition).set(lag)
            unread = unread or self._unread(partition, at, lag)
        for gone in self.consumer.lag_shown - set(ends):
            LAG.remove(gone.topic, subscription.group_id, gone.partition)
        self.consumer.lag_shown = set(ends)
        if unread:
            readiness.wait(self.about, unread)
        else:
            readiness.clear(self.about)

    def _unread(self, partition: TopicPartition, at: int, lag: int) -> str:
        """Return why an assigned partition counts as not read, or "". Raises Stuck after a standstill."""
        now = time.monotonic()
        offset, since = self._moved.get(partition, (at, now))
        if offset != at or not lag or self.busy or self.consumer.is_paused(partition):
            since = now
        self._moved[partition] = at, since
        still = now - since
        reason = (
            f"partition {partition.partition} is not read: {lag} messages wait after offset {at},"
            f" and Kafka has delivered none for {still:.0f} s"
        )
        if still > STANDSTILL:
            raise Stuck(f"{partition.topic}: {reason}")
        return reason if still > UNREAD else ""


async def _raw(message: Records) -> KafkaMessage:
    """Return the batch unparsed.

    FastStream's own parser decodes headers and fails at the first that is not UTF-8.
    """
    return KafkaMessage(
        raw_message=message,
        body=b"",
        headers={},
        batch_headers=[],
        message_id="",
        consumer=None,  # type: ignore[arg-type]
    )


async def _undecoded(message: KafkaMessage) -> object:
    return message.raw_message


def _broker(settings: Settings) -> KafkaBroker:
    """Return a broker without subscribers. It opens no connection: the consumers that `consume` makes do."""
    return KafkaBroker(
        settings.kafka_bootstrap,
        apply_types=False,
        consumer_only=True,
        allow_auto_create_topics=False,
        logger=None,
        client_id="regista",
        graceful_timeout=3.0,
    )


async def consume(settings: Settings, consumers: Sequence[Consumer], readiness: Readiness) -> None:
    """Run the subscriptions for the life of the process.

    While Kafka is unavailable, report it in readiness and retry.
    """
    if not consumers:
        return
    unreadable = {consumer.subscription.group_id: consumer.add_unreadable for consumer in consumers}
    while True:
        clients: list[AIOKafkaConsumer] = []

        def make(clients: list[AIOKafkaConsumer] = clients, **options: Any) -> AIOKafkaConsumer:
            clients.append(SkippingConsumer(unreadable, **connection(settings), **options))
            return clients[-1]

        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        broker = _broker(settings)
        watched = [WatchedSubscription(consumer, failed) for consumer in consumers]
        for subscription in watched:
            subscription.attach(broker)
        try:
            async with asyncio.timeout(30):
                await start_with_consumers(broker, make)
            readiness.clear("kafka")
            KAFKA.answered()
            await _watch_all(watched, failed, readiness)
        except (*KAFKA_ERRORS, Stuck, TimeoutError, OSError) as error:
            raise_if_cancelled()
            KAFKA.report(error)
            readiness.wait(
                "kafka",
                f"the broker at {settings.kafka_bootstrap} does not answer or delivers nothing"
                f" ({error_summary(error)})",
                logged=False,
            )
        finally:
            if failed.done():
                failed.exception()
            stop_tasks(broker)
            for subscription in watched:
                subscription.detach()
            await stop_client(broker, parts=clients)
        await asyncio.sleep(1)


async def _watch_all(
    watched: Sequence[WatchedSubscription], failed: asyncio.Future[None], readiness: Readiness
) -> None:
    """Check every subscription each WATCH seconds. Raises the error of a batch that failed, or Stuck."""
    while True:
        await asyncio.wait([failed], timeout=WATCH)
        if failed.done():
            failed.result()
        for subscription in watched:
            await subscription.watch(readiness)
