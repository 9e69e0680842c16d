"""What one version costs: stored events, commands and statements, counted. Seconds are for benchmarks."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest

TIMED = ("approval.due", "typeinfo_tree", "set_config('jit'")
"""In statements of due work, which run on a timer, and of asyncpg, once for each connection."""
STORED = "SELECT type, count(*) FROM log.events_approval WHERE stream LIKE 'gate-m@%' GROUP BY type"


@pytest.fixture
async def statements(desk):
    """Every statement that approval sends, except those that do not depend on messages (TIMED)."""
    sent: list[str] = []
    async with contextlib.AsyncExitStack() as every_connection:
        for _ in range(desk.app.pool.get_max_size()):
            connection = await every_connection.enter_async_context(desk.app.pool.acquire())
            connection.add_query_logger(
                lambda record: None if any(t in record.query for t in TIMED) else sent.append(record.query)
            )
    return sent


@pytest.fixture
def validate(desk, version):
    """Versions from registration to validation, in three batches: the usual way of most versions."""

    async def pass_through(numbers):
        await desk.receive(
            *(desk.message("registry", "VersionRegistered", "model-m", version(n)) for n in numbers)
        )
        facts = [
            {"model_id": "m", "model": "team.churn", "number": n, "digest": f"sha256:artifact{n}"}
            for n in numbers
        ]
        for service, name in (("artifact", "ArtifactReleased"), ("registry", "VersionValidated")):
            await desk.receive(
                *(
                    desk.message(
                        service, name, "model-m" if service == "registry" else f"artifact-{f['number']}", f
                    )
                    for f in facts
                )
            )

    return pass_through


async def test_a_version_is_four_events_and_four_commands(desk, validate):
    inbox = "SELECT count(*) FROM inbox"
    before = await desk.app.pool.fetchval(inbox)
    await validate(range(1, 6))
    stored = {r["type"]: r["count"] for r in await desk.app.pool.fetch(STORED)}
    assert stored == {"Noted": 3 * 5, "GatesEvaluated": 5}
    assert await desk.app.pool.fetchval(inbox) - before == 4 * 5


async def test_a_batch_takes_as_many_statements_for_twenty_versions_as_for_one(desk, validate, statements):
    await validate([1])
    statements.clear()
    await validate([2])
    for_one = Counter(statements)
    statements.clear()
    await validate(range(3, 23))
    assert Counter(statements) == for_one
    assert for_one["BEGIN;"] == 3, "a transaction for each batch of messages"
    reads = [s for s in for_one if "policies" in s or "promotions" in s]
    assert reads == [], "no look-up in the read models"
