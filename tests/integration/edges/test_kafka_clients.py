"""A client of Kafka is gone before its successor opens, also when Kafka does not answer."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from shared.foundation.settings import Settings
from shared.messaging.kafka import connection, start_producer, stop_client

pytestmark = pytest.mark.servers
TOPIC = "regista.artifact.events.v1"


@pytest.fixture
def settings(empty_kafka: Any, database: Any) -> Settings:
    kafka = empty_kafka.kafka
    return Settings(
        database_url=database.url("registry"),
        kafka_bootstrap=kafka.bootstrap,
        kafka_security="SASL_PLAINTEXT",
        kafka_user="registry",
        kafka_password=kafka.password("registry"),
    )


def aiokafka_tasks() -> set[asyncio.Task[Any]]:
    return {
        task
        for task in asyncio.all_tasks()
        if (code := getattr(task.get_coro(), "cr_code", None)) and "aiokafka" in code.co_filename
    }


class Hanging:
    """Stops reading the sockets of a client: the broker seems to hang."""

    def __init__(self, client: Any) -> None:
        network = getattr(client, "_client", None) or client.client
        self.connections = list(network._conns.values())
        for one in self.connections:
            one._writer.transport.pause_reading()


async def test_a_consumer_of_a_broker_that_hangs_is_gone_after_its_stop(settings: Settings) -> None:
    before = aiokafka_tasks()
    consumer = AIOKafkaConsumer(
        TOPIC, **connection(settings), group_id="registry.regista.hangs", session_timeout_ms=15_000
    )
    await consumer.start()
    hanging = Hanging(consumer)
    stopped = asyncio.create_task(stop_client(consumer, 0.5))
    async with asyncio.timeout(10):
        await stopped
    assert aiokafka_tasks() == before
    assert not any(one.connected() for one in hanging.connections)


async def test_a_producer_of_a_broker_that_hangs_is_gone_after_its_stop(settings: Settings) -> None:
    before = aiokafka_tasks()
    producer = await start_producer(settings)
    await producer.send_and_wait("regista.registry.events.v1", b"x")  # the topic is known from here on
    Hanging(producer)
    sending = await producer.send("regista.registry.events.v1", b"x")
    async with asyncio.timeout(10):
        await stop_client(producer, 0.5)
    sending.cancel()
    assert aiokafka_tasks() == before


async def test_a_consumer_of_a_broker_that_is_gone_is_gone_after_its_stop(settings: Settings) -> None:
    before = aiokafka_tasks()
    consumer = AIOKafkaConsumer(TOPIC, **connection(settings), group_id="registry.regista.gone")
    await consumer.start()
    for one in list(consumer._client._conns.values()):
        one._writer.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    consumer._client.cluster.update_metadata = lambda *_: None
    async with asyncio.timeout(10):
        await stop_client(consumer, 0.5)
    assert aiokafka_tasks() == before
