"""The broker's fence, as data."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from regista.wire.limits import RECORD_BYTES
from services.local.topics import (
    INBOUND,
    PUBLIC,
    PUBLISHERS,
    SERVICES,
    TOPICS,
    TRAINING,
    WRITERS,
    Grant,
    bound_publishers,
    grants,
    quotas,
    topics,
)
from shared.foundation.topics import CHECKPOINTS, dlq_of


def test_only_a_service_itself_writes_its_events() -> None:
    for topic, owner in WRITERS.items():
        assert {grant.user for grant in grants() if grant.name == topic and grant.operation == "WRITE"} == {
            owner
        }


def test_publishers_write_what_comes_in_and_nothing_else() -> None:
    of_pipeline = [g for g in grants(("pipeline",)) if (g.user, g.kind) == ("pipeline", "TOPIC")]
    assert {(g.name, g.operation) for g in of_pipeline} == {
        ("regista.training.v1", "WRITE"),
        ("regista.usage.v1", "WRITE"),
    }


def test_a_publisher_may_use_transactions_under_ids_of_its_own() -> None:
    made = [g for g in grants(("team", "team-a")) if g.kind == "TRANSACTIONAL_ID"]
    assert {(g.user, g.name) for g in made} == {("team", "team/"), ("team-a", "team-a/")}
    assert {g.operation for g in made} == {"WRITE", "DESCRIBE"}
    assert not "team-a/x".startswith("team/")


def test_every_topic_has_its_dead_letters_beside_it() -> None:
    sources = {topic for topic in TOPICS if not topic.endswith(".dlq")} - {CHECKPOINTS}
    assert set(TOPICS) == {CHECKPOINTS} | sources | {dlq_of(topic) for topic in sources}


def test_only_audit_writes_the_topic_of_log_checkpoints() -> None:
    assert {(grant.user, grant.operation) for grant in grants() if grant.name == CHECKPOINTS} == {
        ("audit", "READ"),
        ("audit", "WRITE"),
        ("reader", "READ"),
    }
    assert TOPICS[CHECKPOINTS]["retention.ms"] == "-1"


def test_a_reader_reads_public_topics_in_groups_of_its_own_name_and_nothing_else() -> None:
    of_reader = {(g.kind, g.name, g.operation) for g in grants() if g.user == "reader"}
    assert of_reader == {("GROUP", "reader", "READ")} | {("TOPIC", topic, "READ") for topic in PUBLIC}
    assert not set(PUBLIC) & set(INBOUND)
    assert not [topic for topic in PUBLIC if topic.endswith(".dlq")]


def test_publishers_and_readers_have_quotas_and_services_none() -> None:
    limited = quotas()
    assert set(limited) == {*PUBLISHERS, "reader"}
    assert all(limited[publisher]["producer_byte_rate"] > 0 for publisher in PUBLISHERS)
    assert limited["reader"]["consumer_byte_rate"] > 0


def test_topics_that_publishers_can_fill_are_bounded() -> None:
    for topic in INBOUND:
        assert TOPICS[topic]["max.message.bytes"] == str(RECORD_BYTES)
    for topic in (name for name in TOPICS if name.endswith(".dlq")):
        assert int(TOPICS[topic]["retention.bytes"]) > 0


def test_a_service_reads_in_groups_of_its_own_name() -> None:
    for service in SERVICES:
        assert {grant.name for grant in grants() if grant.user == service and grant.kind == "GROUP"} == {
            service,
            f"regista.{service}",
        }


def test_registry_may_put_a_training_message_back() -> None:
    assert Grant("registry", "TOPIC", TRAINING, "WRITE") in grants()


def test_the_names_of_topics_cost_no_import_of_kafka_or_database() -> None:
    heavy = {"aiokafka", "asyncpg", "asyncio", "sqlalchemy", "msgspec"}
    code = f"import sys, services.local.topics; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["[]"]


BOUND = {"fraud-ci": "fraud", "crm-ci": "crm"}


def test_a_publisher_of_a_namespace_writes_the_topics_of_that_namespace_and_no_others() -> None:
    granted = {(g.kind, g.name, g.operation) for g in grants(bound=BOUND) if g.user == "fraud-ci"}
    of_fraud = {grant for grant in granted if grant[0] != "TRANSACTIONAL_ID"}
    assert of_fraud == {
        ("TOPIC", "regista.training.v1.fraud", "WRITE"),
        ("TOPIC", "regista.usage.v1.fraud", "WRITE"),
    }
    assert {g.user for g in grants(bound=BOUND) if g.name == "regista.training.v1.fraud"} == {
        "fraud-ci",
        "registry",
    }


def test_a_topic_of_a_namespace_has_its_dead_letters_beside_it_within_limits() -> None:
    added = set(topics(BOUND)) - set(TOPICS)
    assert len(added) == 8
    for topic in (name for name in added if not name.endswith(".dlq")):
        assert topics(BOUND)[topic] == TOPICS[TRAINING]
        assert topics(BOUND)[dlq_of(topic)] == TOPICS[dlq_of(TRAINING)]


def test_publishers_of_namespaces_are_read_from_a_setting() -> None:
    assert bound_publishers(" fraud-ci=fraud, crm-ci=crm.sales ,") == {
        "fraud-ci": "fraud",
        "crm-ci": "crm.sales",
    }


@pytest.mark.parametrize("text", ["fraud-ci", "=fraud", "x=", "registry=fraud", "x=a b", "X!=fraud", "a=b=c"])
def test_a_setting_that_names_no_user_or_namespace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        bound_publishers(text)
