"""Kafka's topics, users and permissions as data.

The broker enforces the permissions; the signature on each message is a second, independent check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from regista.wire.limits import RECORD_BYTES
from shared.foundation.topics import CHECKPOINTS, PARTITIONS_OF, dlq_of, topic_of

SERVICES = tuple(PARTITIONS_OF)
PUBLISHERS = ("pipeline", "serving")  # one Kafka user per publisher; more are added when the stack starts

TRAINING = "regista.training.v1"
USAGE = "regista.usage.v1"
REPLAYED_BY: Mapping[str, str] = MappingProxyType(
    {TRAINING: "registry", USAGE: "cleanup"}
)  # the service that sends a replayed dead letter
INBOUND = tuple(REPLAYED_BY)
WRITERS: Mapping[str, str] = MappingProxyType(
    {topic_of(service): service for service in SERVICES if PARTITIONS_OF[service]}
)
SOURCES = (*INBOUND, *WRITERS)
PARTITIONS = 4
OF_PUBLISHERS: Mapping[str, str] = MappingProxyType({"max.message.bytes": str(RECORD_BYTES)})
UNLIMITED: Mapping[str, str] = MappingProxyType({"retention.ms": "-1"})
TOPICS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(SOURCES, UNLIMITED)
    | {CHECKPOINTS: UNLIMITED}
    | {topic: {**UNLIMITED, **OF_PUBLISHERS} for topic in (*INBOUND, *map(dlq_of, SOURCES))}
)

Operation = Literal["READ", "WRITE", "DESCRIBE"]


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One permission of a Kafka user.

    On a topic by its full name, or on the consumer groups or transactional ids that start with `name`.
    """

    user: str
    kind: Literal["TOPIC", "GROUP", "TRANSACTIONAL_ID"]
    name: str
    operation: Operation


def grants(publishers: tuple[str, ...] = PUBLISHERS) -> frozenset[Grant]:
    """Return all permissions. Everything else is refused (`allow.everyone.if.no.acl.found=false`)."""
    return frozenset([*_of_services(), *_of_publishers(publishers)])


def _of_services() -> Iterator[Grant]:
    for service in SERVICES:
        yield Grant(service, "GROUP", service, "READ")
        yield Grant(service, "GROUP", f"regista.{service}", "READ")
        for topic in SOURCES:
            yield Grant(service, "TOPIC", topic, "READ")
            yield Grant(service, "TOPIC", dlq_of(topic), "READ")
            yield Grant(service, "TOPIC", dlq_of(topic), "WRITE")
    for topic, writer in {**WRITERS, **REPLAYED_BY}.items():
        yield Grant(writer, "TOPIC", topic, "WRITE")
    yield Grant("audit", "TOPIC", CHECKPOINTS, "WRITE")
    yield Grant("audit", "TOPIC", CHECKPOINTS, "READ")


def _of_publishers(publishers: tuple[str, ...]) -> Iterator[Grant]:
    for publisher in publishers:
        for topic in INBOUND:
            yield Grant(publisher, "TOPIC", topic, "WRITE")
        yield Grant(publisher, "TRANSACTIONAL_ID", transactional_ids_of(publisher), "WRITE")
        yield Grant(publisher, "TRANSACTIONAL_ID", transactional_ids_of(publisher), "DESCRIBE")


def transactional_ids_of(publisher: str) -> str:
    """Return how each transactional id of a publisher starts.

    A producer ends another one with the same id, so no publisher may use ids of another one. The slash keeps
    `team` from the ids of `team-a`.
    """
    return f"{publisher}/"
