"""Apache Kafka on one machine.

A single KRaft node with users, permissions and topics, from the project's pinned jars.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.kafka.apply import apply, set_up
from services.kafka.connection import ClusterError, Connection
from services.kafka.needs import PUBLISHERS, Needs
from services.kafka.plan import SetPassword
from services.local import kafka_access
from services.local.end_reason import end_reason
from services.local.folders import LOOPBACK, PATIENCE, REPOSITORY, InstanceFolder, LocalError, write_private
from services.local.kafka_jars import class_archive, class_path, java
from services.local.processes import Child, run_to_end, spawn

SUPER_USER = "admin"
PORTS = ("kafka", "kafka.controller")
SECURITY = "SASL_PLAINTEXT"
_LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d{ISO8601} %-5p %c{1.} %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""
PROPERTIES = REPOSITORY / "deploy" / "kafka" / "server.properties"


@dataclass(slots=True)
class Kafka:
    """One broker.

    Service and publisher users authenticate by SCRAM-SHA-512; the super user (this set-up only) by PLAIN.
    """

    folder: InstanceFolder
    publishers: tuple[str, ...] = PUBLISHERS
    bound: Mapping[str, str] = field(default_factory=dict)
    host: str = LOOPBACK
    listen: str = LOOPBACK
    ports: Mapping[str, int] = field(default_factory=dict)
    child: Child | None = None
    _class_path: str = ""
    _java: str = ""
    _archive: Path = field(default_factory=Path)

    def prepare(self) -> None:
        """Find Java and the jars, write the configuration, and format the storage at the first start."""
        self._java, self._class_path = java(), class_path()
        self._archive = class_archive(self._java, self._class_path)
        folder, data = self.folder.subfolder("kafka"), self.folder.subfolder("kafka", "data")
        self.configure(str(data))
        if not (data / "meta.properties").exists():
            run_to_end(
                [
                    *self._java_command(),
                    "kafka.tools.StorageTool",
                    "format",
                    f"--cluster-id={new_cluster_id()}",
                    "-c",
                    str(folder / "server.properties"),
                ],
                log=self.folder.log("kafka"),
                timeout=60,
            )

    def configure(self, data: str) -> None:
        """Write `server.properties` (it contains the super user's password) and the log configuration."""
        folder, password = self.folder.subfolder("kafka"), self.folder.secret(f"kafka-{SUPER_USER}")
        jaas = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{SUPER_USER}" password="{password}" user_{SUPER_USER}="{password}";'
        )
        filled = Template(PROPERTIES.read_text()).substitute(
            clients=self.ports["kafka"],
            controller=self.ports["kafka.controller"],
            host=self.host,
            listen=self.listen,
            jaas=jaas,
            data=data,
            user=SUPER_USER,
        )
        write_private(folder / "server.properties", filled)
        (folder / "log4j2.xml").write_text(_LOG4J)

    def _java_command(self, *options: str) -> list[str]:
        folder = self.folder.subfolder("kafka")
        return [
            self._java,
            "-Xmx320m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
            *options,
            f"-Dlog4j2.configurationFile={folder}/log4j2.xml",
            "-cp",
            self._class_path,
        ]

    def launch(self) -> Child:
        """Start the broker."""
        folder = self.folder.subfolder("kafka")
        option = "SharedArchiveFile" if self._archive.exists() else "ArchiveClassesAtExit"
        argv = [
            *self._java_command(f"-XX:{option}={self._archive}"),
            "kafka.Kafka",
            str(folder / "server.properties"),
        ]
        self.child = spawn("kafka", argv, log=self.folder.log("kafka"), cwd=folder)
        return self.child

    def await_ready(self) -> None:
        """Wait for the broker, then give it what `services/kafka/needs.py` lists."""
        admin = self.admin()
        try:
            kafka_access.await_broker(admin, PATIENCE, self.child.check if self.child else lambda: None)
        except KafkaException as error:
            raise LocalError(
                f"Kafka does not answer ({error}): {end_reason(self.folder.log('kafka'))}"
            ) from error
        needs = Needs(self.publishers, bound=self.bound)
        try:
            set_up(self.connection(), needs, self.password, needs.users)
        except ClusterError as error:
            raise LocalError(str(error)) from error
        # The broker learns of new users a moment after the controller has stored them.
        newest = needs.users[-1]
        user = self.connection(newest).admin()
        kafka_access.await_broker(user, PATIENCE, self.child.check if self.child else lambda: None)

    def add_users(self, users: Iterable[str]) -> None:
        """Create SCRAM users with the passwords that this instance stores for them."""
        if failed := apply(self.connection(), [SetPassword(user) for user in users], self.password):
            raise LocalError(f"Kafka refused the user {failed[0].step}: {failed[0].reason}")

    def connection(self, user: str = SUPER_USER) -> Connection:
        """Return how a user reaches the broker.

        The super user authenticates by PLAIN, because SCRAM users do not exist at the first start.
        """
        mechanism = "PLAIN" if user == SUPER_USER else "SCRAM-SHA-512"
        return Connection(self.bootstrap, SECURITY, mechanism, user, self.password(user))

    def admin(self) -> AdminClient:
        """Return a client of the super user."""
        return self.connection().admin()

    def password(self, user: str) -> str:
        """Return the password of a user."""
        return self.folder.secret(f"kafka-{user}")

    @property
    def bootstrap(self) -> str:
        """host:port for clients (SASL_PLAINTEXT, SCRAM-SHA-512)."""
        return f"{self.host}:{self.ports['kafka']}"


def new_cluster_id() -> str:
    """Return 16 random bytes as a cluster id."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
