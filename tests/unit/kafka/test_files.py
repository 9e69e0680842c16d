"""What is needed, as a script of Kafka's tools and as resources of Strimzi."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from services.kafka.found import Parts
from services.kafka.needs import Grant, Needs, NeedsWrong
from services.kafka.script import script
from services.kafka.strimzi import resources
from shared.foundation.topics import bound_topic

NEEDS = Needs(("pipeline",), ("reader",), {"fraud-ci": "Fraud_x.Y"}, user_prefix="regista-")
SCHEMAS: dict[str, Any] = json.loads((Path(__file__).parent / "strimzi_schemas.json").read_text())
RECORDER = """#!/bin/sh
for word; do
    case $word in /*) if [ -f "$word" ]; then printf 'file:%s\\t' "$(cat "$word")"; continue; fi ;; esac
    printf '%s\\t' "$word"
done | sed "s/^/${0##*/}\t/" >> "$RECORD"
echo >> "$RECORD"
"""
KINDS = {"--topic": "TOPIC", "--group": "GROUP", "--transactional-id": "TRANSACTIONAL_ID"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tools that record their arguments, and a password for each user."""
    (tmp_path / "bin").mkdir()
    for tool in ("kafka-topics.sh", "kafka-configs.sh", "kafka-acls.sh"):
        (tmp_path / "bin" / tool).write_text(RECORDER)
        (tmp_path / "bin" / tool).chmod(0o755)
    (tmp_path / "secrets").mkdir()
    for user in NEEDS.users:
        (tmp_path / "secrets" / user).write_text(f"secret-of-{user}\n")
    return tmp_path


