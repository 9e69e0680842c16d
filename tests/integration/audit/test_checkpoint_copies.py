"""The copies of log checkpoints outside the database: found again, and events sealed without them."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from regista.wire.checkpoint import Checkpoint, signed
from regista.wire.keys import generate_signing_key
from services.audit.checkpoint_copies.copies import CopyUnavailable
from services.audit.checkpoint_copies.guard import Contradicted, PublishedCheckpoints
from services.audit.checkpoint_copies.kafka_copy import PAGE, KafkaCopy
from services.audit.leader import follow_log
from services.audit.sealing import Sealer
from shared.foundation.postgres import leadership
from shared.foundation.settings import Settings
from shared.http.app import App
from tests.integration.approval.conftest import until_true
from tests.integration.audit.conftest import Audit, Log
from tests.integration.audit.test_published_checkpoints import disk, sealed_whole, three_events

KEY = generate_signing_key("service:audit")


def note(origin: str, size: int) -> tuple[Checkpoint, str]:
    checkpoint = Checkpoint(origin, size, bytes(32))
    return checkpoint, signed(checkpoint, origin, KEY.private)


@pytest.fixture
async def kafka(stack: Any) -> AsyncIterator[KafkaCopy]:
    copy = KafkaCopy(Settings.from_environment(stack.service_environment("audit")))
    yield copy
    await copy.close()


async def test_the_newest_note_of_a_log_is_found_behind_many_of_other_logs(
    kafka: KafkaCopy, stack: Any
) -> None:
    mine, other = (f"regista.log/{uuid.uuid4().hex}" for _ in range(2))
    for size in (1, 2):
        await kafka.add(*note(mine, size))
    await asyncio.gather(*(kafka.add(*note(other, size)) for size in range(2 * PAGE + 7)))
    again = KafkaCopy(Settings.from_environment(stack.service_environment("audit")))
    try:
        for copy in (kafka, again, again):
            assert note(mine, 2)[1] in await copy.newest(mine)
        await kafka.add(*note(mine, 3))
        assert note(mine, 3)[1] in await again.newest(mine)
        assert note(mine, 3)[1] in await kafka.newest(mine)
    finally:
        await again.close()


async def test_an_unreachable_broker_is_a_copy_that_is_unavailable() -> None:
    copy = KafkaCopy(Settings(kafka_bootstrap="127.0.0.1:9"))
    with pytest.raises(CopyUnavailable):
        await copy.newest("regista.log/x")
    with pytest.raises(CopyUnavailable):
        await copy.add(*note("regista.log/x", 1))
    await copy.close()


async def test_another_service_cannot_write_the_topic(stack: Any) -> None:
    copy = KafkaCopy(Settings.from_environment(stack.service_environment("registry")))
    with pytest.raises(CopyUnavailable):
        await copy.add(*note("regista.log/x", 1))
    await copy.close()


async def test_while_a_copy_is_unavailable_events_are_sealed_and_signed_afterwards(
    log: Log, audit: Audit, database: Any, audit_key: Any, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    await three_events(log)
    app = App("audit", Settings(database_url=database.url("audit")))
    task = asyncio.create_task(follow_log(app, audit_key, PublishedCheckpoints(audit_key, [disk(copies)])))
    try:
        await until_true(lambda: audit.connection.fetchval("SELECT max(size) = 3 FROM audit.checkpoints"))
        aside = tmp_path / "aside"
        shutil.move(copies, aside)
        copies.write_text("no folder")
        await three_events(log)
        await until_true(lambda: audit.connection.fetchval("SELECT size = 6 FROM audit.tree"))
        await until_true(lambda: as_answer("sealing goes on" in app.readiness.reasons.get("published", "")))
        assert await audit.connection.fetchval("SELECT max(size) FROM audit.checkpoints") == 3
        copies.unlink()
        shutil.move(aside, copies)
        await until_true(lambda: audit.connection.fetchval("SELECT max(size) = 6 FROM audit.checkpoints"))
        await until_true(lambda: as_answer(not app.readiness.reasons))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def as_answer(value: bool) -> bool:
    return value


async def test_two_leaders_of_two_copies_of_one_database_cannot_both_go_on(
    log: Log, audit: Audit, database: Any, audit_key: Any, tmp_path: Path
) -> None:
    """As after a failover to a replica that lacked events, while the former primary still runs."""
    await three_events(log)
    first = Sealer(audit_key, PublishedCheckpoints(audit_key, [disk(tmp_path)]))
    await sealed_whole(audit, first)
    await first.sign(audit.connection)
    head = await audit.connection.fetchrow("SELECT origin, size FROM audit.tree")
    elsewhere = Checkpoint(head["origin"], 5, bytes(range(32)))
    await disk(tmp_path).add(elsewhere, signed(elsewhere, head["origin"], audit_key.private))
    for _ in range(3):
        await three_events(log)
    await sealed_whole(audit, first)
    with pytest.raises(Contradicted):
        await first.sign(audit.connection)


async def test_a_process_that_leads_no_more_withdraws_that_it_waits_for_copies(
    log: Log, database: Any, audit_key: Any
) -> None:
    await three_events(log)
    app = App("audit", Settings(database_url=database.url("audit")))
    copy = KafkaCopy(Settings(kafka_bootstrap="127.0.0.1:9"))
    following = asyncio.create_task(follow_log(app, audit_key, PublishedCheckpoints(audit_key, [copy])))

    async def waits() -> bool:
        return "copies" in app.readiness.reasons.get("published", "")

    async def is_ready() -> bool:
        return not app.readiness.reasons

    try:
        await until_true(waits)
        async with leadership(database.url("audit"), "audit", retry=0.01):
            await until_true(is_ready)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
