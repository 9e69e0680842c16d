"""The broker's fence, as data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from regista.wire.limits import RECORD_BYTES
from services.approval import consumers as approval
from services.artifact import consumers as artifact
from services.cleanup import consumers as cleanup
from services.kafka.needs import PUBLISHERS, Grant, Needs, NeedsWrong, bound_publishers
from services.kafka.topics import INBOUND, PUBLIC, SERVICES, SUBSCRIBED, TOPICS, TRAINING, WRITERS
from services.registry import consumers as registry
from shared.foundation.settings import Settings
from shared.foundation.topics import CHECKPOINTS, dlq_of
from shared.messaging.kafka import LARGEST, Subscription

NEEDS = Needs()


def topics(needs: Needs) -> dict[str, dict[str, str]]:
    return {topic.name: dict(topic.settings) for topic in needs.topics}


def test_only_a_service_itself_writes_its_events() -> None:
    for topic, owner in WRITERS.items():
        assert {
            grant.user for grant in NEEDS.grants if grant.name == topic and grant.operation == "WRITE"
        } == {owner}


def test_publishers_write_what_comes_in_and_nothing_else() -> None:
    of_pipeline = [g for g in Needs(("pipeline",)).grants if (g.user, g.kind) == ("pipeline", "TOPIC")]
    assert {(g.name, g.operation) for g in of_pipeline} == {
        ("regista.training.v1", "WRITE"),
        ("regista.usage.v1", "WRITE"),
    }


def test_a_publisher_may_use_transactions_under_ids_of_its_own() -> None:
    made = [g for g in Needs(("team", "team-a")).grants if g.kind == "TRANSACTIONAL_ID"]
    assert {(g.user, g.name) for g in made} == {("team", "team/"), ("team-a", "team-a/")}
    assert {g.operation for g in made} == {"WRITE", "DESCRIBE"}
    assert not "team-a/x".startswith("team/")


def test_every_topic_has_its_dead_letters_beside_it() -> None:
    sources = {topic for topic in TOPICS if not topic.endswith(".dlq")} - {CHECKPOINTS}
    assert set(TOPICS) == {CHECKPOINTS} | sources | {dlq_of(topic) for topic in sources}


def test_only_audit_writes_the_topic_of_log_checkpoints() -> None:
    assert {(grant.user, grant.operation) for grant in NEEDS.grants if grant.name == CHECKPOINTS} == {
        ("audit", "READ"),
        ("audit", "WRITE"),
        ("reader", "READ"),
    }
    assert TOPICS[CHECKPOINTS]["retention.ms"] == "-1"


def test_a_reader_reads_public_topics_in_groups_of_its_own_name_and_nothing_else() -> None:
    of_reader = {(g.kind, g.name, g.operation) for g in NEEDS.grants if g.user == "reader"}
    groups = {("GROUP", "reader", "READ"), ("GROUP", "reader.", "READ")}
    assert of_reader == groups | {("TOPIC", topic, "READ") for topic in PUBLIC}
    exact = {g.name for g in NEEDS.grants if g.user == "reader" and g.pattern == "LITERAL"}
    assert "reader" in exact
    assert not {"reader.", "reader-b"} & exact
    assert not set(PUBLIC) & set(INBOUND)
    assert not [topic for topic in PUBLIC if topic.endswith(".dlq")]


def test_publishers_and_readers_have_quotas_and_services_none() -> None:
    limited = NEEDS.quotas
    assert set(limited) == {*PUBLISHERS, "reader"}
    assert all(limited[publisher]["producer_byte_rate"] > 0 for publisher in PUBLISHERS)
    assert limited["reader"]["consumer_byte_rate"] > 0


def test_topics_that_publishers_can_fill_are_bounded() -> None:
    for topic in INBOUND:
        assert TOPICS[topic]["max.message.bytes"] == str(RECORD_BYTES)
    for topic in (name for name in TOPICS if name.endswith(".dlq")):
        assert int(TOPICS[topic]["retention.bytes"]) > 0


def test_a_service_reads_in_the_groups_of_its_own_subscriptions() -> None:
    for service in SERVICES:
        granted = {(g.name, g.pattern) for g in NEEDS.grants if (g.user, g.kind) == (service, "GROUP")}
        assert granted == {(f"{service}.regista.", "PREFIXED")}


def test_a_service_reads_its_subscriptions_and_its_own_topic_and_nothing_else() -> None:
    for service in ("registry", "approval", "artifact", "cleanup"):
        read = {g.name for g in NEEDS.grants if (g.user, g.kind, g.operation) == (service, "TOPIC", "READ")}
        sources = {*SUBSCRIBED[service], f"regista.{service}.events.v1"}
        assert read == sources | {dlq_of(topic) for topic in sources}
    of_audit = {(g.name, g.operation) for g in NEEDS.grants if (g.user, g.kind) == ("audit", "TOPIC")}
    assert of_audit == {(topic, "READ") for topic in PUBLIC} | {(CHECKPOINTS, "WRITE")}


@pytest.mark.parametrize(
    ("service", "subscriptions"),
    [
        ("registry", registry.subscriptions),
        ("approval", approval.subscriptions),
        ("artifact", artifact.subscriptions),
        ("cleanup", cleanup.subscriptions),
    ],
)
def test_each_service_may_read_exactly_what_it_subscribes_to(
    service: str, subscriptions: Callable[[Any], list[Subscription]]
) -> None:
    app = SimpleNamespace(settings=Settings(kafka_namespaces=("fraud",)))
    needs = Needs(bound={"fraud-ci": "fraud"})
    subscribed = subscriptions(app)
    groups = {s.group_id for s in subscribed}
    topics_read = {s.topic for s in subscribed}
    bound = {topic for topic in topics_read if topic.endswith(".fraud")}
    assert topics_read - bound == set(SUBSCRIBED[service])
    for topic in topics_read:
        assert Grant(service, "TOPIC", topic, "READ") in needs.grants
        assert Grant(service, "TOPIC", dlq_of(topic), "WRITE") in needs.grants
    assert all(group.startswith(f"{service}.regista.") for group in groups)


def test_every_name_of_a_user_has_the_prefix_and_a_principal_replaces_it() -> None:
    needs = Needs(user_prefix="regista-", principals={"registry": "sa-1"})
    assert set(needs.users) == {
        "sa-1",
        *(f"regista-{name}" for name in (*SERVICES, *PUBLISHERS, "reader") if name != "registry"),
    }
    assert {g.user for g in needs.grants} == set(needs.users)
    assert set(needs.quotas) <= set(needs.users)
    made = {g.name for g in needs.grants if g.kind == "TRANSACTIONAL_ID"}
    assert made == {"regista-pipeline/", "regista-serving/"}


def test_no_topic_relies_on_what_a_broker_does_by_default() -> None:
    for settings in topics(NEEDS).values():
        assert {"cleanup.policy", "retention.ms", "retention.bytes", "max.message.bytes"} <= settings.keys()
        assert (settings["cleanup.policy"], settings["retention.ms"]) == ("delete", "-1")
    for topic in (*INBOUND, *PUBLIC):
        assert topics(NEEDS)[topic]["retention.bytes"] == "-1"


def test_two_of_three_copies_are_written_before_a_message_counts() -> None:
    assert {t["min.insync.replicas"] for t in topics(Needs(replication=3)).values()} == {"2"}
    assert not [t for t in topics(Needs(replication=2)).values() if "min.insync.replicas" in t]


def test_what_a_service_sends_fits_into_the_topics() -> None:
    for topic in (*WRITERS, CHECKPOINTS):
        assert int(TOPICS[topic]["max.message.bytes"]) > LARGEST


@pytest.mark.parametrize(
    "wrong",
    [
        {"publishers": ("registry",)},
        {"publishers": ("a b",)},
        {"publishers": ("-x",)},
        {"readers": ("pipeline",)},
        {"publishers": ("x", "x")},
        {"principals": {"stranger": "x"}},
        {"user_prefix": "a b"},
    ],
)
def test_a_user_that_cannot_be_one_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(NeedsWrong):
        Needs(**wrong)


def test_registry_may_put_a_training_message_back() -> None:
    assert Grant("registry", "TOPIC", TRAINING, "WRITE") in NEEDS.grants


def test_the_names_of_topics_cost_no_import_of_kafka_or_database() -> None:
    heavy = {"aiokafka", "asyncpg", "asyncio", "sqlalchemy", "msgspec"}
    code = f"import sys, services.kafka.topics; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["[]"]


BOUND = {"fraud-ci": "fraud", "crm-ci": "crm"}


def test_a_publisher_of_a_namespace_writes_the_topics_of_that_namespace_and_no_others() -> None:
    granted = {(g.kind, g.name, g.operation) for g in Needs(bound=BOUND).grants if g.user == "fraud-ci"}
    of_fraud = {grant for grant in granted if grant[0] != "TRANSACTIONAL_ID"}
    assert of_fraud == {
        ("TOPIC", "regista.training.v1.fraud", "WRITE"),
        ("TOPIC", "regista.usage.v1.fraud", "WRITE"),
    }
    assert {g.user for g in Needs(bound=BOUND).grants if g.name == "regista.training.v1.fraud"} == {
        "fraud-ci",
        "registry",
    }


def test_a_topic_of_a_namespace_has_its_dead_letters_beside_it_within_limits() -> None:
    added = set(topics(Needs(bound=BOUND))) - set(TOPICS)
    assert len(added) == 8
    for topic in (name for name in added if not name.endswith(".dlq")):
        assert topics(Needs(bound=BOUND))[topic] == TOPICS[TRAINING]
        assert topics(Needs(bound=BOUND))[dlq_of(topic)] == TOPICS[dlq_of(TRAINING)]


def test_publishers_of_namespaces_are_read_from_a_setting() -> None:
    assert bound_publishers(" fraud-ci=fraud, crm-ci=crm.sales ,") == {
        "fraud-ci": "fraud",
        "crm-ci": "crm.sales",
    }


@pytest.mark.parametrize(
    "text",
    [
        "fraud-ci",
        "=fraud",
        "x=",
        "registry=fraud",
        "x=a b",
        "X!=fraud",
        "a=b=c",
        "x=dlq",
        "x=y.dlq",
        "x=a,x=b",
    ],
)
def test_a_setting_that_names_no_user_or_namespace_is_refused(text: str) -> None:
    with pytest.raises(NeedsWrong, match=r"cannot be|is not|would be|twice"):
        bound_publishers(text)
