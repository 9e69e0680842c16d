"""Write what Regista needs as resources of Strimzi: a KafkaTopic for each topic, a KafkaUser for a user."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from services.kafka.found import Parts
from services.kafka.needs import Grant, Needs, NeedsWrong
from services.kafka.topics import Topic

API_VERSIONS = ("v1beta2", "v1")
_KINDS = {"TOPIC": "topic", "GROUP": "group", "TRANSACTIONAL_ID": "transactionalId"}
_PATTERNS = {"LITERAL": "literal", "PREFIXED": "prefix"}
_QUOTAS = {"producer_byte_rate": "producerByteRate", "consumer_byte_rate": "consumerByteRate"}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)


def resources(needs: Needs, parts: Parts, cluster: str, version: str = API_VERSIONS[0]) -> str:
    """Return the resources as YAML, for the Kafka resource named `cluster`.

    The User Operator makes the passwords, in a Secret of the user's name. Raises NeedsWrong for a user whose
    name Kubernetes does not allow.
    """
    labels = {"strimzi.io/cluster": cluster}
    made = [_topic(topic) for topic in needs.topics]
    if parts.users or parts.acls:
        made += [_user(user, needs, parts) for user in needs.users]
    head = "# What Regista needs of a Kafka cluster, written by `regista kafka plan --format strimzi`.\n"
    return head + yaml.safe_dump_all(
        (
            {
                "apiVersion": f"kafka.strimzi.io/{version}",
                "kind": kind,
                "metadata": {"name": name, "labels": labels.copy()},
                "spec": spec,
            }
            for kind, name, spec in made
        ),
        sort_keys=False,
        explicit_start=True,
    )


def _topic(topic: Topic) -> tuple[str, str, dict[str, Any]]:
    spec: dict[str, Any] = {"partitions": topic.partitions}
    if topic.replication:
        spec["replicas"] = topic.replication
    spec["config"] = {name: _number(value) for name, value in topic.settings}
    name = topic.name
    if not _NAME.fullmatch(name):  # a namespace may have capitals and underscores
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        spec = {"topicName": name} | spec
        name = f"{re.sub(r'[^a-z0-9.]+', '-', name.lower()).strip('-.')[:200]}.{digest}"
        name = re.sub(r"-*\.-*", ".", name)
    return "KafkaTopic", name, spec


def _number(value: str) -> int | str:
    return int(value) if re.fullmatch(r"-?[0-9]+", value, re.ASCII) else value


def _user(user: str, needs: Needs, parts: Parts) -> tuple[str, str, dict[str, Any]]:
    if not _NAME.fullmatch(user):
        raise NeedsWrong(
            f"{user!r} cannot be the name of a KafkaUser: small letters, digits, dashes and dots"
        )
    spec: dict[str, Any] = {}
    if parts.users:
        spec["authentication"] = {"type": "scram-sha-512"}
    if parts.acls:
        own = sorted(grant for grant in needs.grants if grant.user == user)
        spec["authorization"] = {"type": "simple", "acls": _acls(own)}
    if parts.quotas and (limits := needs.quotas.get(user)):
        spec["quotas"] = _limits(limits)
    return "KafkaUser", user, spec


def _acls(grants: Iterable[Grant]) -> list[dict[str, Any]]:
    together: dict[tuple[str, str, str], list[str]] = {}
    for grant in grants:
        together.setdefault((grant.kind, grant.name, grant.pattern), []).append(grant.operation.capitalize())
    return [
        {
            "resource": {"type": _KINDS[kind], "name": name, "patternType": _PATTERNS[pattern]},
            "operations": operations,
            "host": "*",
        }
        for (kind, name, pattern), operations in together.items()
    ]


def _limits(limits: Mapping[str, float]) -> dict[str, int]:
    return {_QUOTAS[name]: int(value) for name, value in limits.items()}
