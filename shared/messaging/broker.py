"""Run all subscriptions of a process on one FastStream broker, and replace the broker when it is stuck.

FastStream's defaults lose messages: it acknowledges before it handles, and a decoder that fails drops the
whole batch. So the handlers get raw records, FastStream decodes nothing, and only
shared/messaging/consumer.py acknowledges.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from prometheus_client import Gauge

from shared.foundation.readiness import Readiness, error_summary
from shared.foundation.settings import Settings
from shared.messaging.consumer import Consumer
from shared.messaging.faststream_seam import start_with_consumers
from shared.messaging.kafka import Record, connection, stop_client
from shared.messaging.skipping_consumer import SkippingConsumer

log = logging.getLogger(__name__)

LAG = Gauge("regista_consumer_lag", "Messages not yet acknowledged", ["topic", "group", "partition"])
SHORT, FILL = 100, 0.02
"""Records below which a batch is short, and seconds until the next batch is read after a short one.

Each batch costs a transaction and an acknowledgement.
"""
WATCH = 5.0
"""Seconds between two checks of a subscription, and the time limit of one check."""
STANDSTILL = 60.0
"""Seconds without a batch, while messages wait and none is being handled, after which the client is replaced.
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
        self.moved_at = self.answered_at = time.monotonic()
        self._failed = failed
        self._shown: set[TopicPartition] = set()
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
            self.moved_at = time.monotonic()
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
        except (KafkaError, TimeoutError) as error:
            readiness.wait(self.about, f"Kafka does not answer ({type(error).__name__})")
            if not self.busy and time.monotonic() - self.answered_at > SILENCE:
                raise Stuck(
                    f"Kafka has not answered about {self.consumer.subscription.topic} for {SILENCE:.0f} s"
                ) from error
        else:
            self.answered_at = time.monotonic()

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
            ends = await client.end_offsets(assigned) if assigned else {}
            positions = {partition: await client.position(partition) for partition in ends}
        waiting = 0
        for partition, end in ends.items():
            at = positions[partition]
            lag = max(0, end - (min(at, self.consumer.acknowledged.get(partition, at)) if self.busy else at))
            LAG.labels(partition.topic, subscription.group_id, partition.partition).set(lag)
            waiting += lag
        for gone in self._shown - set(ends):
            LAG.remove(gone.topic, subscription.group_id, gone.partition)
        self._shown = set(ends)
        if self.busy or not waiting:
            self.moved_at = time.monotonic()
        elif time.monotonic() - self.moved_at > STANDSTILL:
            raise Stuck(f"{waiting} messages of {subscription.topic} wait, and Kafka delivers none")
        readiness.clear(self.about)


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
    make = partial(SkippingConsumer, unreadable, **connection(settings))
    while True:
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        broker = _broker(settings)
        watched = [WatchedSubscription(consumer, failed) for consumer in consumers]
        for subscription in watched:
            subscription.attach(broker)
        try:
            async with asyncio.timeout(30):
                await start_with_consumers(broker, make)
            readiness.clear("kafka")
            await _watch_all(watched, failed, readiness)
        except (KafkaError, Stuck, TimeoutError, OSError) as error:
            readiness.wait(
                "kafka",
                f"the broker at {settings.kafka_bootstrap} does not answer or delivers nothing"
                f" ({error_summary(error)})",
            )
        finally:
            if failed.done():
                failed.exception()
            await stop_client(broker)
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
