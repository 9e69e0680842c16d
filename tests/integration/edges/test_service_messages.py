"""Events of other services, from a real broker: they are retried and never become dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from regista.wire.cloudevents import CloudEvent
from regista.wire.keys import SigningKey
from tests.integration.edges.conftest import People, Send, Toy, counted, dead_letters, event

pytestmark = pytest.mark.servers


async def test_a_service_may_publish_only_with_its_own_key(
    start_toy: Callable[..., Toy],
    send: Send,
    people: People,
    publisher: SigningKey,
    operator: str,
    database: Any,
) -> None:
    toy = start_toy()
    artifact = await people.signer("service:artifact", "service")
    topic = SERVICE_TOPIC
    await send(seen(by=1, on="s"), publisher, topic=topic, user="artifact")
    await send(
        event("artifact-1", type_="regista.artifact.Unread.v1", source="/regista/artifact", x=1),
        artifact,
        topic=topic,
        user="artifact",
    )
    await send(seen(by=-1, on="s"), artifact, topic=topic, user="artifact")
    await send(seen(by=1, on="s"), artifact, topic=topic, user="artifact")
    await counted(toy, database, 1, "counter-s")
    (dead_letter,) = await dead_letters(toy, operator, 1)
    assert "may not publish" in dead_letter["reason"]


SERVICE_TOPIC = "regista.artifact.events.v1"


def seen(**data: Any) -> CloudEvent:
    return event("artifact-1", type_="regista.artifact.Seen.v1", source="/regista/artifact", **data)


async def wait_for_reason(toy: Toy, part: str, words: str) -> None:
    """Waits until this part keeps the process from being ready for this reason: at first it may connect."""

    async def answers(client: Any) -> Any:
        return words in (await client.get("/readyz")).json()["reasons"].get(part, "")

    await toy.poll(answers)


async def test_a_service_event_that_fails_pauses_its_partition_and_no_other(
    start_toy: Callable[..., Toy], send: Send, people: People, operator: str, database: Any
) -> None:
    artifact = await people.signer("service:artifact", "service")
    sent = {"topic": SERVICE_TOPIC, "user": "artifact"}
    await send(seen(by=1, on="s"), artifact, **sent, partition=0)
    await send(seen(by=666, on="s"), artifact, **sent, partition=0)
    toy = start_toy()
    await wait_for_reason(toy, f"kafka {SERVICE_TOPIC}/0", "paused at offset 1")
    for _ in range(3):
        await send(seen(by=1, on="s"), artifact, **sent, partition=1)
    await counted(toy, database, 4, "counter-s")
    await wait_for_reason(toy, f"kafka {SERVICE_TOPIC}/0", "paused at offset 1")
    async with toy.client(operator) as client:
        assert (await client.get("/v1/dlq")).json()["items"] == []


async def test_a_paused_partition_resumes_once_its_event_can_be_processed(
    start_toy: Callable[..., Toy], send: Send, people: People, database: Any
) -> None:
    artifact = await people.signer("service:artifact", "service")
    sent = {"topic": SERVICE_TOPIC, "user": "artifact"}
    await send(seen(by=1, on="s", malformed=True), artifact, **sent)
    await send(seen(by=1, on="s"), artifact, **sent)
    toy = start_toy()
    await wait_for_reason(toy, f"kafka {SERVICE_TOPIC}/0", "Malformed")
    mended = start_toy(TOY_UNDERSTANDS="1")
    assert await asyncio.to_thread(toy.end) == 0
    await counted(mended, database, 2, "counter-s")
    await mended.ready()


async def test_a_service_key_is_valid_although_an_older_transaction_is_open(
    start_toy: Callable[..., Toy], send: Send, people: People, operator: str, database: Any
) -> None:
    toy = start_toy()
    await toy.ready()
    elsewhere = await asyncpg.connect(database.url("cleanup"))
    try:
        writing = elsewhere.transaction()
        await writing.start()
        await elsewhere.execute("SELECT pg_current_xact_id()")
        artifact = await people.signer("service:artifact", "service")
        await send(seen(by=1, on="s"), artifact, topic=SERVICE_TOPIC, user="artifact")
        await counted(toy, database, 1, "counter-s")
        await writing.rollback()
    finally:
        await elsewhere.close()
    async with toy.client(operator) as client:
        assert (await client.get("/v1/dlq")).json()["items"] == []
