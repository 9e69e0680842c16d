"""The log as outbox: everything is published, at least once, in stream order, signed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from regista.wire.cloudevents import CloudEvent, from_kafka
from regista.wire.dsse import key_id_of, verify
from regista.wire.keys import SigningKey, generate_signing_key
from shared.foundation.postgres import leadership
from shared.foundation.settings import Settings
from shared.foundation.topics import topic_of
from shared.messaging import kafka
from shared.messaging.kafka import connection, start_producer
from shared.messaging.partition_batches import partition_of, partitions_of
from shared.messaging.relay import Relay, lag

KEY: SigningKey = generate_signing_key("service:cleanup")
TOPIC = topic_of("cleanup")


@pytest.fixture
def settings(empty_kafka: Any, database: Any) -> Settings:
    return Settings.from_environment(empty_kafka.service_environment("cleanup", database.name))


@contextlib.asynccontextmanager
async def relaying(bank: Any, settings: Settings) -> AsyncIterator[None]:
    relay = Relay(bank.service, bank.url, bank.wake_up, lambda: start_producer(settings), KEY)
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def published(settings: Settings, count: int) -> list[CloudEvent]:
    """The first `count` messages of the topic."""
    return [from_kafka(r.value, r.headers) for r in await records(settings, count)]


async def records(settings: Settings, count: int) -> list[ConsumerRecord[Any, Any]]:
    """As they are on the topic."""
    consumer = AIOKafkaConsumer(TOPIC, **connection(settings), auto_offset_reset="earliest")
    await consumer.start()
    try:
        found: list[ConsumerRecord[Any, Any]] = []
        async with asyncio.timeout(60):
            while len(found) < count:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(batch)
        return found
    finally:
        await consumer.stop()


def _revisions(messages: list[CloudEvent]) -> dict[str, list[int]]:
    of_stream: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        of_stream[message.subject].append(int(message.extensions["revision"]))
    return of_stream


async def test_every_public_event_arrives_signed_in_stream_order_and_private_ones_do_not(
    bank: Any, settings: Settings
) -> None:
    notes = ["secret" if n % 10 == 0 else "" for n in range(100)]
    answers = await bank.transactor.submit_all(
        [bank.deposit(f"{n % 3}", n + 1, note=note) for n, note in enumerate(notes)]
    )
    async with relaying(bank, settings):
        messages = await published(settings, 90)
    public = [a.events[0] for a, note in zip(answers, notes, strict=True) if note != "secret"]
    assert sorted(m.id for m in messages) == sorted(str(event.event_id) for event in public)
    assert all(revisions == sorted(set(revisions)) for revisions in _revisions(messages).values())
    for message in messages:
        verify(message, KEY.public)
        assert key_id_of(message) == KEY.key_id
    assert {m.source for m in messages} == {"/regista/cleanup"}


async def test_a_message_names_its_log_entry(bank: Any, settings: Settings) -> None:
    outcome = await bank.transactor.submit(bank.deposit("a", 5, cause="c1"))
    async with relaying(bank, settings):
        [record] = await records(settings, 1)
    message, stored = from_kafka(record.value, record.headers), outcome.events[0]
    assert (message.id, message.extensions["leaf"], message.extensions["correlationid"]) == (
        str(stored.event_id),
        stored.leaf,
        "c1",
    )
    assert (record.key, message.subject, message.extensions["partitionkey"]) == (
        b"account-a",
        "account-a",
        "account-a",
    )
    assert (
        datetime.fromisoformat(message.extensions["recordedtime"])
        == stored.recorded_at
        == datetime.fromisoformat(message.time)
    )
    assert message.extensions["revision"] == "1"


async def test_an_event_whose_cause_no_message_can_carry_is_published_with_the_character_replaced(
    bank: Any, settings: Settings
) -> None:
    await bank.transactor.submit_all([bank.deposit("a", cause="before\x85after"), bank.deposit("a")])
    async with relaying(bank, settings):
        messages = await published(settings, 2)
    assert messages[0].extensions["correlationid"] == "before\ufffdafter"


async def test_an_event_that_cannot_be_published_stops_the_relay_and_is_reported(
    bank: Any, settings: Settings
) -> None:
    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    await bank.transactor.submit(bank.deposit("a"))
    reported: asyncio.Queue[str] = asyncio.Queue()
    relay = Relay(
        replace(bank.service, publish=broken),
        bank.url,
        bank.wake_up,
        lambda: start_producer(settings),
        KEY,
        reported.put_nowait,
    )
    task = asyncio.create_task(relay.run())
    async with asyncio.timeout(30):
        while "ZeroDivisionError" not in await reported.get():
            assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_after_an_outage_a_server_restored_behind_the_log_is_refused(
    bank: Any, settings: Settings, database: Any
) -> None:
    await bank.transactor.submit(bank.deposit("a"))
    reported: asyncio.Queue[str] = asyncio.Queue()
    relay = Relay(
        bank.service, bank.url, bank.wake_up, lambda: start_producer(settings), KEY, reported.put_nowait
    )
    task = asyncio.create_task(relay.run())
    try:
        assert len(await published(settings, 1)) == 1
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute(
            "INSERT INTO log.events_registry (service, tx, stream, revision, event_id, type, schema, bytes)"
            " VALUES ('registry', '999999999999', 'thing-1', 1, gen_random_uuid(), 'T', 1, 'x')"
        )
        await owner.close()
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ="
            " 'leader relay/cleanup' AND datname = current_database()"
        )
        assert await bank.pool.fetchval(ended)
        async with asyncio.timeout(30):
            while "regista restore accept" not in await reported.get():
                assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class SilentOnce:
    """A producer whose first page is never answered."""

    def __init__(self, producer: AIOKafkaProducer, silent: bool) -> None:
        self._producer, self._silent = producer, silent
        self.stop = producer.stop
        self.create_batch, self.partitions_for = producer.create_batch, producer.partitions_for

    async def send_batch(self, *args: Any, **kwargs: Any) -> Any:
        return (
            asyncio.get_running_loop().create_future()
            if self._silent
            else await self._producer.send_batch(*args, **kwargs)
        )


async def test_a_producer_that_is_never_answered_is_replaced(
    bank: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_WITHIN", 0.5)
    await bank.transactor.submit(bank.deposit("a"))
    silent = iter([True, False])
    reported: list[str] = []

    async def connect() -> Any:
        return SilentOnce(await start_producer(settings), next(silent))

    relay = Relay(bank.service, bank.url, bank.wake_up, connect, KEY, reported.append)
    task = asyncio.create_task(relay.run())
    assert len(await published(settings, 1)) == 1
    assert "relay: Kafka is unavailable (KafkaTimeoutError)" in reported
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_of_two_relays_one_publishes_and_the_other_takes_over(
    open_bank: Callable[..., Any], settings: Settings
) -> None:
    first, second = await open_bank(), await open_bank()
    async with contextlib.AsyncExitStack() as stack:
        leader = await stack.enter_async_context(_stoppable(first, settings))
        await stack.enter_async_context(relaying(second, settings))
        await first.transactor.submit_all([first.deposit("a") for _ in range(20)])
        assert len(await published(settings, 20)) == 20
        await leader()
        await first.transactor.submit_all([first.deposit("a") for _ in range(20)])
        assert _revisions(await published(settings, 40))["account-a"] == list(range(1, 41))


@contextlib.asynccontextmanager
async def _stoppable(bank: Any, settings: Settings) -> AsyncIterator[Callable[[], Any]]:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(relaying(bank, settings))
        yield stack.aclose


async def test_dying_between_kafka_and_the_checkpoint_repeats_and_loses_nothing(
    bank: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(50)])
    died = asyncio.Event()

    async def connect() -> AIOKafkaProducer:
        producer = await start_producer(settings)
        send = producer.send_batch

        async def send_then_die(*args: Any, **kwargs: Any) -> Any:
            sent = await send(*args, **kwargs)
            await sent
            if not died.is_set():
                died.set()
                raise ConnectionError("the process died here")
            return sent

        monkeypatch.setattr(producer, "send_batch", send_then_die)
        return producer

    relay = Relay(bank.service, bank.url, bank.wake_up, connect, KEY)
    task = asyncio.create_task(relay.run())
    messages = await published(settings, 100)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    revisions = _revisions(messages)["account-a"]
    assert sorted(set(revisions)) == list(range(1, 51))
    assert revisions == [*range(1, 51), *range(1, 51)]


async def test_the_lag_counts_what_is_not_published_yet(bank: Any, settings: Settings) -> None:
    await bank.transactor.submit_all([bank.deposit("a") for _ in range(7)])
    async with bank.pool.acquire() as connection_:
        assert await lag(connection_, bank.service) == 7
    async with relaying(bank, settings):
        await published(settings, 7)
        async with asyncio.timeout(20), bank.pool.acquire() as connection_:
            while await lag(connection_, bank.service):  # noqa: ASYNC110 - the checkpoint is what is waited for
                await asyncio.sleep(0.02)


async def test_the_partition_of_a_key_is_the_one_that_the_producer_chooses(settings: Settings) -> None:
    producer = await start_producer(settings)
    try:
        partitions = tuple(await partitions_of(producer, TOPIC))
        assert partitions == (0, 1, 2, 3)
        keys = [b"account-%d" % n for n in range(60)]
        sent = [await producer.send(TOPIC, key=key, value=b"{}") for key in keys]
        chosen = [stored.partition for stored in await asyncio.gather(*sent)]
        assert chosen == [partition_of(key, partitions) for key in keys]
        assert set(chosen) == set(partitions)
    finally:
        await producer.stop()


async def test_a_relay_that_does_not_lead_withdraws_what_hindered_it_as_a_leader(
    bank: Any, settings: Settings
) -> None:
    states: list[str] = []
    changed = asyncio.Event()

    def on_state(reason: str) -> None:
        states.append(reason)
        changed.set()

    async def until(reason: str) -> None:
        async with asyncio.timeout(30):
            while not states or reason not in states[-1] or (not reason and states[-1]):
                changed.clear()
                await changed.wait()

    async def refused() -> AIOKafkaProducer:
        raise KafkaConnectionError

    relay = Relay(bank.service, bank.url, bank.wake_up, refused, KEY, on_state)
    task = asyncio.create_task(relay.run())
    await until("Kafka is unavailable")
    async with leadership(bank.url, "relay", bank.service.name, retry=0.01):
        await until("")
        assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
