"""While connections are ended under them, two replicas retire nothing that is needed and lose no answer.

Each of these was once reported of an acknowledged command in a run of random faults, and not seen again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import pytest

from services.registry.domain.serving.rollout import Share
from shared.deciding.decider import RuleBroken
from tests.chaos.checker import event_of, nothing_retired_that_is_needed, nothing_twice, streams_in_order
from tests.integration.registry.conftest import trained
from tests.integration.registry.writers import Writer, a_cause
from tests.unit.registry.serving import retire

pytestmark = pytest.mark.servers
MODEL = "team.churn"
END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE usename = 'regista_registry' AND datname = current_database() AND pid <> pg_backend_pid()
"""
EVENTS = "SELECT service, stream, revision, tx::text::bigint AS tx, seq, bytes FROM log.events"


@pytest.fixture
async def end_connections(database: Any) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """End all connections of the registry's role."""
    ender = await asyncpg.connect(database.url("registry"))
    yield partial(ender.execute, END)
    await ender.close()


async def promoted(registry: Any, senders: Any, versions: int) -> str:
    """A model with versions that are promoted to production; its id."""
    async with registry.client("root") as root:
        for number in range(1, versions + 1):
            made = await root.post(f"/models/{MODEL}/versions", json=trained(MODEL, artifact=number))
            await senders.send_passing_verdicts(made.json())
            await registry.version(f"{MODEL}@{number}", stage="Validated")
            asked = await root.post(f"/models/{MODEL}/versions/{number}:promote", json={"serve": number == 1})
            assert asked.status_code == 202, asked.text
            await senders.send_grant(asked.json())
            await registry.version(f"{MODEL}@{number}", stage="Production")
        return str((await root.get(f"/models/{MODEL}")).json()["model_id"])


async def stored(database: Any) -> list[Any]:
    owner = await asyncpg.connect(database.owner_url)
    try:
        return [event_of(row) for row in await owner.fetch(EVENTS)]
    finally:
        await owner.close()


async def test_the_rollback_target_of_production_is_never_retired(
    registry: Any, senders: Any, writers: list[Writer], database: Any, end_connections: Any
) -> None:
    model_id = await promoted(registry, senders, 4)
    one, other = writers
    for number in (2, 3, 4):
        _, *answers = await asyncio.gather(
            end_connections(),
            one.switch(model_id, Share(number, 100, "champion")),
            *(other.submit(retire(n, model_id)) for n in range(1, 5)),
            return_exceptions=True,
        )
        assert [a for a in answers if isinstance(a, Exception) and not isinstance(a, RuleBroken)] == []
    events = await stored(database)
    assert list(nothing_retired_that_is_needed(events)) == []
    assert [*streams_in_order(events), *nothing_twice(events)] == []


async def test_an_answered_split_has_its_event_or_was_there_already(
    registry: Any, senders: Any, writers: list[Writer], database: Any, end_connections: Any
) -> None:
    model_id = await promoted(registry, senders, 2)
    causes = [a_cause() for _ in range(12)]

    async def split(n: int) -> Any:
        shares = (Share(1, 100 - n, "champion"), Share(2, n, "challenger"))
        return await writers[n % 2].switch(model_id, *shares, cause=causes[n - 1])

    answers = []
    for n in range(1, len(causes) + 1):
        answer, _ = await asyncio.gather(split(n), end_connections())
        answers.append(answer)
    there = {event.correlation: event for event in await stored(database) if event.type == "RolloutChanged"}
    for n, (cause, answer) in enumerate(zip(causes, answers, strict=True), 1):
        assert [e["percent"] for e in there[cause.id].data["entries"]] == [100 - n, n]
        assert [str(e.event_id) for e in answer.events] == [there[cause.id].id]
