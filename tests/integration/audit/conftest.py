"""A log with events as other services store them: bytes only, written by each service's own role."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from regista.wire.keys import SigningKey, generate_signing_key
from services.audit import indexing, store
from services.audit.sealing import Sealer
from shared import eventlog
from shared.events import Actor, Envelope, encode
from tests.integration.edges.conftest import People
from tests.processes import Running, starting

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return EPOCH + timedelta(minutes=minutes)


@dataclass
class Log:
    """Appends events of any service to the log of one database."""

    database: Any
    connections: dict[str, asyncpg.Connection] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    minutes: Any = field(default_factory=lambda: itertools.count(1))

    async def append(
        self, service: str, stream: str, type_: str, data: dict[str, Any], *, by: str = "ann", caused_by: str = "", correlation: str = "", reason: str = "",
    ) -> str:  # fmt: skip
        """The id of the event; each is recorded a minute after the one before."""
        if service not in self.connections:
            self.connections[service] = await asyncpg.connect(self.database.url(service))
        self.revisions[stream] = revision = self.revisions.get(stream, 0) + 1
        event_id = uuid.uuid4()
        envelope = Envelope(
            event_id, type_, 1, stream, revision, at(next(self.minutes)), Actor(by, method="api-key"), msgspec.Raw(encode(data)), None, reason,
            correlation or str(event_id), caused_by,
        )  # fmt: skip
        row = eventlog.Row(stream, revision, event_id, type_, 1, encode(envelope))
        await eventlog.append(self.connections[service], service, [row])
        return str(event_id)


@pytest.fixture
async def log(database: Any) -> AsyncIterator[Log]:
    made = Log(database)
    yield made
    for connection in made.connections.values():
        await connection.close()


@dataclass
class Audit:
    """Sealer and indexer on a connection of the auditor's role, by hand."""

    connection: asyncpg.Connection
    sealer: Sealer

    async def catch_up(self) -> None:
        while await self.sealer.step(self.connection) + await indexing.step(self.connection):
            pass
        await self.sealer.sign(self.connection)


@pytest.fixture(scope="session")
def audit_key() -> SigningKey:
    return generate_signing_key("service:audit")


@pytest.fixture
async def audit(database: Any, audit_key: SigningKey) -> AsyncIterator[Audit]:
    connection = await asyncpg.connect(database.url("audit"))
    await store.ensure(connection)
    yield Audit(connection, Sealer(audit_key))
    await connection.close()


@pytest.fixture
async def people(database: Any) -> People:
    return People(database.url("registry"))


@pytest.fixture
def start(stack: Any, database: Any, tmp_path: Path) -> Iterator[Callable[[str, SigningKey], Running]]:
    with starting(stack, database, tmp_path) as start_one:
        yield start_one
