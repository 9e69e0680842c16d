"""Measure `ModelTrained` from Kafka to a registered version: throughput, then latency at 300/s."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.figures import Figure
from benchmarks.servers import Servers
from benchmarks.trained import CREATOR, message, trained
from regista.wire.keys import SigningKey, generate_signing_key
from services.kafka.topics import TRAINING
from shared.foundation.settings import Settings
from shared.messaging.kafka import connection, start_producer

MESSAGES, RATE, SECONDS, MODELS = 20_000, 300, 10, 200
RECORDED = """
SELECT convert_from(bytes, 'UTF8')::json FROM log.events_registry
WHERE type = 'VersionRegistered' ORDER BY tx DESC, seq DESC LIMIT $1
"""
COUNT = "SELECT count(*) FROM log.events_registry WHERE type = 'VersionRegistered'"
APPENDED = "SELECT last_value FROM log.event_seq"
"""Polled instead of a count of the log, which would take processor time from what is measured."""


def publisher(servers: Servers) -> SigningKey:
    """Create an identity that may publish, and return its key."""
    key = generate_signing_key("bench-publisher")
    servers.call(
        "POST",
        "registry",
        "/v1/access/identities",
        {"subject": key.subject, "kind": "publisher", "name": "benchmark"},
    )
    servers.call(
        "POST", "registry", "/v1/access/identities", {"subject": CREATOR, "kind": "person", "name": "Ann"}
    )
    body = {"key_id": key.key_id, "public_key": key.public.hex()}
    servers.call("POST", "registry", f"/v1/access/identities/{key.subject}/keys", body)
    servers.call(
        "PUT",
        "registry",
        f"/v1/access/identities/{key.subject}/roles",
        {"role": "publisher", "namespace": "*"},
    )
    return key


def _message(key: SigningKey, number: int) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    return message(key, number, datetime.now(UTC), trained(f"bench.kafka-{number % MODELS}", number))


async def measure(servers: Servers) -> Sequence[Figure]:
    stack = servers.stack
    pipeline = Settings(
        kafka_bootstrap=stack.kafka.bootstrap,
        kafka_user="pipeline",
        kafka_password=stack.kafka.password("pipeline"),
        kafka_security="SASL_PLAINTEXT",
    )
    pool = await asyncpg.create_pool(stack.owner_url(), min_size=1, max_size=2)
    producer = await start_producer(pipeline)
    numbers = count()
    with servers.running("registry"):
        key = publisher(servers)
        messages = [_message(key, next(numbers)) for _ in range(MESSAGES)]
        rate = await _drained(producer, pool, messages)
        p50, p99 = await _paced(producer, pool, key, numbers)
        messages = [_message(key, next(numbers)) for _ in range(MESSAGES)]
        with servers.replica("registry"):
            two = await _drained(producer, pool, messages)
    await producer.stop()
    raw = await _raw(
        pipeline.model_copy(
            update={"kafka_user": "registry", "kafka_password": stack.kafka.password("registry")}
        )
    )
    await pool.close()
    return [
        Figure(
            "ModelTrained from Kafka to registered, one process",
            rate,
            "messages/s",
            3_000,
            "aiokafka reading the same messages, nothing else",
            raw,
        ),
        Figure("the same with two replicas", two, "messages/s", 3_000, "the same", raw),
        Figure(
            f"from Kafka to registered at {RATE}/s, one process, p99",
            p99 * 1000,
            "ms",
            250,
            smaller_is_better=True,
            note=f"p50 {p50 * 1000:.0f} ms",
        ),
    ]


async def _drained(
    producer: AIOKafkaProducer,
    pool: asyncpg.Pool,
    messages: list[tuple[bytes, bytes, list[tuple[str, bytes]]]],
) -> float:
    before, appended = await pool.fetchval(COUNT), await pool.fetchval(APPENDED)
    sent = [
        await producer.send(TRAINING, value=value, key=key, headers=headers)
        for key, value, headers in messages
    ]
    began = time.perf_counter()
    await asyncio.gather(*sent)
    while await pool.fetchval(APPENDED) < appended + len(messages):
        await asyncio.sleep(0.02)
    while await pool.fetchval(COUNT) < before + len(messages):
        await asyncio.sleep(0.02)
    return len(messages) / (time.perf_counter() - began)


async def _paced(
    producer: AIOKafkaProducer, pool: asyncpg.Pool, key: SigningKey, numbers: count[int]
) -> tuple[float, float]:
    before, wanted = await pool.fetchval(COUNT), RATE * SECONDS
    began = time.perf_counter()
    for n in range(wanted):
        await asyncio.sleep(max(0.0, began + n / RATE - time.perf_counter()))
        signed = _message(key, next(numbers))
        await producer.send(TRAINING, value=signed[1], key=signed[0], headers=signed[2])
    while await pool.fetchval(COUNT) < before + wanted:
        await asyncio.sleep(0.05)
    waits = []
    for row in await pool.fetch(RECORDED, wanted):
        event = json.loads(row[0])
        waits.append(
            (
                datetime.fromisoformat(event["recorded_at"]) - datetime.fromisoformat(event["occurred_at"])
            ).total_seconds()
        )
    waits.sort()
    return waits[len(waits) // 2], waits[int(len(waits) * 0.99)]


async def _raw(settings: Settings) -> float:
    consumer = AIOKafkaConsumer(TRAINING, **connection(settings), auto_offset_reset="earliest")
    await consumer.start()
    seen, began = 0, time.perf_counter()
    while seen < MESSAGES:
        seen += sum(
            len(records) for records in (await consumer.getmany(timeout_ms=500, max_records=500)).values()
        )
    rate = seen / (time.perf_counter() - began)
    await consumer.stop()
    return rate
