"""The broker's fence, as data."""

from __future__ import annotations

import subprocess
import sys

from services.local.topics import SERVICES, TOPICS, TRAINING, WRITERS, Grant, grants
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


def test_only_audit_reaches_the_topic_of_log_checkpoints() -> None:
    assert {(grant.user, grant.operation) for grant in grants() if grant.name == CHECKPOINTS} == {
        ("audit", "READ"),
        ("audit", "WRITE"),
    }
    assert TOPICS[CHECKPOINTS]["retention.ms"] == "-1"


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
