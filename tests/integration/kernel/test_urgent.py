"""Urgent events: a service sends those past Kafka that Kafka has not stored in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from regista.wire.cloudevents import from_kafka
from regista.wire.dsse import verify
from regista.wire.keys import SigningKey, generate_signing_key
from shared.messaging import urgent
from shared.messaging.relay import CHECKPOINT
from shared.messaging.urgent import PATIENCE, UrgentSender
from tests.integration.kernel.conftest import Bank, Deposited

KEY: SigningKey = generate_signing_key("service:cleanup")
ADD = "INSERT INTO messaging.urgent VALUES ($1, $2, 1, '', '{}', '{}', '')"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    return Clock()  # type: ignore[return-value]


@pytest.fixture
def sender(bank: Bank, clock: Clock) -> UrgentSender:
    return UrgentSender(replace(bank.service, urgent=frozenset({Deposited})), bank.pool, KEY, clock)


async def sent(bank: Bank, sender: UrgentSender) -> list[asyncpg.Record]:
    async with bank.pool.acquire() as connection:
        await sender.send(connection)
        return await connection.fetch("SELECT * FROM messaging.urgent ORDER BY tx, seq")


async def after_patience(bank: Bank, sender: UrgentSender, clock: Clock) -> list[asyncpg.Record]:
    await sent(bank, sender)
    clock.now += PATIENCE
    return await sent(bank, sender)


async def test_an_event_that_kafka_does_not_store_in_time_is_sent_as_the_same_signed_message(
    bank: Bank, sender: UrgentSender, clock: Clock
) -> None:
    outcome = await bank.transactor.submit(bank.deposit("a", 5))
    assert await sent(bank, sender) == []
    (row,) = await after_patience(bank, sender, clock)
    event = from_kafka(row["value"], list(zip(row["headers"], row["texts"], strict=True)))
    verify(event, KEY.public)
    assert (event.id, event.subject) == (str(outcome.events[0].event_id), "account-a")
    assert len(await sent(bank, sender)) == 1


async def test_what_kafka_has_stored_is_removed_and_never_sent(
    bank: Bank, sender: UrgentSender, clock: Clock
) -> None:
    await bank.transactor.submit(bank.deposit("a"))
    assert len(await after_patience(bank, sender, clock)) == 1
    await bank.transactor.submit(bank.deposit("a"))
    last = (await bank.events())[-1]
    await bank.pool.execute(CHECKPOINT.format(schema="cleanup"), last["tx"], last["seq"])
    assert await after_patience(bank, sender, clock) == []


async def test_an_open_transaction_delays_nothing(
    bank: Bank, sender: UrgentSender, clock: Clock, database: Any
) -> None:
    elsewhere = await asyncpg.connect(database.url("registry"))
    try:
        async with elsewhere.transaction():
            await elsewhere.execute("SELECT pg_current_xact_id()")
            await bank.transactor.submit(bank.deposit("a"))
            assert len(await after_patience(bank, sender, clock)) == 1
        await bank.transactor.submit(bank.deposit("a"))
        assert len(await after_patience(bank, sender, clock)) == 2
    finally:
        await elsewhere.close()


async def test_an_event_that_is_not_urgent_or_not_public_is_not_sent(
    bank: Bank, sender: UrgentSender, clock: Clock
) -> None:
    await bank.transactor.submit(bank.deposit("a", note="secret"))
    assert await after_patience(bank, sender, clock) == []
    idle = UrgentSender(bank.service, bank.pool, KEY, clock)
    await bank.transactor.submit(bank.deposit("a"))
    assert await after_patience(bank, idle, clock) == []


async def test_events_on_several_pages_are_sent_in_order(
    bank: Bank, sender: UrgentSender, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urgent, "PAGE", 2)
    for number in range(5):
        await bank.transactor.submit(bank.deposit("a", number + 1))
    rows = await after_patience(bank, sender, clock)
    assert [row["value"].split(b",")[0] for row in rows] == [b'{"amount":%d' % (n + 1) for n in range(5)]


async def test_beyond_the_limit_messages_wait_for_kafka(
    bank: Bank, sender: UrgentSender, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urgent, "MOST", 2)
    for _ in range(4):
        await bank.transactor.submit(bank.deposit("a"))
    assert len(await after_patience(bank, sender, clock)) == 2


async def test_a_service_adds_and_removes_its_own_messages_only(bank: Bank, database: Any) -> None:
    await bank.pool.execute(ADD, "cleanup", 1)
    foreign = await asyncpg.connect(database.url("registry"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await foreign.execute(ADD, "cleanup", 2)
        assert await foreign.execute("DELETE FROM messaging.urgent") == "DELETE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await foreign.execute("UPDATE messaging.urgent SET value = 'x'")
        assert await foreign.fetchval("SELECT count(*) FROM messaging.urgent") == 1
    finally:
        await foreign.close()
