"""Two replicas between real Kafka and PostgreSQL: from messages to a signed grant, also after a kill."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from regista.wire.cloudevents import CloudEvent, from_kafka, to_kafka
from regista.wire.dsse import sign, verify
from regista.wire.keys import SigningKey, generate_signing_key
from shared.deciding.access import IdentityCreated, KeyIssued
from tests.processes import Running, Starter, starting

pytestmark = pytest.mark.slow

TOPIC = "regista.approval.events.v1"


@dataclass
class World:
    """Registry and artifact, as far as Kafka is concerned, and replicas of approval."""

    starter: Starter
    identities: Any
    keys: dict[str, SigningKey] = field(default_factory=dict)
    api_keys: dict[str, str] = field(default_factory=dict)
    producers: dict[str, AIOKafkaProducer] = field(default_factory=dict)
    replicas: list[Running] = field(default_factory=list)
    revisions: dict[str, int] = field(default_factory=dict)

    def kafka(self, user: str) -> dict[str, str]:
        return {
            "bootstrap_servers": self.starter.stack.kafka.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": self.starter.stack.kafka.password(user),
        }

    async def prepare(self) -> None:
        for service in ("registry", "artifact", "approval"):
            subject = f"service:{service}"
            key = self.keys[service] = generate_signing_key(subject)
            await self.identities.write(
                subject,
                IdentityCreated(subject, "service"),
                KeyIssued(subject, key.key_id, "ed25519", key.public.hex()),
            )
        for subject in ("ann", "bob", "carl"):
            self.api_keys[subject] = await self.identities.person(subject, ("approver", "team"))
        for service in ("registry", "artifact"):
            self.producers[service] = AIOKafkaProducer(**self.kafka(service))
            await self.producers[service].start()

    def start(self) -> None:
        self.replicas.append(self.starter("approval", self.keys["approval"]))

    async def send(
        self, service: str, name: str, stream: str, data: dict[str, Any], *, key: SigningKey | None = None
    ) -> None:
        revision = self.revisions[stream] = self.revisions.get(stream, 0) + 1
        event = CloudEvent(
            f"{stream}/{revision}",
            f"/regista/{service}",
            f"regista.{service}.{name}.v1",
            stream,
            datetime.now(UTC).isoformat(),
            msgspec.json.encode(data),
            extensions={
                "revision": str(revision),
                "leaf": "ab" * 32,
                "partitionkey": stream,
                "correlationid": "story",
            },
        )
        name_, value, headers = to_kafka(sign(event, key or self.keys[service]))
        await self.producers[service].send_and_wait(
            f"regista.{service}.events.v1", value=value, key=name_, headers=headers
        )

    async def call(
        self, subject: str, method: str, path: str, body: Any = None, replica: int = -1, **headers: str
    ) -> httpx.Response:
        headers |= {"authorization": f"Bearer {self.api_keys[subject]}"}
        async with httpx.AsyncClient(base_url=self.replicas[replica].url, timeout=30) as client:
            return await client.request(method, f"/v1{path}", json=body, headers=headers)

    async def published(self, wanted: str, seconds: float = 40) -> list[tuple[CloudEvent, dict[str, Any]]]:
        """Everything approval has published up to the first event of this type; checks each signature."""
        found = []
        consumer = AIOKafkaConsumer(
            TOPIC, **self.kafka("registry"), auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        try:
            async with asyncio.timeout(seconds):
                async for record in consumer:
                    event = from_kafka(record.value, record.headers)
                    verify(event, self.keys["approval"].public)
                    found.append((event, json.loads(event.data)))
                    if event.type == f"regista.approval.{wanted}.v1":
                        return found
        except TimeoutError:
            raise AssertionError(
                f"no {wanted} among {[e.type for e, _ in found]}\n"
                + "\n".join(one.output() for one in self.replicas)
            ) from None
        finally:
            await consumer.stop()
        return found

    async def stop(self) -> None:
        for producer in self.producers.values():
            await asyncio.wait_for(producer.stop(), 5)


@pytest.fixture
async def world(empty_kafka: Any, database: Any, tmp_path: Path, identities: Any) -> AsyncIterator[World]:
    with starting(empty_kafka, database, tmp_path) as starter:
        world = World(starter, identities)
        await world.prepare()
        yield world
        await world.stop()


async def test_from_signed_messages_to_a_signed_grant_with_two_replicas_one_of_which_dies(
    world: World, version: Callable[..., dict[str, Any]], until: Callable[..., Awaitable[Any]]
) -> None:
    world.start()
    world.start()
    facts = {"model_id": "m", "model": "team.churn", "number": 1, "semver": "1.1.0"}
    await world.send(
        "registry",
        "ModelRegistered",
        "model-m",
        {"model_id": "m", "model": "team.churn", "kind": "model", "tier": "medium", "tags": {}},
    )
    await world.send("registry", "VersionRegistered", "model-m", version())
    await world.send(
        "artifact",
        "ArtifactReleased",
        "artifact-1",
        {"digest": "sha256:artifact1", **facts},
        key=generate_signing_key("service:artifact"),
    )
    world.revisions["artifact-1"] = 0  # the forged one never counted
    await world.send("artifact", "ArtifactReleased", "artifact-1", {"digest": "sha256:artifact1", **facts})
    event, verdict = (await world.published("GatesEvaluated"))[-1]
    assert (verdict["passed"], verdict["stage"], event.subject) == (True, "Validated", "gate-m@1")
    assert event.extensions["causationid"] in {"artifact-1/1", "model-m/2"}, "whichever topic came last"

    for replica in world.replicas:
        await replica.ready()
    world.replicas[0].kill()
    await world.send("registry", "VersionValidated", "model-m", facts)
    request = {
        "promotion_id": "p1",
        "environment": "production",
        "digest": "sha256:requested",
        "requester": "rosa",
        "creator": "carl",
        "evidence": {},
    }
    await world.send("registry", "PromotionRequested", "model-m", {**facts, **request})
    _, opened = (await world.published("ReviewOpened"))[-1]
    assert (opened["needs"], opened["promotion_id"]) == (2, "p1")

    own = await world.call("carl", "POST", "/reviews/p1:approve", {}, **{"if-match": '"1"'})
    assert own.json()["code"] == "own_work", own.text
    for revision, who in enumerate(("ann", "bob"), 1):
        answer = await world.call(who, "POST", "/reviews/p1:approve", {}, **{"if-match": f'"{revision}"'})
        assert answer.status_code == 200, answer.text
    happened = await world.published("PromotionGranted")
    event, granted = happened[-1]
    assert (granted["digest"], granted["approvers"], granted["override"]) == (
        "sha256:requested",
        ["ann", "bob"],
        False,
    )
    of_gate = [e for e, _ in happened if e.subject == "gate-m@1"]
    assert [e.type.split(".")[2] for e in of_gate] == ["GatesEvaluated", "GatesEvaluated", "PromotionGranted"]
    assert event.extensions["correlationid"]


async def test_a_replica_killed_in_the_middle_loses_nothing_and_does_nothing_twice(
    world: World, version: Callable[..., dict[str, Any]], until: Callable[..., Awaitable[Any]]
) -> None:
    world.start()
    world.start()
    await world.replicas[1].ready()
    count = 40
    for number in range(1, count + 1):
        facts = {
            "digest": f"sha256:artifact{number}",
            "model_id": "m",
            "model": "team.churn",
            "number": number,
        }
        await world.send("artifact", "ArtifactReleased", f"artifact-{number}", facts)
        await world.send("registry", "VersionRegistered", "model-m", version(number))
        if number in {10, 25}:
            world.replicas[number // 20].kill()
            world.start()
    connection = await asyncpg.connect(world.starter.database.url("approval"))

    async def done() -> bool:
        return bool(
            await connection.fetchval(
                "SELECT count(DISTINCT stream) = $1 FROM log.events_approval WHERE type = 'GatesEvaluated'",
                count,
            )
        )

    await until(done, 60)
    rows = await connection.fetch(
        "SELECT stream, array_agg(type ORDER BY tx, seq) AS types, "
        "array_agg(revision ORDER BY tx, seq) AS revisions FROM log.events_approval "
        "WHERE stream LIKE 'gate-m@%' GROUP BY stream"
    )
    await connection.close()
    assert [(row["types"], row["revisions"]) for row in rows] == [
        (["Noted", "Noted", "GatesEvaluated"], [1, 2, 3])
    ] * count
