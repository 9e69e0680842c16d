"""How far readers are behind: consumer groups behind Kafka's topics, relays behind the log."""

from __future__ import annotations

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (confluent_kafka.admin exports its classes without saying so)
from collections import defaultdict
from collections.abc import Mapping, Sequence

import asyncpg
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.local.topics import WRITERS

_WAIT = 5.0  # seconds
UNPUBLISHED = """
SELECT count(*) FROM log.events_{partition} e
WHERE (e.tx, e.seq) > (coalesce((SELECT tx FROM {schema}.relay_checkpoint), 0)::text::xid8, coalesce((SELECT seq FROM {schema}.relay_checkpoint), 0))
"""


def consumer_lag(admin: AdminClient) -> dict[str, dict[str, int]]:
    """Messages not yet read, by consumer group and topic. Groups that read nothing yet are not there."""
    groups = [group.group_id for group in admin.list_consumer_groups(request_timeout=_WAIT).result(_WAIT).valid]
    committed = {group: _committed(admin, group) for group in groups}
    ends = _ends(admin, sorted({place for places in committed.values() for place in places}))
    lags: dict[str, dict[str, int]] = {group: defaultdict(int) for group in groups}
    for group, places in committed.items():
        for place, offset in places.items():
            lags[group][place[0]] += max(0, ends[place] - max(0, offset))
    return {group: dict(topics) for group, topics in lags.items()}


Place = tuple[str, int]


def _committed(admin: AdminClient, group: str) -> dict[Place, int]:
    answers = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_WAIT)
    return {(one.topic, one.partition): one.offset for one in answers[group].result(_WAIT).topic_partitions}


def _ends(admin: AdminClient, places: Sequence[Place]) -> Mapping[Place, int]:
    if not places:
        return {}
    asked = admin.list_offsets({TopicPartition(*place): OffsetSpec.latest() for place in places}, request_timeout=_WAIT)
    return {(one.topic, one.partition): future.result(_WAIT).offset for one, future in asked.items()}


async def relay_lag(owner_url: str) -> dict[str, int]:
    """Events of the log that its relay has not published, by service."""
    connection = await asyncpg.connect(owner_url, timeout=_WAIT, command_timeout=_WAIT)
    try:
        return {name: await connection.fetchval(UNPUBLISHED.format(partition=name, schema=name)) for name in WRITERS.values()}
    finally:
        await connection.close()
