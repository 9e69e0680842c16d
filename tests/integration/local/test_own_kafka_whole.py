"""A Kafka of another organisation, from empty to a model that is registered; and Kafka's own tools."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from regista.cli import root
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.wire.keys import load_signing_key
from services.kafka.topics import SERVICES, SUBSCRIBED, TRAINING
from services.local import kafka_access
from services.local.folders import InstanceFolder
from services.local.fronts import OPTIONAL
from services.local.identities import Identities
from services.local.kafka import SECURITY
from services.local.kafka_jars import class_path, java
from services.local.lag import consumer_lag
from shared.foundation.topics import topic_of
from tests.integration.local.own_kafka import OwnKafka, running
from tests.processes import Starter, starting

pytestmark = [pytest.mark.servers, pytest.mark.slow]
TOOLS = {"kafka-topics": "TopicCommand", "kafka-configs": "ConfigCommand", "kafka-acls": "AclCommand"}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnKafka]:
    with running(tmp_path / "own") as kafka:
        assert kafka.child
        kafka_access.await_broker(kafka.admin(), 60, kafka.child.check)
        yield OwnKafka(kafka, tmp_path)


def bootstrapped(folder: Path, database: Any) -> Identities:
    """Create the services' identities and an administrator in the database."""
    identities = Identities(InstanceFolder(folder / "identities"))
    specification = folder / "identities.json"
    specification.write_text(json.dumps(identities.specification()))
    settings = {
        "REGISTA_DATABASE_URL": database.url("registry"),
        "REGISTA_PEPPER_FILE": str(identities.pepper_file),
        "REGISTA_SIGNING_KEY_FILE": str(identities.signing_key_file("registry")),
    }
    command = [sys.executable, "-m", "services.registry", "bootstrap", "--spec", str(specification)]
    subprocess.run(command, env=os.environ | settings, check=True, timeout=60)
    return identities


def started(start: Starter, own: OwnKafka, identities: Identities) -> str:
    """Start all services that always run with the users that were made; return the registry's address."""
    every = {
        service: start(
            service,
            load_signing_key(identities.signing_key_file(service)),
            REGISTA_PEPPER=identities.pepper_file.read_text().strip(),
            REGISTA_KAFKA_BOOTSTRAP=own.kafka.bootstrap,
            REGISTA_KAFKA_USER=f"regista-{service}",
            REGISTA_KAFKA_PASSWORD_FILE=str(own.secrets / f"regista-{service}"),
        )
        for service in SERVICES
        if service not in OPTIONAL
    }
    for service in every.values():
        asyncio.run(service.ready())
    return every["registry"].url


def publisher(url: str, own: OwnKafka, identities: Identities) -> Profile:
    """Create a publisher with a signing key, which sends as the Kafka user of its namespace."""
    admin = {"REGISTA_URL": url, "REGISTA_API_KEY": identities.admin_key_file.read_text().strip()}
    key = own.folder / "nightly.json"
    for words in (
        ["identity", "create", "publisher:nightly", "--kind", "publisher", "--name", "Nightly"],
        ["grant", "publisher:nightly", "publisher", "--namespace", "crm"],
        ["key", "issue", "publisher:nightly", "--signing", "--out", str(key)],
    ):
        done = CliRunner().invoke(root, ["access", *words], env=admin)
        assert done.exit_code == 0, done.output
    issued = CliRunner().invoke(root, ["access", "key", "issue", "publisher:nightly", "--json"], env=admin)
    return Profile(
        url=url,
        api_key=json.loads(issued.stdout)["api_key"],
        key_file=str(key),
        kafka_bootstrap=own.kafka.bootstrap,
        kafka_security=SECURITY,
        kafka_user="regista-nightly",
        kafka_password=(own.secrets / "regista-nightly").read_text().strip(),
        kafka_namespace="crm",
    )


def test_the_services_work_on_a_cluster_that_was_empty(
    own: OwnKafka, stack: Any, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = ("--user-prefix", "regista-", "--publisher", "nightly=crm")
    assert own.apply(*needs).exit_code == 0
    monkeypatch.setattr(stack.kafka, "bound", {"nightly": "crm"})
    identities = bootstrapped(tmp_path, database)
    with starting(stack, database, tmp_path) as start:
        url = started(start, own, identities)
        with Client(publisher(url, own, identities)) as client:
            registered = client.publish("crm.churn", draft=True).wait(60)
        assert registered.number == 1
        groups = {f"registry.{TRAINING}.crm": f"{TRAINING}.crm"} | {
            f"{service}.{topic_of('registry')}": topic_of("registry")
            for service, topics in SUBSCRIBED.items()
            if topic_of("registry") in topics
        }
        deadline = time.monotonic() + 60
        while any(consumer_lag(own.admin).get(group) != {topic: 0} for group, topic in groups.items()):
            assert time.monotonic() < deadline, consumer_lag(own.admin)
    assert own.plan(*needs) == (0, [])


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """The folder of Kafka's programs: of KAFKA_HOME, else made from the tools in Maven's folder."""
    if home := os.environ.get("KAFKA_HOME"):
        return Path(home) / "bin"
    repository = Path.home() / ".m2" / "repository"
    jars = [
        *repository.glob("org/apache/kafka/kafka-tools*/4.4.0/*.jar"),
        *repository.glob("net/sf/jopt-simple/jopt-simple/*/*.jar"),
    ]
    if not any(jar.name == "kafka-tools-4.4.0.jar" for jar in jars):
        pytest.skip("Kafka's tools are not on this machine: set KAFKA_HOME")
    folder = tmp_path / "bin"
    folder.mkdir()
    classes = ":".join([class_path(), *map(str, jars)])
    for name, command in TOOLS.items():
        options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx128m"
        program = f"exec {java()} {options} -cp '{classes}' org.apache.kafka.tools.{command} \"$@\"\n"
        (folder / name).write_text(f"#!/bin/sh\n{program}")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.timeout(600)
def test_the_script_gives_a_cluster_all_that_is_needed_with_kafkas_own_tools(
    own: OwnKafka, tools: Path
) -> None:
    own.create(topic_of("registry"), retention_ms="604800000", cleanup_policy="compact")
    connection = own.connection
    properties = own.folder / "admin.properties"
    login = f'username="{connection.user}" password="{connection.password}"'
    properties.write_text(
        f"security.protocol={connection.security}\nsasl.mechanism={connection.mechanism}\n"
        f"sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {login};\n"
    )
    needs = ("--publisher", "fraud-ci=fraud", "--no-readers", "--replication-factor", "1")
    _code, lacking = own.plan(*needs)
    own.secrets.mkdir()
    for user in (one["name"] for one in lacking if one["kind"] == "user"):
        (own.secrets / user).write_text(f"Of-{user}.~_+/=\n")
    environment = {
        "BOOTSTRAP": connection.bootstrap,
        "COMMAND_CONFIG": str(properties),
        "PASSWORDS": str(own.secrets),
        "KAFKA_BIN": str(tools),
    }
    script = own.run("plan", "--format", "kafka-acls", *needs).stdout
    done = subprocess.run(
        ["sh", "-c", script], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    code, left = own.plan(*needs)
    assert code == 0, left
    assert [one for one in left if one["state"] != "superfluous"] == []
    assert own.write("fraud-ci", f"{TRAINING}.fraud") == ""
    assert own.read("registry", f"registry.{TRAINING}.fraud", f"{TRAINING}.fraud") == "x"
