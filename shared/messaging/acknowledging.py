"""Acknowledge records to Kafka, partition by partition."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from shared.foundation.outages import KAFKA
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.messaging.kafka import Record
from shared.messaging.kafka_errors import KAFKA_ERRORS

log = logging.getLogger(__name__)


def partition_of(record: Record) -> TopicPartition:
    """Return the partition that the record stands in."""
    return TopicPartition(record.topic, record.partition)


async def acknowledge(consumer: AIOKafkaConsumer, records: Sequence[Record]) -> dict[TopicPartition, int]:
    """Commit the offset after the last record of each partition and return these offsets.

    A partition that moved to another process is left out: its messages are delivered there again, and the
    inbox recognises them.
    """
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        partition = partition_of(record)
        offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
    for attempt in range(5):
        still_ours = {
            partition: offset for partition, offset in offsets.items() if partition in consumer.assignment()
        }
        if not still_ours:
            break
        try:
            async with asyncio.timeout(10):
                await consumer.commit(still_ours)
        except (CommitFailedError, IllegalStateError) as lost:
            log.info("not acknowledged, Kafka will deliver it again: %s", type(lost).__name__)
        except (*KAFKA_ERRORS, TimeoutError) as error:
            raise_if_cancelled()
            KAFKA.report(error)
            await asyncio.sleep(0.2 * 2**attempt)
            continue
        return still_ours
    return {}
