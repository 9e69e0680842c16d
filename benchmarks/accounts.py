"""The smallest service with two read models: what the kernel itself costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.deciding.changes import Put
from shared.deciding.decider import Decider
from shared.deciding.events import Actor, EventTypes, Recorded
from shared.deciding.service import PublicEvent, Service
from shared.deciding.submission import Cause, Submission

ACCOUNTS = Table(
    "accounts",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("total", BigInteger),
    Column("at", DateTime(timezone=True)),
)
ENTRIES = Table(
    "entries",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("note", JSONB),
)
NOTE = {
    "config": {"learning_rate": 0.1, "depth": 6, "objective": "binary:logistic"},
    "code": {"digest": "sha256:" + "b" * 64, "revision": "a" * 40},
    "dataset": {"name": "transactions", "digest": "sha256:" + "c" * 64},
    "metrics": [{"name": "auc", "value": 0.93, "higher_is_better": True}],
    "features": [f"feature_{n}" for n in range(10)],
}
"""About the size of a version's metadata."""


@dataclass(frozen=True, slots=True)
class Deposit:
    amount: int
    note: dict[str, Any]
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deposited:
    amount: int
    total: int
    note: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    total: int = 0


def _decide(command: Deposit, account: Account) -> Sequence[Deposited]:
    return [Deposited(command.amount, account.total + command.amount, command.note)]


def _evolve(_account: Account, event: Deposited) -> Account:
    return Account(event.total)


def _project(recorded: Recorded) -> Sequence[Put]:
    event = recorded.event
    return [
        Put(ACCOUNTS, {"id": recorded.stream, "total": event.total, "at": recorded.recorded_at}),
        Put(ENTRIES, {"id": recorded.stream, "revision": recorded.revision, "note": event.note}),
    ]


def _private(_recorded: Recorded) -> PublicEvent | None:
    return None


ACCOUNT: Decider[Deposit, Deposited, Account] = Decider("account", Account(), _evolve, decide=_decide)
SERVICE = Service(
    "cleanup",
    [ACCOUNT],
    {Deposit: ACCOUNT},
    EventTypes((Deposited,)),
    _project,
    _private,
    (ACCOUNTS, ENTRIES),
)


def deposit(number: int, accounts: int) -> Submission:
    return Submission(
        Deposit(1, NOTE),
        (f"account-{number % accounts}",),
        Cause("benchmark", str(number), b"x" * 32),
        Actor("user-1"),
    )
