"""A release that begins to read a type of event learns the earlier ones, which its group had passed over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer

from services.registry.domain import noted
from tests.integration.registry.conftest import stored, trained

pytestmark = pytest.mark.servers

TOPIC = "regista.approval.events.v1"
GROUP = f"registry.{TOPIC}"
GATE = [{"kind": "manual", "params": {"approvers": 2}}]


async def passed_over(senders: Any, database: Any, type_: str) -> None:
    """Leave group and database as a release does that ignores this type of event."""
    async with _consumer(senders.kafka, TOPIC) as reader:
        ends = await reader.end_offsets(sorted(reader.assignment()))
    async with _consumer(senders.kafka, group_id=GROUP) as group:
        group.assign(list(ends))
        await group.commit(ends)
    connection = await asyncpg.connect(database.owner_url)
    try:
        query = "DELETE FROM registry.inbox WHERE source = $1 AND id = $2"
        assert await connection.execute(query, f"reads/{GROUP}", type_) == "DELETE 1"
    finally:
        await connection.close()


@asynccontextmanager
async def _consumer(kafka: Any, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="registry",
        sasl_plain_password=kafka.password("registry"),
        enable_auto_commit=False,
        **options,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def test_policies_that_were_published_before_are_noted_after_the_upgrade(
    start, empty_kafka, senders, database
):
    before = start()
    await before.ready()
    async with before.client("ci") as ci:
        version = (await ci.post("/models/team.churn/versions", json=trained())).json()
    await senders.send_passing_verdicts(version)
    await before.version("team.churn@1", stage="Validated")
    assert before.end() == 0
    policy = {"stages": {"Production": GATE}, "applies_to": {}}
    data = {"name": "eu", "revision": 1, "digest": "d", "policy": policy}
    await senders.publish("approval", "PolicyPublished", "policy-eu", **data)
    await passed_over(senders, database, noted.POLICY_PUBLISHED)
    events = len(await stored(database))
    after = start()
    await after.ready()

    async def learned() -> bool:
        return any(stream == "selection-policies" for _, stream, _ in await stored(database))

    await after.until(learned)
    assert after.end() == 0
    assert len(await stored(database)) == events + 1
