"""How far readers are behind: consumer groups behind Kafka's topics, relays behind the log."""

from __future__ import annotations

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (confluent_kafka.admin exports its classes without saying so)
from collections.abc import Iterable

import asyncpg
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.local.topics import PARTITIONS, SERVICES, SOURCES, WRITERS

_WAIT = 5.0  # seconds
Place = tuple[str, int]


def consumer_lag(admin: AdminClient) -> dict[str, dict[str, int]]:
    """Messages not yet read, by consumer group and topic: all partitions count, from the beginning where nothing was read yet.

    Groups that never joined are not there. Raises KafkaException where Kafka does not tell.
    """
    listed = admin.list_consumer_groups(request_timeout=_WAIT).result(_WAIT)
    if listed.errors:
        raise KafkaException(listed.errors[0])
    reads = {one.group_id: topic for one in listed.valid if (topic := _topic_of(one.group_id))}
    places = [(topic, partition) for topic in sorted(set(reads.values())) for partition in range(PARTITIONS)]
    begins, ends = (
        _offsets(admin, places, OffsetSpec.earliest()),
        _offsets(admin, places, OffsetSpec.latest()),
    )
    lags = {}
    for group, topic in reads.items():
        read = begins | _committed(admin, group)
        lags[group] = {topic: sum(max(0, ends[place] - read[place]) for place in places if place[0] == topic)}
    return lags


def _topic_of(group: str) -> str:
    """A service reads each topic in a group of its own, `<service>.<topic>`; empty for groups of others."""
    service, _, topic = group.partition(".")
    return topic if service in SERVICES and topic in SOURCES else ""


def _committed(admin: AdminClient, group: str) -> dict[Place, int]:
    answers = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_WAIT)
    return {
        (one.topic, one.partition): one.offset
        for one in answers[group].result(_WAIT).topic_partitions
        if one.offset >= 0
    }


def _offsets(admin: AdminClient, places: Iterable[Place], which: OffsetSpec) -> dict[Place, int]:
    asked = {TopicPartition(*place): which for place in places}
    if not asked:
        return {}
    return {
        (one.topic, one.partition): future.result(_WAIT).offset
        for one, future in admin.list_offsets(asked, request_timeout=_WAIT).items()
    }


async def relay_lag(owner_url: str) -> dict[str, int]:
    """Events of the log that its relay has not published, by service."""
    from shared.messaging.relay import LAG  # noqa: PLC0415 - with all that the relay needs; most commands do without

    connection = await asyncpg.connect(owner_url, timeout=_WAIT, command_timeout=_WAIT)
    try:
        return {
            name: await connection.fetchval(LAG.format(partition=name, schema=name))
            for name in WRITERS.values()
        }
    finally:
        await connection.close()
