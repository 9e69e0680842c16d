"""Carry out the steps of a plan. Each step can be repeated; none deletes anything."""

# mypy: disable-error-code="attr-defined"
# (confluent_kafka.admin does not list its classes in __all__)

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from services.kafka.cluster import read
from services.kafka.connection import ANSWERS_WITHIN, ClusterError, Connection
from services.kafka.found import Parts
from services.kafka.needs import Grant, Needs
from services.kafka.plan import (
    ChangeSettings,
    CreateTopic,
    Permit,
    Plan,
    RaisePartitions,
    SetPassword,
    SetQuota,
    Step,
    compare,
)
from services.kafka.protocol import set_quotas

ITERATIONS = 4096  # the least that Kafka accepts; the passwords are random and long
VISIBLE_WITHIN = 20.0
"""Seconds until a broker shows what its controller has stored."""
CLUSTER_CHOOSES = -1
Passwords = Callable[[str], str]
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Failed:
    """A step that the cluster refused, with its reason."""

    step: Step
    reason: str


def apply(connection: Connection, steps: Sequence[Step], passwords: Passwords) -> list[Failed]:
    """Carry out all steps, in their order by kind, and return those that failed. The others stand.

    `passwords` returns the password of a user.
    """
    admin = connection.admin()
    failed: list[Failed] = []
    failed += _create(admin, _of(CreateTopic, steps))
    failed += _raise_partitions(admin, _of(RaisePartitions, steps))
    failed += _change_settings(admin, _of(ChangeSettings, steps))
    failed += _set_passwords(admin, _of(SetPassword, steps), passwords)
    failed += _permit(admin, _of(Permit, steps))
    failed += _set_quotas(connection, _of(SetQuota, steps))
    return failed


def applied(connection: Connection, needs: Needs, parts: Parts, steps: Sequence[Step]) -> Plan:
    """Return the plan after the steps were carried out: once brokers show them all, or some seconds later."""
    deadline = time.monotonic() + VISIBLE_WITHIN
    while True:
        after = compare(needs, read(connection, needs, parts))
        if not set(after.steps) & set(steps) or time.monotonic() > deadline:
            return after
        time.sleep(0.2)


def set_up(connection: Connection, needs: Needs, passwords: Passwords, new: Iterable[str] = ()) -> None:
    """Give a cluster all that is needed, and the users in `new` their password. Raises ClusterError."""
    steps = compare(needs, read(connection, needs, Parts()), new).steps
    if failed := apply(connection, steps, passwords):
        raise ClusterError(f"Kafka refused its set-up: {failed[0].step}: {failed[0].reason}")


def _of(kind: type[S], steps: Iterable[object]) -> list[S]:
    return [step for step in steps if isinstance(step, kind)]


def _create(admin: AdminClient, steps: Sequence[CreateTopic]) -> Iterator[Failed]:
    """Create topics. Another process may have created one in between."""
    new = {
        step.topic.name: NewTopic(
            step.topic.name,
            step.topic.partitions,
            step.topic.replication or CLUSTER_CHOOSES,
            config=dict(step.topic.settings),
        )
        for step in steps
    }
    if new:
        futures = admin.create_topics(list(new.values()), request_timeout=ANSWERS_WITHIN)
        yield from _failed(
            {step: futures[step.topic.name] for step in steps}, KafkaError.TOPIC_ALREADY_EXISTS
        )


def _raise_partitions(admin: AdminClient, steps: Sequence[RaisePartitions]) -> Iterator[Failed]:
    if steps:
        wanted = [NewPartitions(step.topic, step.partitions) for step in steps]
        futures = admin.create_partitions(wanted, request_timeout=ANSWERS_WITHIN)
        yield from _failed({step: futures[step.topic] for step in steps})


def _change_settings(admin: AdminClient, steps: Sequence[ChangeSettings]) -> Iterator[Failed]:
    """Set single settings. The others of a topic stay."""
    changes: dict[str, dict[str, str]] = {}
    for step in steps:
        changes.setdefault(step.topic, {}).update(step.settings)
    resources = {
        topic: ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in settings.items()
            ],
        )
        for topic, settings in changes.items()
    }
    if resources:
        futures = admin.incremental_alter_configs(list(resources.values()), request_timeout=ANSWERS_WITHIN)
        by_name = {resource.name: future for resource, future in futures.items()}
        yield from _failed({step: by_name[step.topic] for step in steps})


def _set_passwords(
    admin: AdminClient, steps: Sequence[SetPassword], passwords: Passwords
) -> Iterator[Failed]:
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    changes = {}
    for step in steps:
        try:
            changes[step] = UserScramCredentialUpsertion(step.user, scram, passwords(step.user).encode())
        except ClusterError as error:
            yield Failed(step, str(error))
    if changes:
        futures = admin.alter_user_scram_credentials(list(changes.values()), request_timeout=ANSWERS_WITHIN)
        yield from _failed({step: futures[step.user] for step in changes})


def _permit(admin: AdminClient, steps: Sequence[Permit]) -> Iterator[Failed]:
    """Add permissions. Those that exist stay as they are."""
    if steps:
        bindings = {step: _binding(step.grant) for step in steps}
        futures = admin.create_acls(list(bindings.values()), request_timeout=ANSWERS_WITHIN)
        yield from _failed({step: futures[binding] for step, binding in bindings.items()})


def _binding(grant: Grant) -> AclBinding:
    return AclBinding(
        ResourceType[grant.kind],
        grant.name,
        ResourcePatternType[grant.pattern],
        f"User:{grant.user}",
        "*",
        AclOperation[grant.operation],
        AclPermissionType.ALLOW,
    )


def _set_quotas(connection: Connection, steps: Sequence[SetQuota]) -> Iterator[Failed]:
    if steps:
        try:
            set_quotas(connection, {step.user: dict(step.limits) for step in steps})
        except ClusterError as error:
            yield from (Failed(step, str(error)) for step in steps)


def _failed(futures: Mapping[Any, Future[Any]], already: int | None = None) -> Iterator[Failed]:
    for step, future in futures.items():
        try:
            future.result(ANSWERS_WITHIN)
        except KafkaException as refused:
            if refused.args[0].code() != already:
                yield Failed(step, _why(refused.args[0]))
        except TimeoutError:
            yield Failed(step, f"no answer within {ANSWERS_WITHIN:g} s")


def _why(error: KafkaError) -> str:
    """Return the reason of a refusal; that of a missing right without the request, which brokers add."""
    name = str(error.name())
    return f"{name}: the principal lacks the right" if "AUTHORIZATION" in name else f"{name}: {error.str()}"
