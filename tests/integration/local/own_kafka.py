"""A broker as another organisation runs it: nothing of Regista is on it, or what a test puts there."""

# mypy: disable-error-code="attr-defined, no-untyped-call"

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
)

from regista.cli import root
from services.kafka.cluster import read
from services.kafka.connection import Connection
from services.kafka.found import Parts
from services.kafka.needs import Needs
from services.kafka.plan import Plan, compare
from services.kafka.protocol import all_acls, users_of
from services.local import kafka_access
from services.local.folders import InstanceFolder
from services.local.kafka import PORTS, Kafka


@dataclass
class OwnKafka:
    """A broker with its administrator, and the command line as that administrator."""

    kafka: Kafka
    folder: Path

    @property
    def connection(self) -> Connection:
        return self.kafka.connection()

    @property
    def admin(self) -> AdminClient:
        return self.connection.admin()

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def run(self, *words: str, typed: str | None = None, **settings: str) -> Result:
        """Run `regista kafka …`."""
        connection = self.connection
        environment = {
            "REGISTA_KAFKA_BOOTSTRAP": connection.bootstrap,
            "REGISTA_KAFKA_SECURITY": connection.security,
            "REGISTA_KAFKA_MECHANISM": connection.mechanism,
            "REGISTA_KAFKA_USER": connection.user,
            "REGISTA_KAFKA_PASSWORD": connection.password,
        }
        return CliRunner().invoke(root, ["kafka", *words], env=environment | settings, input=typed)

    def plan(self, *words: str) -> tuple[int, list[dict[str, str]]]:
        """Return the exit code and the differences."""
        done = self.run("plan", *words, "--json")
        assert done.exit_code in {0, 1, 2}, done.output
        return done.exit_code, json.loads(done.stdout)["differences"]

    def apply(self, *words: str) -> Result:
        return self.run("apply", "--yes", "--passwords", str(self.secrets), *words)

    def compared(self, needs: Needs) -> Plan:
        return compare(needs, read(self.connection, needs, Parts()))

    def as_user(self, user: str) -> Connection:
        """Return the connection of a user whose password was made."""
        password = (self.secrets / user).read_text().strip()
        return replace(self.connection, mechanism="SCRAM-SHA-512", user=user, password=password)

    def write(self, user: str, topic: str, value: bytes = b"x") -> str:
        """Return the name of the broker's refusal of a message, or ""."""
        answers: list[Any] = []
        settings = {"message.timeout.ms": 10_000, "enable.idempotence": True, "message.max.bytes": 4_000_000}
        producer = Producer({**self.as_user(user).properties, **settings})
        producer.produce(topic, value, on_delivery=lambda error, _message: answers.append(error))
        producer.flush(15)
        return str(answers[0].name()) if answers[0] else ""

    def read(self, user: str, group: str, topic: str) -> str:
        """Return the first message of a topic, or the name of the refusal."""
        settings = {"group.id": group, "auto.offset.reset": "earliest"}
        consumer = Consumer({**self.as_user(user).properties, **settings})
        try:
            consumer.subscribe([topic])
            message = consumer.poll(20)
            assert message is not None, "neither message nor refusal"
            return str(message.error().name()) if message.error() else (message.value() or b"").decode()
        except KafkaException as refused:
            return str(refused.args[0].name())
        finally:
            consumer.close()

    def create(self, topic: str, partitions: int = 4, **settings: str) -> None:
        config = {name.replace("_", "."): value for name, value in settings.items()}
        admin = self.admin  # it has to live until the answer
        admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(20)
        while topic not in admin.list_topics(timeout=10).topics:  # the broker learns of it a moment later
            admin.poll(0.05)

    def empty(self) -> None:
        """Delete every topic, user and permission."""
        admin = self.admin
        topics = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
        if topics:
            kafka_access.delete_topics(admin, topics)
        anything: Any = None
        every = AclBindingFilter(
            ResourceType.ANY,
            anything,
            ResourcePatternType.ANY,
            anything,
            anything,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        admin.delete_acls([every])[every].result(20)
        described: Any = admin.describe_user_scram_credentials()
        gone = [
            UserScramCredentialDeletion(user, ScramMechanism[one.mechanism.name])
            for user, found in described.result(20).items()
            for one in found.scram_credential_infos
        ]
        if gone:
            for future in admin.alter_user_scram_credentials(gone).values():
                future.result(20)
        while not self.is_empty():  # brokers learn of it a moment later
            admin.poll(0.05)

    def is_empty(self) -> bool:
        """Return whether the broker shows no topic, user or permission."""
        topics = [name for name in self.admin.list_topics(timeout=10).topics if not name.startswith("__")]
        return not (topics or all_acls(self.connection) or users_of(self.connection, []))


@contextmanager
def running(folder: Path, changes: dict[str, str] | None = None, more: str = "") -> Iterator[Kafka]:
    """Run an empty broker. `changes` replace texts of its properties; `more` is added."""
    kafka = Kafka(InstanceFolder(folder))
    kafka.ports = kafka.folder.ports(list(PORTS))
    kafka.prepare()
    properties = folder / "kafka" / "server.properties"
    text = properties.read_text()
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    properties.write_text(f"{text}\n{more}\n")
    child = kafka.launch()
    try:
        yield kafka
    finally:
        child.stop()
