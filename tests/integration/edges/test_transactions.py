"""A publisher may send in transactions: what is aborted is not read, and nothing waits afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer

from regista.wire.cloudevents import to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from services.kafka.needs import transactional_ids_of
from services.local.lag import lag_of
from tests.integration.edges.conftest import Send, Toy, counted, event
from tests.integration.edges.toy import TOPIC

pytestmark = pytest.mark.servers
GROUP = f"registry.regista.toy.{TOPIC}"


class Transactions:
    """A producer of the user `pipeline` that sends signed events in transactions."""

    def __init__(self, kafka: Any, key: SigningKey, transactional_id: str) -> None:
        self._key = key
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "pipeline",
                "sasl.password": kafka.password("pipeline"),
                "transactional.id": transactional_id,
            }
        )
        self._producer.init_transactions(15)

    def begin(self, *partitions: int) -> None:
        """Begin a transaction with one event for each of the partitions."""
        self._producer.begin_transaction()
        for partition in partitions:
            name, value, headers = to_kafka(sign(event(), self._key))
            self._producer.produce(TOPIC, value, name, partition, headers=headers)
        self._producer.flush(15)

    def commit(self) -> None:
        self._producer.commit_transaction(15)

    def abort(self) -> None:
        self._producer.abort_transaction(15)


async def test_transactions_are_read_once_committed_and_leave_no_lag(
    start_toy: Callable[..., Toy], publisher: SigningKey, database: Any, empty_kafka: Any
) -> None:
    toy, kafka = start_toy(), empty_kafka.kafka
    admin = kafka.admin()
    of_pipeline = await asyncio.to_thread(
        Transactions, kafka, publisher, f"{transactional_ids_of('pipeline')}nightly"
    )
    for ended in (of_pipeline.commit, of_pipeline.abort, of_pipeline.commit, of_pipeline.abort):
        await asyncio.to_thread(of_pipeline.begin, 0, 1, 2, 3)
        await asyncio.to_thread(ended)
    await counted(toy, database, 8)

    async def nothing_waits(_: Any) -> bool:
        lag = await asyncio.to_thread(lag_of, admin, {GROUP: TOPIC})
        return lag == {GROUP: {TOPIC: 0}}

    await toy.poll(nothing_waits)
    await asyncio.to_thread(of_pipeline.begin, 0)
    assert await nothing_waits(None), "no one may read an open transaction, so nothing waits"
    await asyncio.to_thread(of_pipeline.commit)
    await counted(toy, database, 9)
    await toy.poll(nothing_waits)


async def test_a_message_that_was_not_handled_is_not_passed_over_with_a_marker(
    start_toy: Callable[..., Toy], publisher: SigningKey, database: Any, empty_kafka: Any, send: Send
) -> None:
    toy, kafka = start_toy(), empty_kafka.kafka
    of_pipeline = await asyncio.to_thread(
        Transactions, kafka, publisher, f"{transactional_ids_of('pipeline')}nightly"
    )
    await asyncio.to_thread(of_pipeline.begin, 0)
    await asyncio.to_thread(of_pipeline.abort)
    await toy.ready()
    toy.kill()
    for _ in range(3):
        await send(event(), publisher)
    await asyncio.to_thread(of_pipeline.begin, 0)
    await asyncio.to_thread(of_pipeline.abort)
    await counted(start_toy(), database, 3)


async def test_the_transactional_ids_of_another_publisher_are_refused(
    publisher: SigningKey, empty_kafka: Any
) -> None:
    for foreign in ("serving/nightly", "nightly", "pipeline"):
        with pytest.raises(KafkaException, match=r"TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
            await asyncio.to_thread(Transactions, empty_kafka.kafka, publisher, foreign)
