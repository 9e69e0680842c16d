"""A log with events as other services store them: bytes only, written by each service's own role."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner

from regista.cli import root
from regista.client.transport import Transport
from regista.wire.keys import SigningKey, generate_signing_key
from services.audit import index_writer
from services.audit.sealing import Sealer
from shared.deciding.events import Actor, Envelope, encode
from shared.log import eventlog
from tests.integration.edges.conftest import People
from tests.processes import Running, running_here, starting

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


MODEL = "0199a000-0000-7000-8000-000000000001"
OTHER = "0199a000-0000-7000-8000-000000000002"
STREAM = f"model-{MODEL}"
RULES = {"name": "default", "revision": 1, "digest": "sha256:rules"}


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
        self,
        service: str,
        stream: str,
        type_: str,
        data: dict[str, Any],
        *,
        by: str = "ann",
        caused_by: str = "",
        correlation: str = "",
        reason: str = "",
        minute: int | None = None,
    ) -> str:
        """The id of the event; each is recorded a minute after the one before, or at this minute."""
        if service not in self.connections:
            role = "registry" if service == "access" else service
            self.connections[service] = await asyncpg.connect(self.database.url(role))
        self.revisions[stream] = revision = self.revisions.get(stream, 0) + 1
        event_id = uuid.uuid4()
        envelope = Envelope(
            event_id,
            type_,
            1,
            stream,
            revision,
            at(next(self.minutes) if minute is None else minute),
            Actor(by, method="api-key"),
            msgspec.Raw(encode(data)),
            None,
            reason,
            correlation or str(event_id),
            caused_by,
        )
        row = eventlog.Row(stream, revision, event_id, type_, 1, encode(envelope))
        await eventlog.append(self.connections[service], service, [row])
        return str(event_id)


@pytest.fixture
async def log(database: Any) -> AsyncIterator[Log]:
    made = Log(database)
    yield made
    for connection in made.connections.values():
        await connection.close()


WHOLE = """
SELECT (SELECT count(*) FROM log.events) <= t.size AND (i.tx, i.seq) >= (t.tx, t.seq)
FROM audit.tree t, audit.index_state i
"""


@dataclass
class Audit:
    """Sealer and indexer on a connection of the auditor's role, by hand."""

    connection: asyncpg.Connection
    sealer: Sealer

    async def catch_up(self, *, whole: bool = True) -> None:
        """Seal, index and sign.

        `whole`: until every event is sealed; a transaction in another database of the server may hide the
        newest for a moment.
        """
        deadline = time.monotonic() + 20
        while True:
            page = await self.sealer.step(self.connection)
            if await index_writer.step(self.connection, page) or page.events:
                continue
            if not whole or await self.connection.fetchval(WHOLE):
                break
            assert time.monotonic() < deadline, "events stay hidden: a transaction is open"
            await asyncio.sleep(0.02)
        await self.sealer.sign(self.connection)


@pytest.fixture
def audit_key() -> SigningKey:
    return generate_signing_key("service:audit")


@pytest.fixture
async def audit(database: Any, audit_key: SigningKey) -> AsyncIterator[Audit]:
    connection = await asyncpg.connect(database.url("audit"))
    await index_writer.reset_outdated_index(connection)
    yield Audit(connection, Sealer(audit_key))
    await connection.close()


@pytest.fixture
async def people(database: Any) -> People:
    return People(database.url("registry"))


@pytest.fixture
def start(stack: Any, database: Any, tmp_path: Path) -> Iterator[Callable[[str, SigningKey], Running]]:
    with starting(stack, database, tmp_path) as start_one:
        yield start_one


async def identified(log: Log, *people: str) -> None:
    """The identities of these people, from before everything else."""
    for subject in people:
        if f"access-{subject}" not in log.revisions:
            created = {"subject": subject, "kind": "person", "by": "system:bootstrap"}
            await log.append(
                "access", f"access-{subject}", "IdentityCreated", created, by="system:bootstrap", minute=0
            )


async def registered(log: Log, number: int, semver: str) -> str:
    data = {
        "model": "fraud.churn",
        "number": number,
        "semver": semver,
        "metadata": {"artifact": {"digest": f"sha256:{number}"}},
    }
    return await log.append(
        "registry",
        STREAM,
        "VersionRegistered",
        data,
        by="publisher-1",
        caused_by=f"message-{number}",
        correlation=f"c{number}",
    )


async def published(log: Log) -> None:
    """The policy that rules: two people decide."""
    gates = {
        "stages": {
            "Production": [{"kind": "metric", "params": {}}, {"kind": "manual", "params": {"approvers": 2}}]
        }
    }
    await log.append(
        "approval",
        "policy-default",
        "PolicyPublished",
        {"name": "default", "digest": RULES["digest"], "policy": gates},
    )


