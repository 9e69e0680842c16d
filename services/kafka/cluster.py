"""Read what a cluster has. What the principal may not read is named instead."""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (confluent_kafka.admin does not list its classes in __all__)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec

from services.kafka.connection import ANSWERS_WITHIN, ClusterError, Connection
from services.kafka.found import OURS, Found, FoundAcl, FoundTopic, Parts
from services.kafka.needs import Needs
from services.kafka.protocol import NO_AUTHORIZER, NOT_PERMITTED, Refused, all_acls, quotas_of, users_of

T = TypeVar("T")
MOST_REASONS = 3


def read(connection: Connection, needs: Needs, parts: Parts) -> Found:
    """Return what the cluster has of what is needed. Raises ClusterError when it does not answer."""
    reasons: list[str] = []
    admin = connection.admin(reasons)
    brokers, names = _listed(admin, connection, reasons)
    unread: dict[str, str] = {}
    topics = _topics(admin, needs, names, unread)
    users = acls = quotas = None
    no_authorizer = False
    if parts.users:
        question = partial(users_of, connection, needs.users)
        users = _asked(question, "users", "DESCRIBE", "--no-users", unread)
    if parts.acls:
        try:
            acls = _asked(partial(_acls, connection), "permissions", "DESCRIBE", "--no-acls", unread)
        except NoAuthorizer:
            no_authorizer = True
    if parts.quotas:
        limits = partial(quotas_of, connection, needs.quotas)
        quotas = _asked(limits, "quotas", "DESCRIBE_CONFIGS", "--no-quotas", unread)
    return Found(brokers, topics, users, acls, quotas, unread, no_authorizer)


class NoAuthorizer(Exception):  # noqa: N818 - an answer
    """The cluster checks no permissions."""


def _acls(connection: Connection) -> frozenset[FoundAcl]:
    try:
        return all_acls(connection)
    except Refused as error:
        if error.code == NO_AUTHORIZER:
            raise NoAuthorizer from None
        raise


def _listed(admin: AdminClient, connection: Connection, reasons: list[str]) -> tuple[int, list[str]]:
    try:
        metadata = admin.list_topics(timeout=ANSWERS_WITHIN / 2)
    except KafkaException as error:
        admin.poll(0.5)
        why = "; ".join(dict.fromkeys([error.args[0].str(), *reasons[-MOST_REASONS:]]))
        raise ClusterError(
            f"{connection.properties['bootstrap.servers']} does not answer, or refuses the principal:"
            f" {why}. Check address, security, mechanism, user, password and CA"
        ) from None
    return len(metadata.brokers), sorted(metadata.topics)


def _topics(
    admin: AdminClient, needs: Needs, listed: Iterable[str], unread: dict[str, str]
) -> dict[str, FoundTopic]:
    """Return the needed topics that exist, and others whose names begin like them."""
    wanted = {topic.name: topic for topic in needs.topics}
    names = sorted({*wanted, *(name for name in listed if name.startswith(OURS))})
    described = {}
    for name, future in admin.describe_topics(TopicCollection(names), request_timeout=ANSWERS_WITHIN).items():
        try:
            described[name] = future.result(ANSWERS_WITHIN)
        except KafkaException as error:
            absent = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}  # noqa: SLF001 - as above
            if name in wanted and error.args[0].code() not in absent:
                unread[f"topic {name}"] = _why(error)
    settings = _settings(admin, [name for name in described if name in wanted], unread)
    found = {}
    for name, topic in described.items():
        partitions = topic.partitions
        fewer = name in wanted and len(partitions) < wanted[name].partitions
        found[name] = FoundTopic(
            len(partitions),
            min((len(one.replicas) for one in partitions), default=0),
            settings.get(name),
            _used(admin, name, len(partitions)) if fewer else True,
        )
    return found


def _settings(admin: AdminClient, names: list[str], unread: dict[str, str]) -> dict[str, Mapping[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    found: dict[str, Mapping[str, str]] = {}
    for resource, future in admin.describe_configs(resources, request_timeout=ANSWERS_WITHIN).items():
        try:
            entries = future.result(ANSWERS_WITHIN)
        except KafkaException as error:
            unread[f"settings of {resource.name}"] = _why(error)
        else:
            known = {name: entry.value for name, entry in entries.items()}
            found[resource.name] = {name: value for name, value in known.items() if value is not None}
    return found


def _used(admin: AdminClient, name: str, partitions: int) -> bool:
    """Return whether messages were ever written to a topic; True where that cannot be read."""
    latest = {TopicPartition(name, number): OffsetSpec.latest() for number in range(partitions)}
    try:
        answers = admin.list_offsets(latest, request_timeout=ANSWERS_WITHIN)
        return any(future.result(ANSWERS_WITHIN).offset > 0 for future in answers.values())
    except KafkaException:
        return True


def _asked(
    question: Callable[[], T], part: str, right: str, without: str, unread: dict[str, str]
) -> T | None:
    """Return the answer to a question, or name in `unread` why there is none."""
    try:
        return question()
    except Refused as error:
        why = f"the principal needs {right} on the cluster" if error.code == NOT_PERMITTED else str(error)
    except ClusterError as error:
        why = str(error)
    unread[part] = f"{why}; {without} leaves them out"
    return None


def _why(error: KafkaException) -> str:
    if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return "the principal needs DESCRIBE and DESCRIBE_CONFIGS on it"
    return str(error.args[0].str() or error.args[0].name())
