"""A dead letter stands once, and operators close it with a replay or a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.wire.keys import SigningKey
from tests.integration.edges.conftest import People, Send, Toy, dead_letters, event
from tests.integration.edges.toy import TOPIC

pytestmark = pytest.mark.servers
GROUP = f"registry.regista.toy.{TOPIC}"


async def set_back(kafka: Any) -> None:
    """Set the consumer group back to the beginning, as after a restore."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="registry",
        sasl_plain_password=kafka.password("registry"),
        group_id=GROUP,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(TOPIC, 0)])
        await consumer.commit({TopicPartition(TOPIC, 0): 0})
    finally:
        await consumer.stop()


async def test_a_consumer_group_that_is_set_back_writes_no_second_dead_letter(
    start_toy: Callable[..., Toy], send: Send, people: People, operator: str, empty_kafka: Any
) -> None:
    toy = start_toy()
    await send(event(by="no number"), await people.signer("pipeline", "publisher", ("publisher", "toys")))
    (first,) = await dead_letters(toy, operator, 1)
    assert (first["code"], first["signer"], first["times"]) == ("malformed", "/publishers/pipeline", 1)
    assert await asyncio.to_thread(toy.end) == 0
    await set_back(empty_kafka.kafka)
    toy = start_toy()

    async def read_again(client: Any) -> bool:
        metrics = (await client.get("/metrics")).text
        return f'regista_messages_total{{group="{GROUP}",result="dead_letter_again"' in metrics

    await toy.poll(read_again)
    assert await dead_letters(toy, operator, 1) == [first]


async def test_a_dead_letter_is_dismissed_with_a_reason_and_opens_again_when_it_is_refused_again(
    start_toy: Callable[..., Toy], send: Send, publisher: SigningKey, operator: str
) -> None:
    toy = start_toy()
    message = event(by="no number")
    await send(message, publisher)
    await send(event(by="no number"), publisher)
    await dead_letters(toy, operator, 2)
    async with toy.client(operator) as client:
        [group] = (await client.get("/v1/dlq/groups")).json()["items"]
        assert (group["count"], group["code"], group["signer"]) == (2, "malformed", "/publishers/pipeline")
        chosen = (await client.get("/v1/dlq")).json()["items"][-1]
        assert (await client.post(f"/v1/dlq/{chosen['id']}:dismiss", json={})).status_code == 422
        answer = await client.post(f"/v1/dlq/{chosen['id']}:dismiss", json={"reason": "sent by a test"})
        assert answer.json() == {"id": chosen["id"]}
        [left] = (await client.get("/v1/dlq")).json()["items"]
        assert left["id"] != chosen["id"]
        closed = (await client.get("/v1/dlq", params={"dismissed": True})).json()["items"]
        [dismissed] = [one for one in closed if one["dismissed"]]
        assert (dismissed["id"], dismissed["closed_by"], dismissed["closed_reason"]) == (
            chosen["id"],
            "otto",
            "sent by a test",
        )
        assert (await client.post(f"/v1/dlq/{chosen['id']}:replay")).status_code == 202

        async def open_again(client: Any) -> Any:
            items = (await client.get("/v1/dlq")).json()["items"]
            return next((one for one in items if one["id"] == chosen["id"] and one["times"] == 2), None)

        assert not (await toy.poll(open_again, key=operator))["dismissed"]
        missing = await client.post("/v1/dlq/regista.training.v1.dlq~0~99:dismiss", json={"reason": "x"})
        assert missing.status_code == 404


async def test_a_reader_may_not_dismiss(
    start_toy: Callable[..., Toy], send: Send, publisher: SigningKey, people: People, operator: str
) -> None:
    toy = start_toy()
    await send(event(by="no number"), publisher)
    (dead_letter,) = await dead_letters(toy, operator, 1)
    auditor = await people.person("anna", ("auditor", "*"))
    async with toy.client(auditor) as client:
        answer = await client.post(f"/v1/dlq/{dead_letter['id']}:dismiss", json={"reason": "x"})
    assert answer.status_code == 403
