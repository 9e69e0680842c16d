"""Verification goes on from the last verified leaf, whatever the events hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from regista.wire.keys import SigningKey
from services.audit.log_verification.pages import PRODUCTION, SEALED, STREAMS
from services.audit.log_verification.verifier import Report, Verifier
from services.audit.sealing import Sealer
from shared.foundation.postgres import connect_pool
from tests.integration.audit.conftest import MODEL, STREAM, Audit, Log, promoted, published, registered

pytestmark = pytest.mark.servers


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[asyncpg.Pool]:
    made = await connect_pool(database.url("audit"), schemas=("audit",))
    yield made
    await made.close()


def faults(report: Report, invariant: str) -> list[str]:
    (found,) = [f for f in report.findings if f.name == invariant]
    return [violation["fault"] for violation in found.violations]


async def as_owner(log: Log, *statements: str) -> None:
    """Run what only an owner who switches the triggers off can do."""
    owner = await asyncpg.connect(log.database.owner_url)
    await owner.execute("ALTER TABLE log.events DISABLE TRIGGER append_only")
    for statement in statements:
        await owner.execute(statement)
    await owner.close()


async def test_a_violation_stays_reported_when_later_leaves_are_in_order(
    log: Log, audit: Audit, audit_key: SigningKey, pool: asyncpg.Pool
) -> None:
    verifier = Verifier(audit_key)
    for n in range(3):
        await log.append("registry", "x-1", "Happened", {"n": n})
    await audit.catch_up()
    await as_owner(log, "DELETE FROM log.events WHERE stream = 'x-1' AND revision = 2")
    first = await verifier.report(pool)
    assert faults(first, SEALED) == ["the log's event is not what was sealed"]
    assert faults(first, STREAMS) == ["the revision before it is missing"]
    await log.append("registry", "x-2", "Happened", {})
    await audit.catch_up()
    second = await verifier.report(pool)
    assert (second.verified, faults(second, SEALED)) == (4, faults(first, SEALED))


async def test_what_is_verified_already_is_answered_without_verifying_more(
    log: Log, audit: Audit, audit_key: SigningKey, pool: asyncpg.Pool
) -> None:
    verifier = Verifier(audit_key)
    for n in range(3):
        await log.append("registry", "x-1", "Happened", {"n": n})
    await audit.catch_up()
    first = await verifier.verified(pool)
    assert (first.verified, first.sealed, first.holds) == (0, 3, True)
    await verifier.report(pool)
    await log.append("registry", "x-1", "Happened", {"n": 3})
    await audit.catch_up()
    second = await verifier.verified(pool)
    assert (second.verified, second.sealed, second.holds) == (3, 4, True)


async def test_an_event_that_was_put_behind_the_seal_is_found(
    log: Log, audit: Audit, audit_key: SigningKey, pool: asyncpg.Pool
) -> None:
    for n in range(3):
        await log.append("registry", "x-1", "Happened", {"n": n})
    await audit.catch_up()
    await as_owner(
        log,
        "INSERT INTO log.events (service, seq, tx, stream, revision, event_id, type, schema, bytes)"
        " VALUES ('registry', 0, '3', 'x-9', 1, gen_random_uuid(), 'Happened', 1, '{}')",
    )
    report = await Verifier(audit_key).report(pool)
    assert faults(report, SEALED) == ["not sealed"]


async def test_decisions_that_cannot_be_read_are_violations_and_do_not_stop_verification(
    log: Log, audit: Audit, audit_key: SigningKey, pool: asyncpg.Pool
) -> None:
    await published(log)
    await registered(log, 1, "1.0.0")
    odd = {"promotion_id": "p9", "number": 9, "environment": "production", "evidence": "a text"}
    await log.append("registry", STREAM, "PromotionRequested", odd)
    await log.append("approval", f"gate-{MODEL}@9", "GatesEvaluated", odd)
    await log.append("approval", f"gate-{MODEL}@9", "PromotionGranted", odd | {"policy": 7, "approvers": 3})
    await log.append("registry", STREAM, "VersionPromoted", odd)
    await log.append("registry", STREAM, "VersionPromoted", ["no", "object"])  # type: ignore[arg-type]
    await log.append("registry", STREAM, "VersionPromoted", odd | {"promotion_id": "nul \x00"})
    rollout = {"environment": "nul \x00", "entries": ["a text", {"role": "champion", "number": 2**70}]}
    await log.append("registry", STREAM, "RolloutChanged", rollout)
    await promoted(log, 1, "1.0.0")
    await audit.catch_up()
    report = await Verifier(audit_key).report(pool)
    found = faults(report, PRODUCTION)
    assert report.verified == report.sealed
    assert any("cannot be read" in fault for fault in found)
    assert "the promotion was never requested" in found


async def test_tiles_that_were_lost_are_computed_again_from_the_leaves(
    log: Log, audit: Audit, audit_key: SigningKey
) -> None:
    for n in range(3):
        await log.append("registry", "x-1", "Happened", {"n": n})
    await audit.catch_up()
    stored = await audit.connection.fetchval("SELECT hashes FROM audit.tiles")
    await audit.connection.execute("TRUNCATE audit.tiles")
    await log.append("registry", "x-1", "Happened", {"n": 3})
    await Sealer(audit_key).step(audit.connection)
    assert (await audit.connection.fetchval("SELECT hashes FROM audit.tiles"))[: len(stored)] == stored
