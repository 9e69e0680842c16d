"""A command reads streams under lock: it decides on the state at its commit, not at its request."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from shared.deciding.access import IdentityCreated, RoleGranted, RoleRevoked
from shared.deciding.decider import Forbidden
from shared.deciding.events import Actor, Envelope, encode
from shared.deciding.issuers import GroupMapped, GroupUnmapped, IssuerTrusted, SignedIn, issuer_key
from shared.deciding.submission import Permission
from shared.log import eventlog
from tests.integration.edges.conftest import People
from tests.integration.kernel.conftest import Deposited


@contextlib.asynccontextmanager
async def about_to_append(
    url: str, partition: str, stream: str, revision: int, event: Any
) -> AsyncIterator[None]:
    """Another writer that holds the stream's lock during the block and appends this event at its end."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await eventlog.lock(connection, partition, [stream], [])
            yield
            id_, type_ = eventlog.uuid7(), type(event).__name__
            stored = encode(
                Envelope(
                    id_,
                    type_,
                    1,
                    stream,
                    revision,
                    datetime.now(UTC),
                    Actor("other"),
                    msgspec.Raw(encode(event)),
                )
            )
            await eventlog.append(
                connection, partition, [eventlog.Row(stream, revision, id_, type_, 1, stored)]
            )
    finally:
        await connection.close()


async def _waits_for_a_lock(bank: Any) -> None:
    async with asyncio.timeout(10):
        while not await bank.pool.fetchval(  # noqa: ASYNC110
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ):
            await asyncio.sleep(0.01)


async def test_a_role_revoked_while_the_command_waits_is_not_used_any_more(bank: Any, database: Any) -> None:
    people = People(database.url("registry"))
    await people.append(
        "user-1", IdentityCreated("user-1", "person"), RoleGranted("user-1", "engineer", "toys")
    )
    engineer = Permission("engineer", "toys")
    await bank.transactor.submit(bank.deposit("a", permission=engineer))
    async with about_to_append(
        database.url("registry"), "access", "access-user-1", 3, RoleRevoked("user-1", "engineer", "toys")
    ):
        command = asyncio.create_task(bank.transactor.submit(bank.deposit("a", permission=engineer)))
        await _waits_for_a_lock(bank)
    with pytest.raises(Forbidden):
        await command


async def test_a_group_unmapped_while_the_command_waits_gives_no_role_any_more(
    bank: Any, database: Any
) -> None:
    people, key = People(database.url("registry")), issuer_key("https://sso.acme.example")
    issuer = f"issuer:{key}"
    settings: Any = ("regista", "regista-cli", ("openid",), ("RS256",), "groups", "root")
    await people.append(
        issuer,
        IssuerTrusted(issuer, "https://sso.acme.example", *settings),
        GroupMapped(issuer, "board", "engineer", "toys", "root"),
    )
    seen = SignedIn("user-1", key, "account", ("board",), ("root",), datetime.now(UTC))
    await people.append("user-1", IdentityCreated("user-1", "person"), seen)
    engineer, actor = Permission("engineer", "toys"), Actor("user-1", method=f"oidc:{key}")

    def deposit(actor: Actor) -> Any:
        return dataclasses.replace(bank.deposit("a", permission=engineer), actor=actor)

    await bank.transactor.submit(deposit(actor))
    with pytest.raises(Forbidden, match="role_missing"):
        await bank.transactor.submit(deposit(Actor("user-1")))
    with pytest.raises(Forbidden, match="issuer_not_trusted"):
        await bank.transactor.submit(deposit(Actor("user-1", method="oidc:another")))
    unmapped = GroupUnmapped(issuer, "board", "engineer", "toys", "root")
    async with about_to_append(database.url("registry"), "access", f"access-{issuer}", 3, unmapped):
        command = asyncio.create_task(bank.transactor.submit(deposit(actor)))
        await _waits_for_a_lock(bank)
    with pytest.raises(Forbidden, match="role_missing"):
        await command


async def test_a_stream_that_a_command_depends_on_is_read_after_a_concurrent_write(bank: Any) -> None:
    await bank.transactor.submit_all([bank.deposit("a", 1), bank.copy("a", "b")])
    async with about_to_append(bank.url, "cleanup", "account-a", 2, Deposited(4, 5, "")):
        command = asyncio.create_task(bank.transactor.submit(bank.copy("a", "b")))
        await _waits_for_a_lock(bank)
    assert (await command).events[0].event.total == 6
