"""What Regista needs of a Kafka cluster: topics, users, permissions, quotas. Data only.

The local stack, docker compose and `regista kafka` apply what stands here. The broker enforces the
permissions; the signature on each message is a second, independent check.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from regista.wire.names import may_exist
from services.kafka.topics import (
    MIB,
    PARTITIONS,
    PUBLIC,
    REPLAYED_BY,
    SERVICES,
    SUBSCRIBED,
    WRITERS,
    Topic,
    topics_of,
)
from shared.foundation.topics import CHECKPOINTS, bound_topic, dlq_of, topic_of

PUBLISHERS = ("pipeline", "serving")
READERS = ("reader",)
"""Kafka users who read what services publish, outside of Regista."""
QUOTAS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "publisher": {"producer_byte_rate": 16.0 * MIB},
        "reader": {"consumer_byte_rate": 32.0 * MIB},
    }
)
"""Limits of one Kafka user, in bytes a second. Beyond them the broker slows the user down.

Services have none.
"""
REPLICAS = 3
"""Copies of each message, where the cluster has so many brokers."""

Kind = Literal["TOPIC", "GROUP", "TRANSACTIONAL_ID"]
Pattern = Literal["LITERAL", "PREFIXED"]
Operation = Literal["READ", "WRITE", "DESCRIBE"]
_USER = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_PREFIX = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)?", re.ASCII)


class NeedsWrong(ValueError):  # noqa: N818 - as SettingsWrong: the message is for the operator
    """A publisher, reader or principal cannot be one. The message states what to write instead."""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One permission of a Kafka user.

    On one resource by its full name, or (PREFIXED) on all whose names begin with `name`.
    """

    user: str
    kind: Kind
    name: str
    operation: Operation
    pattern: Pattern = "LITERAL"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a cluster has to have.

    `publishers` may write the shared topics. `bound` has the namespace of each publisher that may write only
    the topics of that namespace. `partitions` and `replication` are those of each topic; with replication 0
    the cluster chooses. `user_prefix` stands before each user's name. `principals` has the names of users
    that Kafka calls otherwise, without the prefix.
    """

    publishers: tuple[str, ...] = PUBLISHERS
    readers: tuple[str, ...] = READERS
    bound: Mapping[str, str] = field(default_factory=dict)
    partitions: int = PARTITIONS
    replication: int = 0
    user_prefix: str = ""
    principals: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named = (*self.publishers, *self.bound, *self.readers)
        for name in named:
            if name in SERVICES or not _USER.fullmatch(name):
                raise NeedsWrong(
                    f"{name!r} cannot be a publisher or reader: write small letters, digits and dashes, and"
                    " not the name of a service"
                )
            if named.count(name) > 1:
                raise NeedsWrong(
                    f"{name} is named twice: a user publishes, or publishes for one namespace, or reads"
                )
        if not _PREFIX.fullmatch(self.user_prefix):
            raise NeedsWrong(f"{self.user_prefix!r} cannot begin the name of a user: letters, digits, dashes")
        if unknown := sorted(self.principals.keys() - {*SERVICES, *named}):
            raise NeedsWrong(
                f"there is no user {unknown[0]!r}: a principal belongs to one of"
                f" {', '.join((*SERVICES, *named))}"
            )

    def user(self, name: str) -> str:
        """Return how Kafka calls a service, publisher or reader."""
        return self.principals.get(name) or f"{self.user_prefix}{name}"

    @property
    def users(self) -> tuple[str, ...]:
        """All users by Kafka's names: services, publishers, readers."""
        names = (*SERVICES, *self.publishers, *self.bound, *self.readers)
        return tuple(dict.fromkeys(map(self.user, names)))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces with topics of their own: the setting KAFKA_NAMESPACES of registry and cleanup."""
        return tuple(sorted(set(self.bound.values())))

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All topics. Where there are three copies, two have to be written before a message counts."""
        safe = {"min.insync.replicas": "2"} if self.replication >= REPLICAS else {}
        return tuple(
            Topic(name, self.partitions, self.replication, tuple({**settings, **safe}.items()))
            for name, settings in topics_of(self.namespaces).items()
        )

    @property
    def grants(self) -> frozenset[Grant]:
        """All permissions. A cluster refuses everything else (`allow.everyone.if.no.acl.found=false`)."""
        return frozenset(
            [*self._of_services(), *self._of_publishers(), *self._of_bound(), *self._of_readers()]
        )

    @property
    def quotas(self) -> dict[str, Mapping[str, float]]:
        """The limits of each Kafka user that has some."""
        publishers = map(self.user, (*self.publishers, *self.bound))
        return dict.fromkeys(publishers, QUOTAS["publisher"]) | dict.fromkeys(
            map(self.user, self.readers), QUOTAS["reader"]
        )

    def _of_services(self) -> Iterator[Grant]:
        for service in SERVICES:
            user, own = self.user(service), topic_of(service)
            yield Grant(user, "GROUP", f"{service}.regista.", "READ", "PREFIXED")
            yield from _consume(user, SUBSCRIBED[service])
            if own in WRITERS:
                yield from _consume(user, [own])
                yield Grant(user, "TOPIC", own, "WRITE")
        for topic, service in REPLAYED_BY.items():
            yield Grant(self.user(service), "TOPIC", topic, "WRITE")
        audit = self.user("audit")
        for topic in PUBLIC:  # audit compares the log with what was published of it
            yield Grant(audit, "TOPIC", topic, "READ")
        yield Grant(audit, "TOPIC", CHECKPOINTS, "WRITE")

    def _of_publishers(self) -> Iterator[Grant]:
        for user in map(self.user, self.publishers):
            yield from _transactions(user)
            for topic in REPLAYED_BY:
                yield Grant(user, "TOPIC", topic, "WRITE")

    def _of_bound(self) -> Iterator[Grant]:
        """Yield what a publisher of one namespace may do: write the topics of that namespace, no others."""
        for name, namespace in self.bound.items():
            yield from _transactions(self.user(name))
            for topic, service in REPLAYED_BY.items():
                own = bound_topic(topic, namespace)
                yield Grant(self.user(name), "TOPIC", own, "WRITE")
                yield from _consume(self.user(service), [own])
                yield Grant(self.user(service), "TOPIC", own, "WRITE")

    def _of_readers(self) -> Iterator[Grant]:
        """Yield what a reader may do: read public topics, in consumer groups of its own name."""
        for user in map(self.user, self.readers):
            yield Grant(user, "GROUP", user, "READ")
            yield Grant(user, "GROUP", f"{user}.", "READ", "PREFIXED")
            for topic in PUBLIC:
                yield Grant(user, "TOPIC", topic, "READ")


