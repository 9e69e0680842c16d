"""kill -9 of each process while pipelines publish: nothing is lost or done twice, and the backlog drains."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.wire.cloudevents import from_kafka
from services.approval.service import SERVICE as APPROVAL
from services.artifact.service import SERVICE as ARTIFACT
from services.cleanup.service import SERVICE as CLEANUP
from services.kafka.topics import SERVICES, WRITERS
from services.local import lifecycle
from services.local.folders import InstanceFolder
from services.local.fronts import OPTIONAL
from services.local.instance import Instance
from services.local.kafka import SECURITY
from services.local.supervisor_state import read_state
from services.registry.service import SERVICE as REGISTRY
from shared.deciding.service import Service
from shared.foundation.settings import Settings
from shared.foundation.topics import topic_of
from shared.messaging.kafka import connection
from shared.messaging.relay import to_cloudevent
from tests.chaos.publishing import artifact_file, document, pipeline, until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

MODELS, EACH = 4, 12
VICTIMS = ("registry", "approval", "artifact", "cleanup", "audit", "postgres", "kafka", "s3")
OUT_OF_ORDER = """
SELECT service, stream, revision FROM (
    SELECT service, stream, revision,
        row_number() OVER (PARTITION BY service, stream ORDER BY tx, seq) AS position
    FROM log.events
) AS placed WHERE revision <> position
"""
TWICE = "SELECT service, event_id FROM log.events GROUP BY service, event_id HAVING count(*) > 1"


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    folder = InstanceFolder.named(f"test-{os.getpid()}-chaos")
    try:
        yield lifecycle.start(folder, 120.0, lifecycle.Progress(output=lambda _: None))
    finally:
        lifecycle.stop(folder)
        shutil.rmtree(folder.directory, ignore_errors=True)


async def publish_all(publisher: AsyncClient, folder: Path, model: str) -> int:
    """Publishes one generation after another; counts those that Kafka acknowledged.

    What was not acknowledged is sent again.
    """
    for number in range(EACH):
        file = artifact_file(folder, model, number)
        artifact: dict[str, Any] = {}

        async def upload(file: Path = file, artifact: dict[str, Any] = artifact) -> bool:
            artifact.update(await publisher.upload(file))
            return True

        async def send(number: int = number, artifact: dict[str, Any] = artifact) -> bool:
            await publisher.publish_document(document(model, number, artifact), via="kafka")
            return True

        await until(upload, f"{file.name} was never uploaded")
        await until(send, f"{file.name} was never published")
    return EACH


async def kill_in_turn(instance: Instance) -> None:
    for victim in VICTIMS:
        state = read_state(instance.folder)
        assert state
        before = state.processes[victim].identity
        os.kill(before.pid, signal.SIGKILL)

        async def came_back(victim: str = victim, before: Any = before) -> bool:
            now = read_state(instance.folder)
            return bool(
                now and now.processes[victim].identity != before and now.processes[victim].identity.alive()
            )

        await until(came_back, f"{victim} did not come back")
        await asyncio.sleep(1.0)


async def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(
    instance: Instance, tmp_path: Path
) -> None:
    admin_profile = Profile(
        url=instance.urls["registry"], api_key=instance.identities.admin_key_file.read_text().strip()
    )
    async with AsyncClient(admin_profile) as admin, await pipeline(instance, admin, tmp_path) as publisher:
        models = [f"chaos.model-{n}" for n in range(MODELS)]
        *published, _ = await asyncio.gather(
            *(publish_all(publisher, tmp_path, model) for model in models), kill_in_turn(instance)
        )
        assert published == [EACH] * MODELS
        database = await asyncpg.connect(instance.stack.database_url("audit"))
        try:
            for model in models:
                await until(lambda model=model: all_settled(admin, model), f"{model} never settled")
            await until(lambda: drained(instance), "the backlog did not drain")
            assert await database.fetch(OUT_OF_ORDER) == []
            assert await database.fetch(TWICE) == []
            for service in (REGISTRY, APPROVAL, ARTIFACT, CLEANUP):
                recorded = [
                    r["bytes"]
                    for r in await database.fetch(
                        "SELECT bytes FROM log.events WHERE service = $1 ORDER BY tx, seq", service.name
                    )
                ]
                assert await received(instance, service) == list(public_ids(service, recorded))
        finally:
            await database.close()


def public_ids(service: Service, stored: list[bytes]) -> Iterator[tuple[str, str]]:
    """Return (stream, event id) of public events in the log's order, sorted by stream as in a partition."""
    events = (to_cloudevent(service, service.events.recorded(service.name, raw)) for raw in stored)
    yield from sorted(((e.subject, e.id) for e in events if e is not None), key=itemgetter(0))


async def received(instance: Instance, service: Service) -> list[tuple[str, str]]:
    """Return the same from Kafka: the first copy of each event, because a killed relay may send one again."""
    kafka = instance.stack.kafka
    settings = Settings(
        kafka_bootstrap=kafka.bootstrap,
        kafka_user="registry",
        kafka_password=kafka.password("registry"),
        kafka_security=SECURITY,
    )
    consumer = AIOKafkaConsumer(
        topic_of(service.name), **connection(settings), auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: dict[tuple[str, str], None] = {}
        async with asyncio.timeout(60):
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    events = [from_kafka(record.value, record.headers) for record in records]
                    found |= dict.fromkeys((event.subject, event.id) for event in events)
        return sorted(found, key=itemgetter(0))
    finally:
        await consumer.stop()


async def all_settled(admin: AsyncClient, model: str) -> bool:
    """Every version is there once, with a number of its own, verified and past its gates."""
    versions = await admin.versions(model)
    if len(versions) < EACH or any(v["stage"] == "Staging" for v in versions):
        return False
    assert sorted(v["number"] for v in versions) == list(range(1, EACH + 1))
    assert len({v["semver"] for v in versions}) == EACH
    assert {v["stage"] for v in versions} == {"Validated"}
    return True


async def drained(instance: Instance) -> bool:
    """Every service is ready and every relay published everything."""
    async with httpx.AsyncClient() as http:
        for service in (name for name in SERVICES if name not in OPTIONAL):
            url = instance.urls[service]
            if (await http.get(f"{url}/readyz")).status_code != 200:
                return False
            metrics = (await http.get(f"{url}/metrics")).text
            lags = [
                float(line.rpartition(" ")[2])
                for line in metrics.splitlines()
                if line.startswith("regista_relay_lag{")
            ]
            if any(lags) or (service in WRITERS.values() and not lags):  # a missing gauge reports nothing
                return False
    return True
