"""Read what a cluster has. What the principal may not read is named instead."""

# mypy: disable-error-code="attr-defined, no-untyped-call"
# (confluent_kafka.admin does not list its classes in __all__)

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
)

from services.kafka.connection import ANSWERS_WITHIN, ClusterError, Connection
from services.kafka.found import OURS, Found, FoundAcl, FoundTopic, Parts
from services.kafka.needs import Needs
from services.kafka.quotas import quotas_of

_UNREADABLE = {
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the principal needs DESCRIBE on the cluster",
    KafkaError.UNSUPPORTED_VERSION: "this cluster does not answer it",
    KafkaError._UNSUPPORTED_FEATURE: "this cluster does not answer it",  # noqa: SLF001 - librdkafka's own codes begin so
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the principal needs DESCRIBE and DESCRIBE_CONFIGS on it",
}


def read(connection: Connection, needs: Needs, parts: Parts) -> Found:
    """Return what the cluster has of what is needed. Raises ClusterError when it does not answer."""
    admin = connection.admin()
    brokers, names = _listed(admin, connection)
    unread: dict[str, str] = {}
    topics = _topics(admin, needs, names, unread)
    users = _users(admin, needs.users, unread) if parts.users else None
    acls = _acls(admin, unread) if parts.acls else None
    quotas = _quotas(connection, needs, unread) if parts.quotas else None
    no_authorizer = parts.acls and acls is None and "permissions" not in unread
    return Found(brokers, topics, users, acls, quotas, unread, no_authorizer)


def _listed(admin: AdminClient, connection: Connection) -> tuple[int, list[str]]:
    try:
        metadata = admin.list_topics(timeout=ANSWERS_WITHIN / 2)
    except KafkaException as error:
        raise ClusterError(
            f"{connection.properties['bootstrap.servers']} does not answer, or refuses the principal:"
            f" {error.args[0].str()}. Check address, security, mechanism, user, password and CA"
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


def _users(
    admin: AdminClient, users: Iterable[str], unread: dict[str, str]
) -> dict[str, frozenset[str]] | None:
    """Return the SCRAM mechanisms of each user that has some."""
    found = {}
    futures: Any = admin.describe_user_scram_credentials(list(users), request_timeout=ANSWERS_WITHIN)
    for user, future in futures.items():
        try:
            described = future.result(ANSWERS_WITHIN)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.RESOURCE_NOT_FOUND:
                unread["users"] = f"{_why(error)}; --no-users leaves them out"
                return None
        else:
            names = (_mechanism(one.mechanism) for one in described.scram_credential_infos)
            found[user] = frozenset(names)
    return found


def _mechanism(mechanism: ScramMechanism) -> str:
    return str(mechanism.name).replace("_", "-")


def _acls(admin: AdminClient, unread: dict[str, str]) -> frozenset[FoundAcl] | None:
    any_name: Any = None
    everything = AclBindingFilter(
        ResourceType.ANY,
        any_name,
        ResourcePatternType.ANY,
        any_name,
        any_name,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    try:
        bindings = admin.describe_acls(everything, request_timeout=ANSWERS_WITHIN).result(ANSWERS_WITHIN)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.SECURITY_DISABLED:
            unread["permissions"] = f"{_why(error)}; --no-acls leaves them out"
        return None
    return frozenset(_acl(binding) for binding in bindings)


def _acl(binding: Any) -> FoundAcl:
    return FoundAcl(
        binding.principal.removeprefix("User:"),
        binding.restype.name,
        binding.name,
        binding.operation.name,
        binding.resource_pattern_type.name,
        binding.host,
        binding.permission_type == AclPermissionType.ALLOW,
    )


def _quotas(
    connection: Connection, needs: Needs, unread: dict[str, str]
) -> Mapping[str, Mapping[str, float]] | None:
    try:
        return quotas_of(connection, needs.quotas)
    except ClusterError as error:
        unread["quotas"] = (
            f"{error}: the principal needs DESCRIBE_CONFIGS on the cluster; --no-quotas leaves them out"
        )
        return None


def _why(error: KafkaException) -> str:
    code = error.args[0].code()
    advice = _UNREADABLE.get(code)
    return f"{error.args[0].name()}: {advice}" if advice else str(error.args[0].str() or error.args[0].name())
