"""Without Kafka the emergency exits work: a break-glass override serves, a withdrawn version stops loading.

When Kafka is back, nothing happens twice.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from regista.client.async_client import AsyncClient
from tests.chaos.fleet import Fleet
from tests.chaos.publishing import artifact_file, document, person, pipeline, until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(400)]

Fault = Callable[[Fleet], AbstractContextManager[None]]
ONCE = {
    "PromotionRequested": 1,
    "OverrideUsed": 1,
    "PromotionGranted": 1,
    "VersionPromoted": 1,
    "RolloutChanged": 1,
    "PromotionRefused": 0,
}
EVENTS = "SELECT type, convert_from(bytes, 'UTF8')::json -> 'data' AS data FROM log.events"
NOTES = """
SELECT count(*) FROM log.events WHERE service = $1 AND type = 'Noted'
    AND convert_from(bytes, 'UTF8')::json #>> '{data,source,type}' = $2
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet.running(f"test-{os.getpid()}-without-kafka") as running:
        yield running


@contextmanager
def killed(fleet: Fleet) -> Iterator[None]:
    fleet.stop("kafka")
    try:
        yield
    finally:
        fleet.start("kafka")


def hung(fleet: Fleet) -> AbstractContextManager[None]:
    return fleet.paused("kafka")


@pytest.fixture
async def database(fleet: Fleet) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(fleet.instance.stack.owner_url())
    try:
        yield connection
    finally:
        await connection.close()


async def validated(fleet: Fleet, admin: AsyncClient, folder: Path, model: str) -> str:
    """Publish a version, and return its reference when its gates have passed."""
    async with await pipeline(fleet.instance, admin, folder) as publisher:
        artifact = await publisher.upload(artifact_file(folder, model, 1))
        await publisher.publish_document(document(model, 1, artifact), via="http")

    async def is_validated() -> bool:
        return (await admin.version(f"{model}@1"))["stage"] == "Validated"

    await until(is_validated, f"{model} was not validated")
    return f"{model}@1"


@pytest.mark.parametrize("fault", [killed, hung])
async def test_a_break_glass_override_serves_within_seconds(
    fleet: Fleet, database: asyncpg.Connection, tmp_path: Path, fault: Fault
) -> None:
    model = f"chaos.override-{fault.__name__}"
    async with fleet.admin() as admin, await person(fleet.instance, admin, "override") as on_call:
        reference = await validated(fleet, admin, tmp_path, model)
        with fault(fleet):
            requested = await admin.promote(reference, reason="the champion is down", serve=True)
            await on_call.override(requested["promotion_id"], "the champion is down")

            async def serves() -> bool:
                return (await admin.rollout(model))["entries"][0]["number"] == 1

            await until(serves, "the version does not serve", seconds=10)
        await drained(fleet, database)
        found = Counter(
            {
                type_: sum(r["type"] == type_ and model in r["data"] for r in await database.fetch(EVENTS))
                for type_ in ONCE
            }
        )
        assert found == ONCE


async def drained(fleet: Fleet, database: asyncpg.Connection) -> None:
    """Wait until Kafka has stored everything, and every reader has handled it."""
    fleet.await_ready()

    async def all_handled() -> bool:
        left = await database.fetchval("SELECT count(*) FROM messaging.urgent")
        return not left and not await fleet.backlog()

    await until(all_handled, "the backlog did not drain")


async def loads(fleet: Fleet, client: AsyncClient, digest: str) -> bool:
    """Return whether the artifact service gives the bytes, whatever registry reports of the version."""
    url = f"{fleet.instance.urls['artifact']}/v1/artifacts/{digest}"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {client.profile.api_key}"}) as http:
        found = (await http.get(url)).json()
        (file,) = found["files"]
        return (await http.get(f"{url}/files/{file['path']}")).status_code == 200


async def test_a_withdrawn_version_stops_loading_within_seconds(
    fleet: Fleet, database: asyncpg.Connection, tmp_path: Path
) -> None:
    async with fleet.admin() as admin:
        reference = await validated(fleet, admin, tmp_path, "chaos.withdrawn")
        digest = (await admin.version(reference))["artifact_digest"]
        async with await person(fleet.instance, admin, "engineer") as engineer:
            assert await loads(fleet, engineer, digest)
            with killed(fleet):
                await admin.withdraw(reference, "poisoned")

                async def refused() -> bool:
                    return not await loads(fleet, engineer, digest)

                await until(refused, "the version still loads", seconds=10)
        await drained(fleet, database)
        assert await database.fetchval(NOTES, "artifact", "regista.registry.VersionRecalled.v1") == 1
