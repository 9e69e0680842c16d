"""Rotated and revoked keys of services: what they signed while they were valid stays valid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from regista.wire.cloudevents import CloudEvent, from_kafka
from regista.wire.dsse import key_id_of
from regista.wire.keys import generate_signing_key
from shared.deciding.access import KeyIssued, KeyRevoked
from tests.integration.edges.conftest import People, Send, Toy, counted, dead_letters
from tests.integration.edges.test_service_messages import SERVICE_TOPIC, seen, wait_for_reason

pytestmark = pytest.mark.servers


async def test_a_services_events_stay_valid_after_its_key_was_rotated_unless_it_was_compromised(
    start_toy: Callable[..., Toy], send: Send, people: People, operator: str, database: Any
) -> None:
    old, stolen = await people.signer("service:artifact", "service"), generate_signing_key("service:artifact")
    await people.append(
        "service:artifact", KeyIssued("service:artifact", stolen.key_id, "ed25519", stolen.public.hex())
    )
    before = datetime.now(UTC) - timedelta(seconds=1)
    sent = {"topic": SERVICE_TOPIC, "user": "artifact"}
    for key in (old, stolen):
        await send(recorded(before, by=1, on="s"), key, **sent)
    new = generate_signing_key("service:artifact")
    await people.append(
        "service:artifact",
        KeyIssued("service:artifact", new.key_id, "ed25519", new.public.hex()),
        KeyRevoked("service:artifact", old.key_id, "rotated"),
        KeyRevoked("service:artifact", stolen.key_id, "rotated"),
        KeyRevoked("service:artifact", stolen.key_id, "seen elsewhere", compromised=True),
    )
    after = datetime.now(UTC) + timedelta(seconds=1)
    for when, key in ((before, new), (after, new), (after, old)):
        await send(recorded(when, by=1, on="s"), key, **sent)
    toy = start_toy()
    await counted(toy, database, 3, "counter-s")
    found = sorted(await dead_letters(toy, operator, 2), key=lambda one: one["offset"])
    assert [
        (dead_letter["offset"], reason in dead_letter["reason"])
        for dead_letter, reason in zip(found, ("compromised", "before the event was recorded"), strict=True)
    ] == [
        (1, True),
        (4, True),
    ]


async def test_a_service_whose_own_key_is_invalid_publishes_nothing_and_reports_why(
    start_toy: Callable[..., Toy], people: People, empty_kafka: Any
) -> None:
    key, otto = (
        await people.signer("service:registry", "service"),
        await people.person("otto", ("publisher", "*"), ("engineer", "*")),
    )
    toy = start_toy(key)
    await toy.ready()
    await people.append("service:registry", KeyRevoked("service:registry", key.key_id, "too early"))
    async with toy.client(otto) as client:
        assert (
            await client.post("/v1/counters/a:count", json={"by": 1}, headers={"idempotency-key": "1"})
        ).status_code == 200
    await wait_for_reason(toy, "relay registry", "was revoked or has expired")
    new = generate_signing_key("service:registry")
    await people.append(
        "service:registry", KeyIssued("service:registry", new.key_id, "ed25519", new.public.hex())
    )
    assert await asyncio.to_thread(toy.end) == 0
    await start_toy(new).ready()
    assert key_id_of(await first_of(empty_kafka, "regista.registry.events.v1")) == new.key_id


async def first_of(empty_kafka: Any, topic: str) -> CloudEvent:
    """The first message of a topic with one message."""
    kafka = empty_kafka.kafka
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="approval",
        sasl_plain_password=kafka.password("approval"),
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            record = await consumer.getone()
        return from_kafka(record.value, record.headers)
    finally:
        await asyncio.wait_for(consumer.stop(), 5)


def recorded(when: datetime, **data: Any) -> CloudEvent:
    return replace(seen(**data), extensions={"recordedtime": when.isoformat()})
