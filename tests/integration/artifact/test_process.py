"""The service as a process beside real servers: killed, stopped, without its store."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.artifact.conftest import artifact, digest_of, upload

pytestmark = pytest.mark.servers
MIB = 1024 * 1024


async def test_a_process_killed_during_its_work_does_all_of_it_once(
    start, people, publish_as_registry, database
):
    publisher = await people.person("pat", ("publisher", "*"))
    service = start()
    await service.ready()
    contents = [{"model.onnx": uuid.uuid4().bytes * 20_000, "x": b"x"} for _ in range(12)]
    async with service.client(publisher) as client:
        for number, files in enumerate(contents, 1):
            await publish_as_registry(
                "VersionRegistered", number=number, artifact=artifact(files, await upload(client, files))
            )
    service.kill()
    again, beside = start(), start()
    for files in contents:
        shown = await again.is_in("Verified", digest_of(files), publisher)
        assert [v["status"] for v in shown["versions"]] == ["available"]
    connection = await asyncpg.connect(database.url("artifact"))
    try:
        counts = await connection.fetch(
            "SELECT type, count(*) FROM log.events_artifact WHERE stream LIKE 'artifact-%' GROUP BY type"
        )
    finally:
        await connection.close()
    assert {r["type"]: r["count"] for r in counts} == {
        "Noted": 12,
        "ArtifactReceived": 12,
        "ArtifactVerified": 12,
        "ArtifactReleased": 12,
    }
    for one in (again, beside):
        assert one.end() == 0


async def test_without_its_store_the_process_lives_and_reports_that_it_is_not_ready(start):
    service = start(REGISTA_S3_ENDPOINT="127.0.0.1:9")

    async def answers(client: httpx.AsyncClient) -> Any:
        answer = await client.get("/readyz")
        return answer if answer.status_code == 503 and "object store" in answer.text else None

    answer = await service.poll(answers)
    assert "cannot be used" in answer.text
    async with service.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_the_process_stops_in_time_during_a_slow_upload(start, people):
    publisher = await people.person("pat", ("publisher", "*"))
    service = start()
    await service.ready()
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        begun.set()
        await let_go.wait()
        yield b"y"

    async with service.client(publisher) as client:
        sending = asyncio.create_task(client.post("/v1/uploads", params={"name": "slow"}, content=slowly()))
        await begun.wait()
        assert await asyncio.to_thread(service.end) == 0
        let_go.set()
        with pytest.raises(httpx.TransportError):
            await sending
