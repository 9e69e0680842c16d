"""cleanup as it runs, between a registry and publishers that only talk to it over Kafka and HTTP."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from regista.wire.cloudevents import CloudEvent, from_kafka, to_kafka
from regista.wire.dsse import sign, verify
from regista.wire.keys import SigningKey
from shared.foundation.topics import topic_of
from tests.integration.edges.conftest import People
from tests.processes import Running, running_here, starting


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class World:
    """Sends what the registry and publishers send, each with its own Kafka user and key."""

    kafka: Any
    people: People
    revisions: dict[str, int] = field(default_factory=dict)
    producers: dict[str, AIOKafkaProducer] = field(default_factory=dict)

    def connection(self, user: str) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.kafka.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": self.kafka.password(user),
        }

    async def send(self, topic: str, user: str, signer: str, event: CloudEvent) -> None:
        if user not in self.producers:
            self.producers[user] = AIOKafkaProducer(**self.connection(user))
            await self.producers[user].start()
        key, value, headers = to_kafka(sign(event, self.people.keys[signer]))
        await self.producers[user].send_and_wait(topic, value=value, key=key, headers=headers)

    async def registry(self, model_id: str, name: str, **data: Any) -> None:
        """The next event of a model."""
        body = {"model_id": model_id, "model": "fraud.churn", **data}
        await self._of_registry(f"model-{model_id}", name, body)

    async def environment(self, full_name: str) -> None:
        """The declaration of an environment."""
        namespace, _, name = full_name.rpartition(".")
        data = {"namespace": namespace, "name": name, "production": True, "order": 1, "description": ""}
        await self._of_registry("environments-all", "EnvironmentCreated", data)

    async def _of_registry(self, stream: str, name: str, data: dict[str, Any]) -> None:
        self.revisions[stream] = revision = self.revisions.get(stream, 0) + 1
        now = rfc3339(datetime.now(UTC))
        extensions = {
            "partitionkey": stream,
            "recordedtime": now,
            "revision": str(revision),
            "leaf": "00" * 32,
        }
        event = CloudEvent(
            str(uuid.uuid4()),
            "/regista/registry",
            f"regista.registry.{name}.v1",
            stream,
            now,
            msgspec.json.encode(data),
            extensions=extensions,
        )
        await self.send(topic_of("registry"), "registry", "service:registry", event)

    async def model(self, versions: int, name: str = "fraud.churn") -> str:
        """A new model with so many versions."""
        model_id = str(uuid.uuid4())
        await self.registry(model_id, "ModelRegistered", model=name, kind="model")
        for number in range(1, versions + 1):
            await self.registry(
                model_id, "VersionRegistered", model=name, number=number, semver=f"1.0.{number}"
            )
        return model_id

    def usage(self, model: str, number: int, count: int, *, message_id: str = "", **more: Any) -> CloudEvent:
        """A report of use, as a publisher's SDK makes it."""
        now = rfc3339(datetime.now(UTC))
        data = {
            "model": model,
            "number": number,
            "count": count,
            "window_start": now,
            "window_end": now,
            "environment": "production",
            **more,
        }
        return CloudEvent(
            message_id or str(uuid.uuid4()),
            "/publishers/serving",
            "regista.ModelUsed.v1",
            model,
            now,
            msgspec.json.encode(data),
        )

    async def used(self, event: CloudEvent) -> None:
        await self.send("regista.usage.v1", "serving", "serving", event)

    async def received(self, type_: str, key: SigningKey, seconds: float = 20) -> dict[str, Any]:
        """The data of the first public event of this type on cleanup's topic, its signature verified."""
        consumer = AIOKafkaConsumer(
            topic_of("cleanup"), auto_offset_reset="earliest", **self.connection("registry")
        )
        await consumer.start()
        try:
            async with asyncio.timeout(seconds):
                async for record in consumer:
                    event = from_kafka(record.value, record.headers)
                    if event.type == type_:
                        verify(event, key.public)
                        return dict(msgspec.json.decode(event.data))
        finally:
            await asyncio.wait_for(consumer.stop(), 5)
        raise AssertionError


@pytest.fixture
async def world(empty_kafka: Any, database: Any) -> AsyncIterator[World]:
    people = People(database.url("registry"))
    await people.signer("service:registry", "service")
    await people.signer("service:cleanup", "service")
    await people.signer("serving", "publisher", ("publisher", "*"))
    made = World(empty_kafka.kafka, people)
    yield made
    for producer in made.producers.values():
        await asyncio.wait_for(producer.stop(), 5)


@pytest.fixture
def start(stack: Any, database: Any, tmp_path: Path) -> Iterator[Callable[[str, SigningKey], Running]]:
    with starting(stack, database, tmp_path) as start_one:
        yield start_one


@pytest.fixture
async def engineer(world: World) -> str:
    return await world.people.person("eve", ("engineer", "*"))


@pytest.fixture
async def cleanup(
    world: World, stack: Any, database: Any, tmp_path: Path, engineer: str
) -> AsyncIterator[Running]:
    async with running_here(
        stack, database, tmp_path, "cleanup", world.people.keys["service:cleanup"]
    ) as running:
        yield running
