"""What the client writes to a real Kafka is what the wire promises."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from regista.client.async_client import AsyncClient
from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.errors import Forbidden, NotConfigured, TooLarge, Unavailable
from regista.publishing.kafka import KafkaSender
from regista.wire.cloudevents import CloudEvent, from_kafka
from regista.wire.dsse import key_id_of, verify
from regista.wire.keys import SigningKey
from services.local.stack import Stack


async def _first(stack: Stack, topic: str, service: str) -> Any:
    """Return the first message of a topic, read as the service that subscribes to it."""
    reader = AIOKafkaConsumer(
        topic,
        bootstrap_servers=stack.kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=service,
        sasl_plain_password=stack.kafka.password(service),
        auto_offset_reset="earliest",
    )
    async with reader:
        return await asyncio.wait_for(reader.getone(), 20)


async def test_a_published_model_arrives_signed_by_its_publisher_under_the_models_name(
    empty_kafka: Stack, publisher: Profile, signing_key: SigningKey
) -> None:
    async with AsyncClient(publisher) as client:
        result = await client.publish("fraud.cards", training={"config": {"C": 1.0}}, draft=True)
    result.detach()
    record = await _first(empty_kafka, "regista.training.v1", "registry")
    event = from_kafka(record.value, record.headers)
    verify(event, signing_key.public)
    assert (record.key, event.id, event.type, event.source) == (
        b"fraud.cards",
        result.id,
        "regista.ModelTrained.v1",
        "/publishers/publisher:nightly",
    )
    assert key_id_of(event) == signing_key.key_id
    assert msgspec.json.decode(event.data) == {
        "model": "fraud.cards",
        "kind": "model",
        "draft": True,
        "training": {"config": {"C": 1.0}, "creator": "publisher:nightly"},
    }


async def test_usage_is_reported_on_its_topic(
    empty_kafka: Stack, publisher: Profile, signing_key: SigningKey
) -> None:
    from regista.loading.usage import Used  # noqa: PLC0415

    async with AsyncClient(replace(publisher, usage_window=3600)) as client:
        client._usage.record(Used("churn", "", 3, "production"), 5)
    record = await _first(empty_kafka, "regista.usage.v1", "cleanup")
    event = from_kafka(record.value, record.headers)
    verify(event, signing_key.public)
    assert (event.type, msgspec.json.decode(event.data)["count"]) == ("regista.ModelUsed.v1", 5)


def _ends(publisher: Profile, **settings: str) -> str:
    """Run a program that uses a model and ends immediately; return what it printed."""
    result = {
        "URL": publisher.url,
        "KEY_FILE": publisher.key_file,
        "CACHE_DIR": publisher.cache_dir,
        "CONFIG": "/nowhere",
        "USAGE_WINDOW": "3600",
        "KAFKA_BOOTSTRAP": publisher.kafka_bootstrap.replace("127.0.0.1", "localhost"),
        "KAFKA_USER": publisher.kafka_user,
        "KAFKA_PASSWORD": publisher.kafka_password,
        "KAFKA_SECURITY": publisher.kafka_security,
    }
    environment = {f"REGISTA_{name}": value for name, value in (result | settings).items()} | {
        "PYTHONPATH": os.pathsep.join(sys.path)
    }
    code = (
        "from regista.client.sync_client import default\nfrom regista.loading.usage import Used\n"
        "default().asynchronous._count(Used('churn', '', 3, 'production'), 7)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return ended.stdout + ended.stderr


async def test_the_last_usage_before_a_program_ends_is_reported_on_its_topic_too(
    empty_kafka: Stack, publisher: Profile, signing_key: SigningKey
) -> None:
    assert await asyncio.to_thread(_ends, publisher) == ""
    record = await _first(empty_kafka, "regista.usage.v1", "cleanup")
    event = from_kafka(record.value, record.headers)
    verify(event, signing_key.public)
    assert msgspec.json.decode(event.data)["count"] == 7


async def test_a_program_ends_though_no_broker_takes_its_last_usage(stack: Stack, publisher: Profile) -> None:
    assert await asyncio.to_thread(_ends, publisher, KAFKA_BOOTSTRAP="localhost:9") == ""


async def test_an_unreachable_or_refusing_broker_is_one_typed_error(stack: Stack, publisher: Profile) -> None:
    for wrong, reason in (
        (replace(publisher, kafka_bootstrap="127.0.0.1:9"), "Connect call failed"),
        (replace(publisher, kafka_password="wrong"), "Authentication failed"),
    ):
        async with AsyncClient(wrong, patience=Patience(attempts=2, first=0.01)) as client:
            with pytest.raises(Unavailable, match=f"is unreachable.*{reason}"):
                await client.publish("churn", draft=True)


async def test_a_forbidden_topic_and_a_message_that_is_too_large_are_typed_errors(
    empty_kafka: Stack, publisher: Profile
) -> None:
    sender = KafkaSender(publisher)
    event = CloudEvent("1", "/publishers/x", "t", "churn", "2026-01-01T00:00:00Z", b"{}")
    with pytest.raises(Forbidden, match=r"pipeline may not write to regista\.registry\.events"):
        await sender.send("regista.registry.events.v1", event)
    with pytest.raises(TooLarge, match="3000000 bytes"):
        await sender.send("regista.training.v1", replace(event, data=b"x" * 3_000_000))
    await sender.close()


async def test_without_a_signing_key_nothing_goes_to_kafka(publisher: Profile) -> None:
    async with AsyncClient(replace(publisher, key_file="")) as client:
        with pytest.raises(NotConfigured, match="REGISTA_KEY_FILE"):
            await client.publish("churn", via="kafka")