def ran(folder: Path, text: str, *, code: int = 0, **environment: str) -> list[list[str]]:
    """Run the script with the recording tools; return the calls."""
    (folder / "kafka.sh").write_text(text)
    settings = {
        "PATH": "/usr/bin:/bin",
        "KAFKA_BIN": str(folder / "bin"),
        "RECORD": str(folder / "record"),
        "BOOTSTRAP": "kafka:9093",
        "COMMAND_CONFIG": "admin.properties",
        "PASSWORDS": str(folder / "secrets"),
        "TMPDIR": str(folder),
    }
    done = subprocess.run(
        ["sh", str(folder / "kafka.sh")],
        env=settings | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    record = folder / "record"
    return (
        [line.rstrip("\t").split("\t") for line in record.read_text().splitlines()] if record.exists() else []
    )


def options(call: list[str]) -> Iterator[tuple[str, str]]:
    """The options of a call with their values, "" for flags."""
    for at, word in enumerate(call):
        if word.startswith("--"):
            value = call[at + 1] if at + 1 < len(call) and not call[at + 1].startswith("--") else ""
            yield word, value


def test_the_script_grants_exactly_what_is_needed(folder: Path) -> None:
    granted = set()
    for call in ran(folder, script(NEEDS, Parts())):
        if call[0] != "kafka-acls.sh":
            continue
        given = list(options(call))
        assert ("--bootstrap-server", "kafka:9093") in given
        user = dict(given)["--allow-principal"].removeprefix("User:")
        pattern = dict(given)["--resource-pattern-type"].upper()
        for option, operation in given:
            for kind, name in given:
                if option == "--operation" and kind in KINDS:
                    granted.add(Grant(user, KINDS[kind], name, operation.upper(), pattern))  # type: ignore[arg-type]
    assert granted == NEEDS.grants


def test_the_script_creates_the_topics_and_gives_existing_ones_only_what_loses_nothing(folder: Path) -> None:
    calls = [dict(options(call)) | {"": call} for call in ran(folder, script(NEEDS, Parts()))]
    created = {call["--topic"]: call for call in calls if "--if-not-exists" in call}
    assert created.keys() == {topic.name for topic in NEEDS.topics}
    for topic in NEEDS.topics:
        assert created[topic.name]["--partitions"] == "4"
        assert "--replication-factor" not in created[topic.name]
        assert {f"{name}={value}" for name, value in topic.settings} <= set(created[topic.name][""])
    changed = {c["--entity-name"]: c["--add-config"] for c in calls if c.get("--entity-type") == "topics"}
    assert changed["regista.registry.events.v1"] == "cleanup.policy=delete,retention.ms=-1,retention.bytes=-1"
    assert changed["regista.registry.events.v1.dlq"] == "cleanup.policy=delete,retention.ms=-1"


def test_the_script_reads_each_password_from_its_file_and_passes_it_in_none_of_its_arguments(
    folder: Path,
) -> None:
    text = script(NEEDS, Parts())
    assert "secret" not in text
    users = {}
    for call in ran(folder, text):
        given = dict(options(call))
        if "--add-config-file" in given:
            users[given["--entity-name"]] = given["--add-config-file"]
    assert users == {
        user: f"file:SCRAM-SHA-512=iterations=4096,password=secret-of-{user}" for user in NEEDS.users
    }
    assert not list(folder.glob("tmp.*"))


@pytest.mark.parametrize("password", ["", "a b", "a,b", "x]\ny", "$(touch x)"])
def test_the_script_stops_at_a_password_that_would_become_another(folder: Path, password: str) -> None:
    (folder / "secrets" / NEEDS.users[0]).write_text(password)
    assert not [
        call
        for call in ran(folder, script(NEEDS, Parts()), code=1)
        if "--entity-name" in call and "users" in call
    ]
    assert not list(folder.glob("tmp.*"))


def test_the_script_stops_at_a_missing_password_and_names_a_missing_setting(folder: Path) -> None:
    (folder / "secrets" / NEEDS.users[-1]).unlink()
    ran(folder, script(NEEDS, Parts()), code=1)
    assert ran(folder, script(NEEDS, Parts()), code=2, BOOTSTRAP="")


def test_the_script_leaves_out_what_is_left_out(folder: Path) -> None:
    shutil.rmtree(folder / "secrets")
    calls = ran(folder, script(NEEDS, Parts(users=False, acls=False, quotas=False)), PASSWORDS="")
    assert {dict(options(call)).get("--entity-type", "topics") for call in calls} == {"topics"}
    assert {call[0] for call in calls} == {"kafka-topics.sh", "kafka-configs.sh"}


def test_the_script_quotes_every_name_that_a_shell_would_read(folder: Path) -> None:
    needs = Needs((), (), principals={"registry": "CN=regista; touch x,O=$HOME 'x'"})
    calls = ran(folder, script(needs, Parts(users=False)))
    principals = {dict(options(call)).get("--allow-principal") for call in calls}
    assert "User:CN=regista; touch x,O=$HOME 'x'" in principals
    assert not (folder / "x").exists()


def test_the_script_gives_quotas_and_copies(folder: Path) -> None:
    needs = Needs(("pipeline",), ("reader",), replication=3)
    calls = [dict(options(c)) for c in ran(folder, script(needs, Parts(users=False)))]
    quotas = {c["--entity-name"]: c["--add-config"] for c in calls if c.get("--entity-type") == "users"}
    assert quotas == {"pipeline": "producer_byte_rate=16777216", "reader": "consumer_byte_rate=33554432"}
    assert {c["--replication-factor"] for c in calls if "--create" in c} == {"3"}


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("version", ["v1beta2", "v1"])
@pytest.mark.parametrize("parts", [Parts(), Parts(users=False), Parts(acls=False, quotas=False)])
def test_the_resources_are_valid_for_strimzi(version: str, parts: Parts) -> None:
    made = documents(resources(Needs(bound=NEEDS.bound, replication=3), parts, "events", version))
    assert {one["kind"] for one in made} == {"KafkaTopic", "KafkaUser"}
    for one in made:
        assert one["apiVersion"] == f"kafka.strimzi.io/{version}"
        assert one["metadata"]["labels"] == {"strimzi.io/cluster": "events"}
        jsonschema.validate(one["spec"], SCHEMAS[f"{one['kind']}/{version}"])
    names = [(one["kind"], one["metadata"]["name"]) for one in made]
    assert len(names) == len(set(names))


def test_the_resources_grant_exactly_what_is_needed() -> None:
    kinds = {"topic": "TOPIC", "group": "GROUP", "transactionalId": "TRANSACTIONAL_ID"}
    patterns = {"literal": "LITERAL", "prefix": "PREFIXED"}
    granted = {
        Grant(
            one["metadata"]["name"],
            kinds[acl["resource"]["type"]],  # type: ignore[arg-type]
            acl["resource"]["name"],
            operation.upper(),
            patterns[acl["resource"]["patternType"]],  # type: ignore[arg-type]
        )
        for one in documents(resources(NEEDS, Parts(), "events"))
        if one["kind"] == "KafkaUser"
        for acl in one["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }
    assert granted == NEEDS.grants


def test_a_topic_has_its_name_in_kafka_and_one_that_kubernetes_allows() -> None:
    made = {
        one["spec"].get("topicName", one["metadata"]["name"]): one
        for one in documents(resources(NEEDS, Parts(), "events"))
        if one["kind"] == "KafkaTopic"
    }
    assert made.keys() == {topic.name for topic in NEEDS.topics}
    bound = made[bound_topic("regista.training.v1", "Fraud_x.Y")]
    assert bound["metadata"]["name"].startswith("regista.training.v1.fraud-x.y.")
    assert made["regista.usage.v1"]["spec"] == {
        "partitions": 4,
        "config": {
            "cleanup.policy": "delete",
            "retention.ms": -1,
            "retention.bytes": -1,
            "max.message.bytes": 2097152,
            "message.timestamp.type": "LogAppendTime",
        },
    }


def test_a_user_that_kubernetes_does_not_allow_is_refused() -> None:
    with pytest.raises(NeedsWrong, match="KafkaUser"):
        resources(Needs(user_prefix="Regista_"), Parts(), "events")
