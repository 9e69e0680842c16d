"""Identities follow the log whatever transactions are open."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from shared.deciding.access import KeyRevoked
from shared.foundation.postgres import WakeUp
from shared.identity.access_view import AccessView
from tests.integration.edges.conftest import People
from tests.processes import PEPPER


@pytest.fixture
async def open_transaction(database: Any) -> Any:
    """A transaction of another database user that has an id and stays open."""
    connection = await asyncpg.connect(database.owner_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.fetchval("SELECT pg_current_xact_id()")
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_a_revocation_is_effective_while_any_transaction_is_open(
    bank: Any, database: Any, open_transaction: Any
) -> None:
    people = People(database.url("registry"))
    key = await people.person("anna")
    view = AccessView(bank.pool, PEPPER, WakeUp(bank.url, "access"))
    await view.catch_up()
    assert view.by_api_key(key)
    settled = view.identities.at
    await people.append("anna", KeyRevoked("anna", key.split("_")[1], "lost"))
    await view.catch_up()
    assert view.by_api_key(key) is None
    assert view.identities.at == settled, "an event may still appear before the newest one"


async def test_events_read_behind_an_open_transaction_are_applied_once(
    bank: Any, database: Any, open_transaction: Any
) -> None:
    people = People(database.url("registry"))
    await people.person("anna", ("engineer", "toys"))
    view = AccessView(bank.pool, PEPPER, WakeUp(bank.url, "access"))
    for _ in range(3):
        await view.catch_up()
    await open_transaction.execute("COMMIT")
    await open_transaction.execute("BEGIN")
    await view.catch_up()
    again = AccessView(bank.pool, PEPPER, WakeUp(bank.url, "access"))
    await again.catch_up()
    assert view.identities._states == again.identities._states
    assert view.identities.at == again.identities.at != (0, 0)


async def test_an_event_that_commits_before_those_already_read_is_read(bank: Any, database: Any) -> None:
    people = People(database.url("registry"))
    first = await people.person("anna")
    late = await asyncpg.connect(database.url("registry"))
    view = AccessView(bank.pool, PEPPER, WakeUp(bank.url, "access"))
    copied = "INSERT INTO log.events_access (service, stream, revision, event_id, type, schema, bytes)"
    async with late.transaction():
        await late.execute(
            f"{copied} SELECT service, 'access-late', revision, gen_random_uuid(), type, schema,"
            " convert_to(replace(convert_from(bytes, 'UTF8'), 'anna', 'late'), 'UTF8')"
            " FROM log.events_access WHERE stream = 'access-anna' AND revision = 1"
        )
        second = await people.person("bert")
        await view.catch_up()
        assert view.by_api_key(first)
        assert view.by_api_key(second)
        assert "late" not in view.identities._states
    await view.catch_up()
    assert "late" in view.identities._states
    await late.close()


async def test_the_lag_grows_while_identities_are_not_read(bank: Any) -> None:
    view = AccessView(bank.pool, PEPPER, WakeUp(bank.url, "access"))
    assert view.lag() == float("inf")
    await view.catch_up()
    before = view.lag()
    await asyncio.sleep(0.01)
    assert before < view.lag() < 5
