"""Urgent messages of another service are handled while Kafka is unavailable, and once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from regista.wire.cloudevents import CloudEvent, to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from tests.integration.edges.conftest import People, Send, Toy, counted, event

pytestmark = pytest.mark.servers

ADD = "INSERT INTO messaging.urgent VALUES ('artifact', 1, $1, $2, $3, $4, $5)"
WITHOUT_KAFKA = {"REGISTA_KAFKA_BOOTSTRAP": "127.0.0.1:9"}


def seen(name: str = "SeenUrgently", **data: Any) -> CloudEvent:
    return event("artifact-1", type_=f"regista.artifact.{name}.v1", source="/regista/artifact", **data)


async def put(database: Any, number: int, message: CloudEvent) -> None:
    key, value, headers = to_kafka(message)
    connection = await asyncpg.connect(database.url("artifact"))
    try:
        names, texts = [name for name, _ in headers], [text for _, text in headers]
        await connection.execute(ADD, number, key, names, texts, value)
    finally:
        await connection.close()


@pytest.fixture
async def artifact(people: People) -> SigningKey:
    return await people.signer("service:artifact", "service")


async def test_an_urgent_message_is_handled_without_kafka(
    start_toy: Callable[..., Toy], artifact: SigningKey, database: Any
) -> None:
    toy = start_toy(**WITHOUT_KAFKA)
    await put(database, 1, sign(seen(by=1, on="s"), artifact))
    await counted(toy, database, 1, "counter-s")


async def test_the_same_message_from_kafka_has_no_second_effect(
    start_toy: Callable[..., Toy], artifact: SigningKey, database: Any, send: Send
) -> None:
    message = seen(by=1, on="s")
    toy = start_toy()
    await put(database, 1, sign(message, artifact))
    await counted(toy, database, 1, "counter-s")
    await send(message, artifact, topic="regista.artifact.events.v1", user="artifact")
    await send(seen(by=1, on="later"), artifact, topic="regista.artifact.events.v1", user="artifact")
    await counted(toy, database, 1, "counter-later")
    await counted(toy, database, 1, "counter-s")


async def test_forged_foreign_and_ordinary_messages_in_the_table_are_not_handled(
    start_toy: Callable[..., Toy], artifact: SigningKey, publisher: SigningKey, database: Any
) -> None:
    toy = start_toy(**WITHOUT_KAFKA)
    await put(database, 1, seen(by=1, on="unsigned"))
    await put(database, 2, sign(seen(by=1, on="foreign"), publisher))
    await put(database, 3, sign(seen("Seen", by=1, on="ordinary"), artifact))
    await put(database, 4, sign(seen(by=1, on="last"), artifact))
    await counted(toy, database, 1, "counter-last")
    for stream in ("unsigned", "foreign", "ordinary"):
        await counted(toy, database, 0, f"counter-{stream}")


async def test_a_message_that_fails_delays_no_later_one(
    start_toy: Callable[..., Toy], artifact: SigningKey, database: Any
) -> None:
    toy = start_toy(**WITHOUT_KAFKA)
    await put(database, 1, sign(seen(by=1, on="s", malformed=True), artifact))
    await put(database, 2, sign(seen(by=2, on="s"), artifact))
    await counted(toy, database, 1, "counter-s")
