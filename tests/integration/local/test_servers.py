"""The local servers as they are given to the services: what each user may and may not do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import BytesIO

import asyncpg
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from minio.error import S3Error

from services.kafka.apply import apply, set_up
from services.kafka.connection import ClusterError
from services.kafka.needs import Grant, Needs
from services.kafka.plan import Permit, SetQuota
from services.kafka.protocol import set_quotas
from services.kafka.topics import SERVICES, TOPICS, TRAINING, USAGE, WRITERS
from services.local import kafka_access
from services.local.folders import InstanceFolder, LocalError
from services.local.kafka import SECURITY
from services.local.s3 import BUCKET
from services.local.stack import Stack
from shared.foundation.topics import bound_topic, dlq_of, topic_of


def login(stack: Stack, user: str) -> dict[str, object]:
    return {
        "bootstrap.servers": stack.kafka.bootstrap,
        "security.protocol": SECURITY,
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": stack.kafka.password(user),
    }


def write(stack: Stack, user: str, topic: str) -> KafkaError | None:
    """Return the broker's answer to one message of `user`."""
    answers: list[KafkaError | None] = []
    producer = Producer({**login(stack, user), "message.timeout.ms": 10_000, "enable.idempotence": True})
    producer.produce(topic, b"x", on_delivery=lambda error, _message: answers.append(error))
    producer.flush(15)
    return answers[0]


