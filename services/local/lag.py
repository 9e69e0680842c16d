"""Report the lag of consumer groups behind Kafka's topics, and of relays behind the log."""

from __future__ import annotations

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (confluent_kafka.admin does not list its classes in __all__)
from collections.abc import Iterable, Mapping

import asyncpg
from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.kafka.topics import INBOUND, PARTITIONS, SERVICES, SOURCES, WRITERS

_WAIT = 5.0  # seconds
Partition = tuple[str, int]


def consumer_lag(admin: AdminClient) -> dict[str, dict[str, int]]:
    """Return the number of unread messages by consumer group and topic, over all partitions.

    Partitions without a committed offset count from the beginning. Groups that never joined are missing.
    Raises KafkaException when Kafka does not answer.
    """
    listed = admin.list_consumer_groups(request_timeout=_WAIT).result(_WAIT)
    if listed.errors:
        raise KafkaException(listed.errors[0])
    return lag_of(admin, {one.group_id: topic for one in listed.valid if (topic := _topic_of(one.group_id))})


def lag_of(admin: AdminClient, reads: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Return the lag of each group of `reads` behind its topic. What is in an open transaction counts not.

    Raises KafkaException when Kafka does not answer.
    """
    partitions = [
        (topic, partition) for topic in sorted(set(reads.values())) for partition in range(PARTITIONS)
    ]
    begins, ends = (
        _offsets(admin, partitions, OffsetSpec.earliest()),
        _offsets(admin, partitions, OffsetSpec.latest()),
    )
    lags = {}
    for group, topic in reads.items():
        read = begins | _committed(admin, group)
        lags[group] = {topic: sum(max(0, ends[one] - read[one]) for one in partitions if one[0] == topic)}
    return lags


def _topic_of(group: str) -> str:
    """Return the topic of a service's group `<service>.<topic>`, or an empty string for other groups."""
    service, _, topic = group.partition(".")
    bound = any(topic.startswith(f"{inbound}.") for inbound in INBOUND)
    return topic if service in SERVICES and (topic in SOURCES or bound) else ""


def _committed(admin: AdminClient, group: str) -> dict[Partition, int]:
    answers = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_WAIT)
    return {
        (one.topic, one.partition): one.offset
        for one in answers[group].result(_WAIT).topic_partitions
        if one.offset >= 0
    }


def _offsets(admin: AdminClient, partitions: Iterable[Partition], which: OffsetSpec) -> dict[Partition, int]:
    requested = {TopicPartition(*one): which for one in partitions}
    if not requested:
        return {}
    return {
        (one.topic, one.partition): future.result(_WAIT).offset
        for one, future in admin.list_offsets(
            requested, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_WAIT
        ).items()
    }


async def relay_lag(owner_url: str) -> dict[str, int]:
    """Return the number of events that each relay has not published, by service."""
    from shared.messaging.relay import LAG  # noqa: PLC0415 - with all that the relay needs; most commands do without

    connection = await asyncpg.connect(owner_url, timeout=_WAIT, command_timeout=_WAIT)
    try:
        return {
            name: await connection.fetchval(LAG.format(partition=name, schema=name))
            for name in WRITERS.values()
        }
    finally:
        await connection.close()
