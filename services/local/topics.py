"""Kafka's topics, users and permissions as data.

The broker enforces the permissions; the signature on each message is a second, independent check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from regista.wire.limits import RECORD_BYTES
from regista.wire.names import may_exist
from shared.foundation.topics import CHECKPOINTS, PARTITIONS_OF, bound_topic, dlq_of, topic_of

SERVICES = tuple(PARTITIONS_OF)
PUBLISHERS = ("pipeline", "serving")  # one Kafka user per publisher; more are added when the stack starts
READERS = ("reader",)  # Kafka users who read what services publish, outside of Regista

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
UNLIMITED: Mapping[str, str] = MappingProxyType({"retention.ms": "-1"})
FROM_PUBLISHERS: Mapping[str, str] = MappingProxyType({**UNLIMITED, "max.message.bytes": str(RECORD_BYTES)})
DEAD_LETTERS: Mapping[str, str] = MappingProxyType(
    {**UNLIMITED, "max.message.bytes": str(RECORD_BYTES), "retention.bytes": str(256 * 1024 * 1024)}
)
"""A dead letter is small (shared/messaging/dead_letters.py). The oldest leave when a partition is full."""
TOPICS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(INBOUND, FROM_PUBLISHERS)
    | dict.fromkeys(WRITERS, UNLIMITED)
    | {CHECKPOINTS: UNLIMITED}
    | {dlq_of(topic): DEAD_LETTERS for topic in SOURCES}
)
PUBLIC = (*WRITERS, CHECKPOINTS)
"""What readers may read: the events of the services and audit's log checkpoints."""
MIB = 1024 * 1024
QUOTAS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "publisher": {"producer_byte_rate": 16.0 * MIB},
        "reader": {"consumer_byte_rate": 32.0 * MIB},
    }
)
"""Limits of one Kafka user, in bytes a second. Beyond them the broker slows the user down.

Services have none.
"""

NOT_BOUND: Mapping[str, str] = MappingProxyType({})

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


def bound_publishers(text: str) -> dict[str, str]:
    """Return the namespaces of publishers' users, of `fraud-ci=fraud,crm-ci=crm`. Raises ValueError."""
    found = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        user, _, namespace = part.partition("=")
        if user in SERVICES or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", user) or not may_exist(namespace):
            raise ValueError(part)
        found[user] = namespace
    return found


def topics(bound: Mapping[str, str] = NOT_BOUND) -> dict[str, Mapping[str, str]]:
    """Return the topics with their settings; `bound` are the namespaces of publishers' users."""
    inbound = [bound_topic(topic, namespace) for topic in INBOUND for namespace in sorted({*bound.values()})]
    return {
        **TOPICS,
        **dict.fromkeys(inbound, FROM_PUBLISHERS),
        **dict.fromkeys(map(dlq_of, inbound), DEAD_LETTERS),
    }


def grants(
    publishers: tuple[str, ...] = PUBLISHERS,
    readers: tuple[str, ...] = READERS,
    bound: Mapping[str, str] = NOT_BOUND,
) -> frozenset[Grant]:
    """Return all permissions. Everything else is refused (`allow.everyone.if.no.acl.found=false`)."""
    return frozenset([*_of_services(), *_of_publishers(publishers), *_of_readers(readers), *_of_bound(bound)])


def quotas(
    publishers: tuple[str, ...] = PUBLISHERS, readers: tuple[str, ...] = READERS
) -> dict[str, Mapping[str, float]]:
    """Return the limits of each Kafka user that has some."""
    return dict.fromkeys(publishers, QUOTAS["publisher"]) | dict.fromkeys(readers, QUOTAS["reader"])


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
        yield from _transactions(publisher)


def _transactions(publisher: str) -> Iterator[Grant]:
    for operation in ("WRITE", "DESCRIBE"):
        yield Grant(publisher, "TRANSACTIONAL_ID", transactional_ids_of(publisher), operation)


def transactional_ids_of(publisher: str) -> str:
    """Return how each transactional id of a publisher starts.

    A producer ends another one with the same id, so no publisher may use ids of another one. The slash keeps
    `team` from the ids of `team-a`.
    """
    return f"{publisher}/"


def _of_bound(bound: Mapping[str, str]) -> Iterator[Grant]:
    """Yield what a publisher of one namespace may do: write the topics of that namespace, and no others."""
    for user, namespace in bound.items():
        yield from _transactions(user)
        for topic, service in REPLAYED_BY.items():
            own = bound_topic(topic, namespace)
            yield Grant(user, "TOPIC", own, "WRITE")
            yield Grant(service, "TOPIC", own, "READ")
            yield Grant(service, "TOPIC", own, "WRITE")
            yield Grant(service, "TOPIC", dlq_of(own), "READ")
            yield Grant(service, "TOPIC", dlq_of(own), "WRITE")


def _of_readers(readers: tuple[str, ...]) -> Iterator[Grant]:
    """Yield what a reader may do: read public topics, in consumer groups that begin with its name."""
    for reader in readers:
        yield Grant(reader, "GROUP", reader, "READ")
        for topic in PUBLIC:
            yield Grant(reader, "TOPIC", topic, "READ")
