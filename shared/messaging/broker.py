"""All subscriptions of a process on one FastStream broker: started, watched, started again when they stand still, stopped in time.

FastStream's defaults lose messages (acknowledged first; a decoder that fails takes the batch with it), so:
raw records, no decoding, no acknowledgement but ours.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from faststream.security import BaseSecurity, SASLScram512
from prometheus_client import Gauge

from shared.foundation.readiness import Readiness, in_short
from shared.foundation.settings import Settings
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import connection, stop_quietly
from shared.messaging.steady_consumer import SteadyConsumer

log = logging.getLogger(__name__)

LAG = Gauge("regista_consumer_lag", "Messages not yet acknowledged", ["topic", "group", "partition"])
WATCH = 5.0
SHORT, FILL = 100, 0.02
"""Records below which a batch is short, and seconds until the next one is read after it: each batch costs a transaction and an acknowledgement."""
STANDSTILL = 60.0
"""Seconds without a batch while messages wait and none is being worked on: the client is stuck, a new one is made."""
SILENCE = 30.0
"""Seconds without an answer to what `watch` asks: the client lost its broker or its group and does not find it again, a new one is made."""


class Stuck(Exception):  # noqa: N818
    """The Kafka client does not deliver although there is something to deliver."""


class Reader:
    """One subscription as the broker runs it: guards that no batch is lost when handling fails, and knows when it last got somewhere."""

    def __init__(self, consumer: Consumer, failed: asyncio.Future[None]) -> None:
        self.consumer = consumer
        self.about = f"kafka broker, {consumer.subscription.topic}"
        self.busy = False
        self.moved_at = self.answered_at = time.monotonic()
        self._failed = failed
        self._shown: set[TopicPartition] = set()
        self._client: Callable[[], AIOKafkaConsumer | None] = lambda: None

    def attach(self, broker: KafkaBroker) -> None:
        """Adds the subscriber to the broker, with the settings that held."""
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

    async def _on_batch(self, records: Sequence[ConsumerRecord[Any, Any]]) -> None:
        client = self._client()
        if self._failed.done() or client is None:
            return  # an earlier batch was not settled: acknowledging this one would acknowledge that one, too
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
        """Asks the broker how much waits. Raises Stuck after a standstill, and after a silence."""
        client = self._client()
        if client is None:
            return
        self.consumer.retry_held(client)
        try:
            await self._watch(client, readiness)
        except (KafkaError, TimeoutError) as away:
            readiness.wait(self.about, f"does not answer ({type(away).__name__})")
            if not self.busy and time.monotonic() - self.answered_at > SILENCE:
                raise Stuck(
                    f"no answer about {self.consumer.subscription.topic} for {SILENCE:.0f} s"
                ) from away
        else:
            self.answered_at = time.monotonic()

    async def _watch(self, client: AIOKafkaConsumer, readiness: Readiness) -> None:
        subscription = self.consumer.subscription
        assigned = client.assignment()
        if not assigned and not client.partitions_for_topic(subscription.topic):
            readiness.wait(
                self.about, f"there is no topic {subscription.topic}, or this service may not read it"
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
            raise Stuck(f"{waiting} messages of {subscription.topic} wait and none arrives")
        readiness.clear(self.about)


async def _raw(message: Any) -> KafkaMessage:
    """A batch as it came. FastStream's own parser decodes headers and fails at the first that is no UTF-8."""
    return KafkaMessage(
        raw_message=message,
        body=b"",
        headers={},
        batch_headers=[],
        message_id="",
        consumer=None,  # type: ignore[arg-type]
    )


async def _undecoded(message: KafkaMessage) -> Any:
    return message.raw_message


def _broker(settings: Settings) -> KafkaBroker:
    security: BaseSecurity | None = None
    if settings.kafka_security.startswith("SASL"):
        security = SASLScram512(
            settings.kafka_user,
            settings.kafka_password,
            use_ssl=settings.kafka_security == "SASL_SSL",
            ssl_context=connection(settings).get("ssl_context"),
        )
    return KafkaBroker(
        settings.kafka_bootstrap,
        security=security,
        apply_types=False,
        consumer_only=True,
        allow_auto_create_topics=False,
        logger=None,
        client_id="regista",
        graceful_timeout=3.0,
    )


async def _start(broker: KafkaBroker, consumers: Sequence[Consumer]) -> None:
    """As `broker.start`, with consumers that survive a record they cannot parse."""
    await broker.connect()
    config = broker.config.broker_config
    options: dict[str, Any] = getattr(config.builder, "keywords")  # noqa: B009 - a partial, typed as any callable
    config.builder = partial(
        SteadyConsumer,
        {consumer.subscription.group_id: consumer.bury_unreadable for consumer in consumers},
        **options,
    )
    await broker.start()


async def consume(settings: Settings, consumers: Sequence[Consumer], readiness: Readiness) -> None:
    """Runs the subscriptions for the life of the process. While Kafka is away it says so and tries again."""
    if not consumers:
        return
    while True:
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        broker = _broker(settings)
        readers = [Reader(consumer, failed) for consumer in consumers]
        for reader in readers:
            reader.attach(broker)
        try:
            async with asyncio.timeout(30):
                await _start(broker, consumers)
            readiness.clear("kafka")
            await _watched(readers, failed, readiness)
        except (KafkaError, Stuck, TimeoutError, OSError) as away:
            readiness.wait(
                "kafka", f"the broker at {settings.kafka_bootstrap} is away or silent ({in_short(away)})"
            )
        finally:
            if failed.done():
                failed.exception()
            await stop_quietly(broker)
        await asyncio.sleep(1)


async def _watched(readers: Sequence[Reader], failed: asyncio.Future[None], readiness: Readiness) -> None:
    """Until handling a batch failed, or a client stands still or hears nothing."""
    while True:
        await asyncio.wait([failed], timeout=WATCH)
        if failed.done():
            failed.result()
        for reader in readers:
            await reader.watch(readiness)