def read(stack: Stack, user: str, group: str, topic: str) -> str:
    """The first message of the topic, or the refusal's name."""
    consumer = Consumer({**login(stack, user), "group.id": group, "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        message = consumer.poll(20)
        assert message is not None, "neither message nor refusal"
        error = message.error()
        return str(error.name()) if error else (message.value() or b"").decode()
    except KafkaException as refused:
        return str(refused.args[0].name())
    finally:
        consumer.close()


@pytest.mark.parametrize(("topic", "owner"), sorted(WRITERS.items()))
def test_a_service_writes_its_own_events_topic_and_no_other_user_can(
    stack: Stack, topic: str, owner: str
) -> None:
    assert write(stack, owner, topic) is None
    for stranger in {*SERVICES, "pipeline"} - {owner}:
        refusal = write(stack, stranger, topic)
        assert refusal is not None
        assert refusal.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize("topic", [TRAINING, USAGE])
def test_a_publisher_writes_the_inbound_topics(stack: Stack, topic: str) -> None:
    assert write(stack, "pipeline", topic) is None


def test_a_publisher_reads_nothing(stack: Stack) -> None:
    assert read(stack, "pipeline", "pipeline", TRAINING) in {
        "GROUP_AUTHORIZATION_FAILED",
        "TOPIC_AUTHORIZATION_FAILED",
    }


def test_approval_cannot_write_training_messages(stack: Stack) -> None:
    refusal = write(stack, "approval", TRAINING)
    assert refusal is not None
    assert refusal.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_service_reads_anothers_events_in_its_own_group_only(stack: Stack) -> None:
    assert write(stack, "registry", topic_of("registry")) is None
    assert read(stack, "approval", "approval.regista.test", topic_of("registry")) == "x"
    assert (
        read(stack, "approval", "registry.regista.test", topic_of("registry")) == "GROUP_AUTHORIZATION_FAILED"
    )


def test_a_consumer_may_put_a_message_aside(stack: Stack) -> None:
    assert write(stack, "approval", dlq_of(topic_of("registry"))) is None


def test_a_user_of_nothing_is_refused_everywhere(stack: Stack) -> None:
    stack.kafka.add_users(["stranger"])
    refusal = write(stack, "stranger", TRAINING)
    assert refusal is not None
    assert refusal.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_topic_of_a_test_is_its_own(stack: Stack, new_topic: Callable[..., str]) -> None:
    topic = new_topic("private")
    refusal = write(stack, "registry", topic)
    assert refusal is not None
    assert refusal.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_the_artifact_service_alone_reaches_the_bucket(stack: Stack) -> None:
    stack.s3.client("artifact").put_object(BUCKET, "a/b", BytesIO(b"bytes"), 5)
    answer = stack.s3.client("artifact").get_object(BUCKET, "a/b")
    assert answer.read() == b"bytes"
    answer.release_conn()
    stranger = stack.s3.client("registry")
    with pytest.raises(S3Error, match="InvalidAccessKeyId"):
        stranger.get_object(BUCKET, "a/b")


def test_the_artifact_service_makes_no_buckets(stack: Stack) -> None:
    with pytest.raises(S3Error, match="AccessDenied"):
        stack.s3.client("artifact").make_bucket("another")


async def test_postgres_keeps_what_the_log_relies_on(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.owner_url())
    try:
        settings = {
            name: await connection.fetchval(f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "max_locks_per_transaction")
        }
        superuser = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    finally:
        await connection.close()
    assert settings == {"fsync": "on", "synchronous_commit": "on", "max_locks_per_transaction": "1024"}
    assert superuser is False


async def test_each_test_gets_a_migrated_database(database: object) -> None:
    connection = await asyncpg.connect(database.url("registry"))  # type: ignore[attr-defined]
    try:
        assert await connection.fetchval("SELECT count(*) FROM log.events_registry") == 0
    finally:
        await connection.close()


def test_secrets_are_for_their_owner_only(stack: Stack) -> None:
    modes = {
        path.name: path.stat().st_mode & 0o077 for path in (stack.folder.directory / "secrets").iterdir()
    }
    assert modes
    assert not any(modes.values())


def test_the_error_of_attaching_to_nothing_names_the_command(tmp_path: object) -> None:
    with pytest.raises(LocalError, match=r"python -m services\.local\.stack --keep"):
        Stack.attach(InstanceFolder(tmp_path).directory)  # type: ignore[arg-type]


def test_a_reader_reads_public_events_in_its_own_groups_and_nothing_else(stack: Stack) -> None:
    topic = topic_of("registry")
    assert write(stack, "registry", topic) is None
    assert read(stack, "reader", "reader.warehouse", topic) == "x"
    assert read(stack, "reader", "warehouse", topic) == "GROUP_AUTHORIZATION_FAILED"
    for hidden in (TRAINING, USAGE, dlq_of(topic)):
        assert read(stack, "reader", "reader.warehouse", hidden) == "TOPIC_AUTHORIZATION_FAILED"


def test_a_publisher_of_a_namespace_writes_its_topics_only(stack: Stack) -> None:
    kafka, needs = stack.kafka, Needs((), (), {"fraud-ci": "fraud"})
    try:
        set_up(kafka.connection(), needs, kafka.password)
        assert write(stack, "fraud-ci", bound_topic(TRAINING, "fraud")) is None
        for user, topic in (("fraud-ci", TRAINING), ("pipeline", bound_topic(TRAINING, "fraud"))):
            refusal = write(stack, user, topic)
            assert refusal is not None
            assert refusal.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    finally:
        kafka_access.delete_topics(kafka.admin(), {topic.name for topic in needs.topics} - set(TOPICS))


def test_the_broker_slows_a_user_beyond_its_quota(stack: Stack) -> None:
    kafka, throttled = stack.kafka, list[float]()
    kafka.add_users(["hasty"])
    limit = SetQuota("hasty", (("producer_byte_rate", 10_000.0),))
    assert apply(kafka.connection(), [Permit(Grant("hasty", "TOPIC", USAGE, "WRITE")), limit], str) == []
    producer = Producer(
        {
            **login(stack, "hasty"),
            "statistics.interval.ms": 50,
            "stats_cb": lambda text: throttled.extend(_throttled(text)),
        }
    )
    for _ in range(5):
        producer.produce(USAGE, os.urandom(50_000))
        producer.flush(30)
    while not any(throttled):
        assert producer.poll(5) >= 0
        producer.produce(USAGE, os.urandom(50_000))
        producer.flush(30)
    assert max(throttled) > 0


def _throttled(text: str) -> list[float]:
    return [broker["throttle"]["max"] for broker in json.loads(text)["brokers"].values()]


def test_a_quota_that_the_broker_does_not_know_is_refused(stack: Stack) -> None:
    with pytest.raises(ClusterError, match="refused the quotas"):
        set_quotas(stack.kafka.connection(), {"hasty": {"no_such_quota": 1.0}})