def _consume(user: str, topics: Iterable[str]) -> Iterator[Grant]:
    """Yield what a consumer needs: to read topics, and to write and read their dead letters."""
    for topic in topics:
        yield Grant(user, "TOPIC", topic, "READ")
        yield Grant(user, "TOPIC", dlq_of(topic), "READ")
        yield Grant(user, "TOPIC", dlq_of(topic), "WRITE")


def _transactions(user: str) -> Iterator[Grant]:
    for operation in ("WRITE", "DESCRIBE"):
        yield Grant(user, "TRANSACTIONAL_ID", transactional_ids_of(user), operation, "PREFIXED")


def transactional_ids_of(user: str) -> str:
    """Return how each transactional id of a publisher starts.

    A producer ends another one with the same id, so no publisher may use ids of another one. The slash keeps
    `team` from the ids of `team-a`.
    """
    return f"{user}/"


def bound_publishers(text: str) -> dict[str, str]:
    """Return the namespaces of publishers' users, of `fraud-ci=fraud,crm-ci=crm`. Raises NeedsWrong."""
    found = _all_bound(part.strip() for part in text.split(",") if part.strip())
    Needs((), (), found)
    return found


def publishers_of(words: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the publishers of the shared topics, and those of namespaces, of `USER` and `USER=NAMESPACE`."""
    return tuple(word for word in words if "=" not in word), _all_bound(word for word in words if "=" in word)


def _all_bound(parts: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for user, namespace in map(_bound, parts):
        if found.setdefault(user, namespace) != namespace:
            raise NeedsWrong(f"{user} is named twice: a user publishes for one namespace")
    return found


def _bound(part: str) -> tuple[str, str]:
    user, _, namespace = part.partition("=")
    if not user or not may_exist(namespace):
        raise NeedsWrong(f"{part!r} is not USER=NAMESPACE")
    if namespace.rpartition(".")[2] == "dlq":
        raise NeedsWrong(f"{part!r}: the topics of this namespace would be topics of dead letters")
    return user, namespace
