"""Set consumer groups after a loss: services' topics to their end, publishers' topics back in time."""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (confluent_kafka.admin does not list its classes in __all__)

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.kafka.topics import INBOUND, PARTITIONS
from services.local.folders import LocalError
from services.local.lag import _topic_of

_WAIT = 10.0  # seconds


def set_groups(
    admin: AdminClient, ends: Mapping[str, Mapping[str, int]], since: datetime | None
) -> dict[str, str]:
    """Set the offsets of all groups of services that have no members. Return what was done, by group.

    Messages that services had published before the loss are skipped: the relays publish again what the log
    still has. Messages of publishers are read again from `since`, or from the beginning. Raises LocalError.
    """
    try:
        listed = admin.list_consumer_groups(request_timeout=_WAIT).result(_WAIT)
        done = {}
        for group in sorted(one.group_id for one in listed.valid):
            topic = _topic_of(group)
            if topic in INBOUND:
                _set(admin, group, topic, _at(admin, topic, since))
                done[group] = f"reads again from {since.isoformat() if since else 'the beginning'}"
            elif topic in ends:
                _set(admin, group, topic, {int(partition): end for partition, end in ends[topic].items()})
                done[group] = "goes on at the end of its topic"
    except KafkaException as error:
        raise LocalError(f"the consumer groups could not be set: {error}") from error
    return done


def _at(admin: AdminClient, topic: str, since: datetime | None) -> dict[int, int]:
    which = OffsetSpec.for_timestamp(int(since.timestamp() * 1000)) if since else OffsetSpec.earliest()
    wanted = {TopicPartition(topic, n): which for n in range(PARTITIONS)}
    ends = {TopicPartition(topic, n): OffsetSpec.latest() for n in range(PARTITIONS)}
    newest = {
        one.partition: f.result(_WAIT).offset
        for one, f in admin.list_offsets(ends, request_timeout=_WAIT).items()
    }
    found = admin.list_offsets(wanted, request_timeout=_WAIT)
    return {
        one.partition: offset if (offset := future.result(_WAIT).offset) >= 0 else newest[one.partition]
        for one, future in found.items()
    }


def _set(admin: AdminClient, group: str, topic: str, offsets: Mapping[int, int]) -> None:
    partitions = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
    request = [ConsumerGroupTopicPartitions(group, partitions)]
    for future in admin.alter_consumer_group_offsets(request, request_timeout=_WAIT).values():
        future.result(_WAIT)