def evidence(number: int) -> dict[str, Any]:
    return {"version_digest": f"leaf-{number}", "artifact_digest": f"sha256:{number}", "champion": None}


async def promoted(
    log: Log, number: int, semver: str, approvers: tuple[str, ...] = ("bea", "carl")
) -> dict[str, str]:
    """A promotion as it should be: request, review, approvals, grant, Production, and the whole traffic."""
    promotion, asked_for = f"p{number}", f"sha256:evidence-{number}"
    about = {"promotion_id": promotion, "model_id": MODEL, "model": "fraud.churn", "number": number}
    correlation = f"promotion-{number}"
    version = {
        "model": "fraud.churn",
        "number": number,
        "semver": semver,
        "promotion_id": promotion,
        "environment": "production",
        "digest": asked_for,
    }
    who = {"requester": "ann", "creator": "dora", "on_behalf_of": None}
    asked = await log.append(
        "registry",
        STREAM,
        "PromotionRequested",
        version | who | {"evidence": {"champion": {"number": 99}}},
        by="ann",
        reason="better",
        correlation=correlation,
    )
    facts = {"evidence_digest": f"sha256:facts-{number}", "policy": RULES}
    gates = {
        "passed": True,
        "results": [{"gate": "metric", "passed": True}],
        "stage": "Production",
        "evidence": evidence(number),
        **facts,
    }
    await log.append(
        "approval",
        f"gate-{MODEL}@{number}",
        "GatesEvaluated",
        about | gates,
        by="service:approval",
        caused_by=asked,
        correlation=correlation,
    )
    opened_ = {"about": about, "needs": 2, "sealed_digest": "seal"}
    await log.append(
        "approval",
        f"review-{promotion}",
        "ReviewOpened",
        opened_,
        by="service:approval",
        caused_by=asked,
        correlation=correlation,
    )
    await identified(log, *approvers)
    for who_ in approvers:
        approval = {"about": about, "approver": who_, "sealed_digest": "seal", "comment": "fine"}
        await log.append("approval", f"review-{promotion}", "ReviewApproved", approval, by=who_)
    grant = {
        **about,
        **facts,
        "environment": "production",
        "digest": asked_for,
        "approvers": list(approvers),
        "override": False,
    }
    granted = await log.append(
        "approval", f"gate-{MODEL}@{number}", "PromotionGranted", grant, by="service:approval"
    )
    done = await log.append(
        "registry",
        STREAM,
        "VersionPromoted",
        version | {"approvers": list(approvers)},
        by="service:approval",
        caused_by=granted,
    )
    entries = [{"number": number, "semver": semver, "percent": 100, "role": "champion"}]
    rollout = {"model": "fraud.churn", "environment": "production", "entries": entries, "previous": []}
    served = await log.append(
        "registry", STREAM, "RolloutChanged", rollout, by="service:approval", caused_by=granted
    )
    return {"asked": asked, "granted": granted, "promoted": done, "served": served}


@pytest.fixture
async def auditor(people):
    return await people.person("otto", ("auditor", "*"))


@pytest.fixture
async def service(stack, database, tmp_path, audit_key, auditor):
    async with running_here(stack, database, tmp_path, "audit", audit_key) as running:
        yield running


async def indexed(service, auditor, log: Log) -> None:
    """Until what was appended so far is in the index, sealed, and under a checkpoint."""
    connection = await asyncpg.connect(log.database.url("audit"))
    try:
        total = await connection.fetchval("SELECT count(*) FROM log.events")

        async def answers():
            done = await connection.fetchval(
                "SELECT count(*) FROM audit.event_index"
                " WHERE generation = (SELECT generation FROM audit.index_state)"
            )
            signed = await connection.fetchval("SELECT max(size) FROM audit.checkpoints")
            return done == total == signed

        await service.until(answers)
    finally:
        await connection.close()


@pytest.fixture
def regista(tmp_path: Path, service: Running, auditor: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a call of the command line against the service."""

    async def url_of(_self: Any, _service: str) -> str:
        return service.url

    monkeypatch.setattr(Transport, "url_of", url_of)
    settings = {
        "REGISTA_URL": service.url,
        "REGISTA_API_KEY": auditor,
        "REGISTA_CONFIG": str(tmp_path / "none"),
        "REGISTA_USAGE_WINDOW": "0",
    }

    async def call(*words: str, code: int = 0) -> Any:
        result = await asyncio.to_thread(CliRunner().invoke, root, list(words), env=settings)
        assert result.exit_code == code, result.output + result.stderr
        return result

    return call
