"""The registry as a process beside real servers, with identities, and messages of the other services."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import TypeAdapter

from regista.wire.cloudevents import CloudEvent, from_kafka, to_kafka
from regista.wire.dsse import sign, verify
from regista.wire.keys import SigningKey, generate_signing_key
from regista.wire.limits import RECORD_BYTES
from services.registry.access.bootstrap import IdentitySpec, KeySpec, RoleSpec, Spec, write
from services.registry.api import ROUTES
from shared.http.dispatch import Table
from shared.identity.access_view import new_api_key
from tests.integration.registry.writers import Writer, two_writers
from tests.processes import PEPPER, Running, starting

PEOPLE = {
    "root": ("person", [("admin", "*")]),
    "eva": ("person", [("engineer", "team")]),
    "ann": ("person", [("auditor", "team")]),
    "eve": ("person", [("engineer", "elsewhere")]),
    "ci": ("publisher", [("publisher", "team")]),
    "night": ("publisher", [("publisher", "team")]),
    "stranger": ("publisher", [("publisher", "elsewhere")]),
    **{f"service:{name}": ("service", []) for name in ("registry", "approval", "artifact", "cleanup")},
}


@dataclass
class World:
    """Who exists, with both kinds of keys for each subject."""

    api_keys: dict[str, str] = field(default_factory=dict)
    keys: dict[str, SigningKey] = field(default_factory=dict)

    def spec(self) -> Spec:
        identities = []
        for subject, (kind, roles) in PEOPLE.items():
            api, own = new_api_key(PEPPER), generate_signing_key(subject)
            self.api_keys[subject], self.keys[subject] = api.text, own
            keys = [
                KeySpec(api.key_id, "hmac-sha256", api.verifier),
                KeySpec(own.key_id, "ed25519", own.public.hex()),
            ]
            identities.append(IdentitySpec(subject, kind, subject, keys, [RoleSpec(*role) for role in roles]))
        return Spec(identities)


@pytest.fixture
async def world(database: Any) -> World:
    world = World()
    await write(database.url("registry"), world.spec())
    return world


TABLE = Table(ROUTES)


async def as_documented(response: httpx.Response) -> None:
    """Check that every answer of every test is as the OpenAPI document describes it."""
    body = await response.aread()
    if (
        not response.is_success
        or not body
        or not response.url.path.startswith("/v1/")
        or "/dlq" in response.url.path
    ):
        return
    compiled, _ = TABLE.find(response.request.method, response.url.path)
    TypeAdapter(compiled.route.response).validate_json(body)


@dataclass
class Registry(Running):
    """A running process of the registry, and who exists."""

    world: World = field(default_factory=World)

    def client(self, subject: str = "eva") -> httpx.AsyncClient:
        """A client of that subject, below `/v1`."""
        headers = {"authorization": f"Bearer {self.world.api_keys[subject]}"}
        return httpx.AsyncClient(
            base_url=self.url + "/v1", headers=headers, timeout=30, event_hooks={"response": [as_documented]}
        )

    async def version(self, reference: str, **wanted: Any) -> dict[str, Any]:
        """The version `model@number`, once its fields are as wanted."""
        model, _, number = reference.partition("@")
        async with self.client("root") as client:

            async def answered() -> Any:
                answer = await client.get(f"/models/{model}/versions/{number}")
                found = answer.json()
                return (
                    found
                    if answer.status_code == 200
                    and all(found[name] == value for name, value in wanted.items())
                    else None
                )

            return await self.until(answered)


@pytest.fixture
def start(database: Any, stack: Any, world: World, tmp_path: Path) -> Iterator[Callable[..., Registry]]:
    with starting(stack, database, tmp_path) as start_one:

        def started(**settings: str) -> Registry:
            registry = start_one("registry", world.keys["service:registry"], Registry, **settings)
            registry.world = world
            return registry

        yield started


@pytest.fixture
async def registry(empty_kafka: Any, start: Callable[..., Registry]) -> Registry:
    registry = start()
    await registry.ready()
    return registry


@dataclass
class Senders:
    """Sends messages of publishers and services, signed as they sign them."""

    kafka: Any
    world: World
    producers: dict[str, AIOKafkaProducer] = field(default_factory=dict)
    revisions: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def _producer(self, user: str) -> AIOKafkaProducer:
        if user not in self.producers:
            self.producers[user] = AIOKafkaProducer(
                bootstrap_servers=self.kafka.bootstrap,
                security_protocol="SASL_PLAINTEXT",
                sasl_mechanism="SCRAM-SHA-512",
                sasl_plain_username=user,
                sasl_plain_password=self.kafka.password(user),
                linger_ms=2,
                max_request_size=RECORD_BYTES,
            )
            await self.producers[user].start()
        return self.producers[user]

    async def send(self, user: str, topic: str, event: CloudEvent) -> None:
        key, value, headers = to_kafka(event)
        await (await self._producer(user)).send_and_wait(topic, value=value, key=key, headers=headers)

    async def send_trained(
        self,
        data: dict[str, Any],
        publisher: str = "ci",
        message_id: str = "",
        key: SigningKey | None = None,
        trail: str = "",
    ) -> str:
        """Publish ModelTrained and return the message's id.

        `trail`: the publisher's own correlation id.
        """
        message_id, model = message_id or str(uuid.uuid4()), data["model"]
        now = datetime.now(UTC).isoformat()
        extensions = {"partitionkey": model, "correlationid": trail or message_id}
        event = CloudEvent(
            message_id,
            f"/publishers/{publisher}",
            "regista.ModelTrained.v1",
            model,
            now,
            msgspec.json.encode(data),
            extensions=extensions,
        )
        await self.send("pipeline", "regista.training.v1", sign(event, key or self.world.keys[publisher]))
        return message_id

    async def publish(self, service: str, type_: str, stream: str, **data: Any) -> None:
        """Publish an event of another service."""
        extensions = {
            "revision": str(next(self.revisions)),
            "leaf": "00" * 32,
            "correlationid": "c",
            "partitionkey": stream,
        }
        type_, now = f"regista.{service}.{type_}.v1", datetime.now(UTC).isoformat()
        event = CloudEvent(
            str(uuid.uuid4()),
            f"/regista/{service}",
            type_,
            stream,
            now,
            msgspec.json.encode(data),
            extensions=extensions,
        )
        await self.send(
            service, f"regista.{service}.events.v1", sign(event, self.world.keys[f"service:{service}"])
        )

    async def send_passing_verdicts(self, version: dict[str, Any]) -> None:
        """Send that artifact released a version and that its gates passed."""
        about = {"model_id": version["model_id"], "number": version["number"]}
        digest = version["artifact"]["digest"]
        await self.publish(
            "artifact",
            "ArtifactReleased",
            f"artifact-{digest[7:]}",
            digest=digest,
            uri="s3://x",
            generation=1,
            size=3,
            **about,
        )
        await self.publish(
            "approval",
            "GatesEvaluated",
            f"gate-{about['model_id']}@{about['number']}",
            stage="Validated",
            passed=True,
            results=[],
            **about,
        )

    async def send_grant(self, promotion: dict[str, Any]) -> None:
        """Send that approval granted an open promotion."""
        about = {
            name: promotion[name] for name in ("promotion_id", "model_id", "number", "environment", "digest")
        }
        await self.publish(
            "approval",
            "PromotionGranted",
            f"review-{about['promotion_id']}",
            approvers=["ann", "bob"],
            override=False,
            **about,
        )

    async def received(
        self, number: int, seconds: float = 40, *, without: frozenset[str] = frozenset()
    ) -> list[tuple[str, dict[str, Any]]]:
        """Return the first events that registry published as (type, data); verify each signature.

        The types in `without` are verified and left out: another stream's events come at any place.
        """
        consumer = AIOKafkaConsumer(
            "regista.registry.events.v1",
            bootstrap_servers=self.kafka.bootstrap,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_plain_username="approval",
            sasl_plain_password=self.kafka.password("approval"),
            auto_offset_reset="earliest",
        )
        await consumer.start()
        received: list[tuple[str, dict[str, Any]]] = []
        try:
            async with asyncio.timeout(seconds):
                while len(received) < number:
                    message = await consumer.getone()
                    event = from_kafka(message.value, message.headers)
                    verify(event, self.world.keys["service:registry"].public)
                    type_ = event.type.removeprefix("regista.registry.").removesuffix(".v1")
                    if type_ not in without:
                        received.append((type_, msgspec.json.decode(event.data)))
        finally:
            await asyncio.wait_for(consumer.stop(), 5)
        return received


@pytest.fixture
async def senders(empty_kafka: Any, world: World) -> AsyncIterator[Senders]:
    senders = Senders(empty_kafka.kafka, world)
    yield senders
    for producer in senders.producers.values():
        await asyncio.wait_for(producer.stop(), 5)


def trained(model: str = "team.churn", artifact: int = 1, **training: Any) -> dict[str, Any]:
    """Return the data of a complete ModelTrained."""
    return {
        "model": model,
        "artifact": {
            "digest": f"sha256:{artifact:064x}",
            "files": [{"path": "model.onnx", "size": 3, "sha256": f"{artifact:064x}"}],
            "location": f"upload-{artifact}",
        },
        "training": {
            "config": {"depth": 3},
            "code": {"revision": "abc"},
            "dataset": {"name": "people", "digest": "sha256:d1"},
            "features": ["age"],
            "framework": {"name": "scikit-learn", "version": "1.7"},
            "trained_at": "2026-03-01T12:00:00Z",
            "creator": "ci",
            "metrics": [
                {
                    "name": "auc",
                    "value": 0.9,
                    "dataset_digest": "sha256:t1",
                    "dataset_name": "test",
                    "primary": True,
                }
            ],
            **training,
        },
        "signature": {
            "inputs": [{"name": "age", "type": "double"}],
            "outputs": [{"name": "label", "type": "string", "labels": ["no", "yes"]}],
        },
    }


async def stored(database: Any, stream: str = "") -> list[tuple[str, str, int]]:
    """Return (type, stream, revision) of each event in registry's log, in order."""
    connection = await asyncpg.connect(database.owner_url)
    try:
        rows = await connection.fetch(
            "SELECT type, stream, revision FROM log.events_registry WHERE $1 = '' OR stream = $1 ORDER BY "
            "tx, seq",
            stream,
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


@pytest.fixture
async def writers(registry: Any, database: Any) -> AsyncIterator[list[Writer]]:
    """Two replicas without a process of their own, beside the running one."""
    async with two_writers(database.url("registry")) as made:
        yield made
