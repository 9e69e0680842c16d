"""The topics of Regista: their settings, who writes and who reads them. Imports no client of Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regista.wire.limits import RECORD_BYTES
from shared.foundation.topics import CHECKPOINTS, PARTITIONS_OF, bound_topic, dlq_of, topic_of

SERVICES = tuple(PARTITIONS_OF)
TRAINING = "regista.training.v1"
USAGE = "regista.usage.v1"
REPLAYED_BY: Mapping[str, str] = MappingProxyType(
    {TRAINING: "registry", USAGE: "cleanup"}
)  # the service that reads the messages of publishers and sends a replayed dead letter
INBOUND = tuple(REPLAYED_BY)
WRITERS: Mapping[str, str] = MappingProxyType(
    {topic_of(service): service for service in SERVICES if PARTITIONS_OF[service]}
)
SOURCES = (*INBOUND, *WRITERS)
SUBSCRIBED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "registry": (TRAINING, topic_of("approval"), topic_of("artifact"), topic_of("cleanup")),
        "approval": (topic_of("registry"), topic_of("artifact")),
        "artifact": (topic_of("registry"),),
        "cleanup": (USAGE, topic_of("registry")),
        "audit": (),
        "mirror": (topic_of("registry"), topic_of("artifact")),
    }
)
"""The topics that a service consumes. It writes and reads their dead letters."""
PARTITIONS = 4

MIB = 1024 * 1024
EVERYTHING_STAYS: Mapping[str, str] = MappingProxyType(
    {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "max.message.bytes": str(4 * MIB),
    }
)
"""No message is deleted or compacted, whatever the broker does by default.

A service sends at most 3 MiB (shared/messaging/kafka.py).
"""
FROM_PUBLISHERS: Mapping[str, str] = MappingProxyType(
    {
        **EVERYTHING_STAYS,
        "max.message.bytes": str(RECORD_BYTES),
        "message.timestamp.type": "LogAppendTime",
    }
)
"""The broker sets the time of a message: a key that expires is compared with it, whenever it is read."""
DEAD_LETTERS: Mapping[str, str] = MappingProxyType(
    {**EVERYTHING_STAYS, "max.message.bytes": str(RECORD_BYTES), "retention.bytes": str(256 * MIB)}
)
"""A dead letter is small (shared/messaging/dead_letters.py). The oldest leave when a partition is full."""
TOPICS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(INBOUND, FROM_PUBLISHERS)
    | dict.fromkeys(WRITERS, EVERYTHING_STAYS)
    | {CHECKPOINTS: EVERYTHING_STAYS}
    | {dlq_of(topic): DEAD_LETTERS for topic in SOURCES}
)
PUBLIC = (*WRITERS, CHECKPOINTS)
"""What readers may read: the events of the services and audit's log checkpoints."""


@dataclass(frozen=True, slots=True, order=True)
class Topic:
    """A topic as it has to be. `replication` is 0 where it is the cluster's choice."""

    name: str
    partitions: int
    replication: int
    settings: tuple[tuple[str, str], ...]


def topics_of(namespaces: tuple[str, ...]) -> dict[str, Mapping[str, str]]:
    """Return the settings of each topic; `namespaces` are those with topics of their own."""
    inbound = [bound_topic(topic, namespace) for topic in INBOUND for namespace in namespaces]
    return {
        **TOPICS,
        **dict.fromkeys(inbound, FROM_PUBLISHERS),
        **dict.fromkeys(map(dlq_of, inbound), DEAD_LETTERS),
    }
