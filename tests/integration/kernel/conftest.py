"""A small service that tests the kernel: accounts that only grow, in the partition of `cleanup`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.deciding.changes import Put
from shared.deciding.decider import NO_TIME, Decider, Joint, RuleBroken, Streams
from shared.deciding.events import Actor, EventTypes, Recorded
from shared.deciding.service import PublicEvent, Service
from shared.deciding.submission import Cause, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.log import projector
from shared.log.transact import Transactor

METADATA = MetaData()
ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("revision", BigInteger),
    Column("at", DateTime(timezone=True)),
)
ENTRIES = Table(
    "entries",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("note", JSONB),
    Index("entries_revision", "revision"),
)


@dataclass(frozen=True, slots=True)
class Deposit:
    amount: int
    note: str = ""
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class Move:
    source: str
    target: str
    amount: int


@dataclass(frozen=True, slots=True)
class Quote:
    """Repeats the note of the account's first event, which is too large for the state."""

    account: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Puts as much as the source has into the target; the source is only read."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Deposited:
    amount: int
    total: int
    note: str


@dataclass(frozen=True, slots=True)
class Account:
    total: int = 0
    revision: int = 0


def _decide(command: Deposit, account: Account) -> Sequence[Deposited]:
    if command.amount < 0:
        raise RuleBroken("negative", "Deposit a positive amount.")
    if command.note == "bug":
        raise ZeroDivisionError
    assert command.now != NO_TIME
    note = command.now.isoformat() if command.note == "now" else command.note
    return [Deposited(command.amount, account.total + command.amount, note)] if command.amount else []


def _evolve(account: Account, event: Deposited) -> Account:
    return Account(event.total, account.revision + 1)


def _move(command: Move, streams: Streams) -> Mapping[str, Sequence[Deposited]]:
    source, target = streams.states[command.source], streams.states[command.target]
    if source.total < command.amount:
        raise RuleBroken("too_little", "Move at most what is there.")
    return {
        command.source: [Deposited(-command.amount, source.total - command.amount, "out")],
        command.target: [Deposited(command.amount, target.total + command.amount, "in")],
    }


def _quote(command: Quote, streams: Streams) -> Mapping[str, Sequence[Deposited]]:
    first = streams.past[command.account, 1]
    return {command.account: [Deposited(0, streams.states[command.account].total, first.note)]}


def _copy(command: Copy, streams: Streams) -> Mapping[str, Sequence[Deposited]]:
    amount = streams.states[command.source].total
    return {command.target: [Deposited(amount, streams.states[command.target].total + amount, "copy")]}


def _project(recorded: Recorded) -> Sequence[Put]:
    event: Deposited = recorded.event
    return [
        Put(
            ACCOUNTS,
            {
                "id": recorded.stream,
                "total": event.total,
                "revision": recorded.revision,
                "at": recorded.recorded_at,
            },
        ),
        Put(
            ENTRIES,
            {
                "id": recorded.stream,
                "revision": recorded.revision,
                "note": {"note": event.note, "amount": event.amount},
            },
        ),
    ]


def _publish(recorded: Recorded) -> PublicEvent | None:
    return (
        None
        if recorded.event.note == "secret"
        else PublicEvent("regista.cleanup.Deposited.v1", recorded.event)
    )


ACCOUNT: Decider[Deposit, Deposited, Account] = Decider("account", Account(), _evolve, decide=_decide)
SERVICE = Service(
    "cleanup",
    [ACCOUNT],
    {
        Deposit: ACCOUNT,
        Move: Joint(_move),
        Copy: Joint(_copy),
        Quote: Joint(_quote, lambda c, _: [(c.account, 1)]),
    },
    EventTypes((Deposited,)),
    _project,
    _publish,
    (ACCOUNTS, ENTRIES),
)


@dataclass
class Bank:
    """One process' worth of the toy service, with short words for what the tests do."""

    url: str
    pool: asyncpg.Pool
    transactor: Transactor
    wake_up: WakeUp
    numbers: itertools.count[int]
    name: str
    service: Service = SERVICE
    actor: Actor = field(default_factory=lambda: Actor("user-1"))

    def deposit(
        self,
        account: str,
        amount: int = 1,
        *,
        cause: str = "",
        note: str = "",
        digest: bytes = b"d",
        **more: Any,
    ) -> Submission:
        id_ = cause or f"{self.name}-{next(self.numbers)}"
        return Submission(
            Deposit(amount, note), (f"account-{account}",), Cause("test", id_, digest), self.actor, **more
        )

    def move(self, source: str, target: str, amount: int) -> Submission:
        cause = Cause("test", f"{self.name}-{next(self.numbers)}", b"d")
        streams = (f"account-{source}", f"account-{target}")
        return Submission(Move(*streams, amount), streams, cause, self.actor)

    def copy(self, source: str, target: str) -> Submission:
        cause = Cause("test", f"{self.name}-{next(self.numbers)}", b"d")
        command = Copy(f"account-{source}", f"account-{target}")
        return Submission(command, (command.target,), cause, self.actor, depends_on=(command.source,))

    def quote(self, account: str) -> Submission:
        cause = Cause("test", f"{self.name}-{next(self.numbers)}", b"d")
        return Submission(Quote(f"account-{account}"), (f"account-{account}",), cause, self.actor)

    async def events(self) -> list[asyncpg.Record]:
        return await self.pool.fetch(
            "SELECT stream, revision, seq, tx::text::bigint AS tx, bytes FROM"
            " log.events_cleanup ORDER BY (tx, seq)"
        )

    async def read_models(self) -> str:
        async with self.pool.acquire() as connection:
            return await projector.digest(SERVICE, connection)


@pytest.fixture
async def open_bank(database: Any) -> AsyncIterator[Callable[..., Any]]:
    """Opens banks: each a process' worth of the service (pool, cache, writer) on the test's database."""
    names = itertools.count(1)
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(url: str = "", *, batch_size: int = 512) -> Bank:
            url = url or database.url("cleanup")
            pool = await connect_pool(url, schemas=("cleanup",))
            stack.push_async_callback(pool.close)
            await projector.ensure(SERVICE, pool)
            wake_up = WakeUp(url, "cleanup")
            transactor = Transactor(SERVICE, pool, wake_up, batch_size=batch_size)
            task = asyncio.create_task(transactor.run())

            async def end() -> None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            stack.push_async_callback(end)
            return Bank(url, pool, transactor, wake_up, itertools.count(), f"bank{next(names)}")

        yield open_one


@pytest.fixture
async def bank(open_bank: Callable[..., Any]) -> Bank:
    return await open_bank()  # type: ignore[no-any-return]
