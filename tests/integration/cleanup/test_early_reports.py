"""Reports of use that are read before the registration of their model are counted once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest

from services.cleanup.domain.retention import stream_of
from services.cleanup.domain.retention_commands import NoteRegistryEvent
from services.cleanup.look_ups import LARGEST, Reports
from services.cleanup.service import SERVICE
from shared.deciding.events import Actor, Source
from shared.deciding.submission import Cause, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.foundation.settings import Settings
from shared.http.app import App
from shared.log import projector
from shared.log.transact import Transactor
from shared.messaging.kafka import Malformed, Received
from tests.integration.cleanup.conftest import World
from tests.processes import Running

pytestmark = pytest.mark.servers


@pytest.fixture
async def connection(database: Any) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(database.url("cleanup"))
    yield opened
    await opened.close()


async def waiting(cleanup: Running, connection: asyncpg.Connection, number: int) -> None:
    async def answers() -> bool:
        return await connection.fetchval("SELECT count(*) FROM cleanup.early") == number

    await cleanup.until(answers)


async def total(cleanup: Running, key: str, model: str, uses: int) -> None:
    async def answers() -> bool:
        answer = await cleanup.call("GET", f"/v1/usage/{model}", key)
        return (
            answer.status_code == 200
            and sum(version["total"] for version in answer.json()["versions"]) >= uses
        )

    await cleanup.until(answers)
    usage = await cleanup.get(f"/v1/usage/{model}", key)
    assert sum(version["total"] for version in usage["versions"]) == uses


@pytest.fixture
async def admin(world: World) -> str:
    return await world.people.person("otto", ("admin", "*"))


async def test_reports_read_before_their_model_was_noted_count_once_when_it_is(
    world: World, cleanup: Running, engineer: str, admin: str, connection: asyncpg.Connection
) -> None:
    first = world.usage("fraud.churn", 1, 3)
    for report in (first, first, world.usage("fraud.churn", 1, 4), world.usage("fraud.other", 1, 9)):
        await world.used(report)
    await waiting(cleanup, connection, 3)
    await world.model(1)
    await total(cleanup, engineer, "fraud.churn", 7)
    await world.used(first)
    await world.used(world.usage("fraud.churn", 1, 5))
    await total(cleanup, engineer, "fraud.churn", 12)
    await waiting(cleanup, connection, 1)
    stored = await connection.fetch(
        "SELECT convert_from(bytes, 'UTF8')::json->'actor'->>'subject' AS who "
        "FROM log.events_cleanup WHERE type = 'UsageRecorded'"
    )
    assert {row["who"] for row in stored} == {"serving"}
    assert (await cleanup.get("/v1/dlq", admin, replayed=True))["items"] == []


async def test_a_report_waits_for_a_model_that_gets_its_name_later_by_a_new_name_too(
    world: World, cleanup: Running, engineer: str, connection: asyncpg.Connection
) -> None:
    model_id = await world.model(1)
    await world.used(world.usage("fraud.leavers", 1, 3))
    await waiting(cleanup, connection, 1)
    await world.registry(model_id, "ModelRenamed", model="fraud.leavers", previous="fraud.churn")
    await total(cleanup, engineer, "fraud.leavers", 3)


async def test_reports_that_race_the_registration_are_all_counted_and_need_no_operator(
    world: World, cleanup: Running, engineer: str, admin: str, connection: asyncpg.Connection
) -> None:
    names = [f"fraud.m{n}" for n in range(12)]
    await asyncio.gather(
        *[world.used(world.usage(name, 1, n)) for name in names for n in (1, 2)],
        *[world.model(1, name) for name in names],
    )
    for name in names:
        await total(cleanup, engineer, name, 3)
    await waiting(cleanup, connection, 0)
    assert (await cleanup.get("/v1/dlq", admin))["items"] == []


async def test_a_name_that_stays_unknown_goes_to_the_dead_letters_and_counts_when_that_is_replayed(
    world: World, cleanup: Running, engineer: str, admin: str, connection: asyncpg.Connection
) -> None:
    await world.used(world.usage("fraud.churn", 1, 3))

    async def given_up(number: int) -> list[dict[str, Any]]:
        await waiting(cleanup, connection, 1)
        assert await connection.fetchval(
            "SELECT min(due_at) > now() + interval '23 hours' FROM cleanup.due WHERE kind = 'waited'"
        )
        await connection.execute("UPDATE cleanup.due SET due_at = now() WHERE kind = 'waited'")
        await waiting(cleanup, connection, 0)
        letters: list[dict[str, Any]] = (await cleanup.get("/v1/dlq", admin, replayed=True))["items"]
        assert [(one["times"], one["replayed"]) for one in letters] == [(number, False)]
        assert "no model was named 'fraud.churn' for 1 day" in letters[0]["reason"]
        return letters

    (dead_letter,) = await given_up(1)
    assert (dead_letter["topic"], dead_letter["group"]) == ("regista.usage.v1", "cleanup.regista.usage.v1")
    assert (await cleanup.call("POST", f"/v1/dlq/{dead_letter['id']}:replay", admin)).status_code == 202
    (second,) = await given_up(2)
    assert second["id"] == dead_letter["id"], "a dead letter that is refused again is the same one"
    await world.model(1)
    assert (await cleanup.call("POST", f"/v1/dlq/{second['id']}:replay", admin)).status_code == 202
    await total(cleanup, engineer, "fraud.churn", 3)
    await waiting(cleanup, connection, 0)


async def test_a_report_waits_for_an_environment_that_is_declared_later(
    world: World, cleanup: Running, engineer: str, connection: asyncpg.Connection
) -> None:
    await world.environment("production")
    await world.model(1)
    await total(cleanup, engineer, "fraud.churn", 0)
    await world.used(world.usage("fraud.churn", 1, 3, environment="eu"))
    await waiting(cleanup, connection, 1)
    await world.environment("crm.eu")
    await world.used(world.usage("fraud.churn", 1, 1))
    await total(cleanup, engineer, "fraud.churn", 1)
    await waiting(cleanup, connection, 1)
    await world.environment("fraud.eu")
    await total(cleanup, engineer, "fraud.churn", 4)
    await waiting(cleanup, connection, 0)


async def test_an_environment_that_stays_unknown_makes_a_dead_letter_that_names_the_known_ones(
    world: World, cleanup: Running, engineer: str, admin: str, connection: asyncpg.Connection
) -> None:
    await world.environment("production")
    await world.model(1)
    await total(cleanup, engineer, "fraud.churn", 0)
    await world.used(world.usage("fraud.churn", 1, 3, environment="prodction"))
    await waiting(cleanup, connection, 1)
    await connection.execute("UPDATE cleanup.due SET due_at = now() WHERE kind = 'waited'")
    await waiting(cleanup, connection, 0)
    (letter,) = (await cleanup.get("/v1/dlq", admin))["items"]
    assert "'prodction' here (did you mean production?): there are production" in letter["reason"]


async def test_a_report_over_http_in_an_unknown_environment_is_refused_with_the_known_ones(
    world: World, cleanup: Running, engineer: str
) -> None:
    await world.environment("production")
    model_id = await world.model(1)
    await total(cleanup, engineer, "fraud.churn", 0)
    body = msgspec.json.decode(world.usage("fraud.churn", 1, 3, environment="prodction").data)
    refused = await cleanup.call("POST", "/v1/usage", engineer, json=body)
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_environment")
    assert refused.json()["environments"] == ["production"]
    entry = {"number": 1, "role": "champion", "percent": 100}
    await world.registry(model_id, "RolloutChanged", environment="older", entries=[entry], previous=[])

    async def taken() -> bool:
        older = body | {"environment": "older"}
        return (await cleanup.call("POST", "/v1/usage", engineer, json=older)).status_code == 202

    await cleanup.until(taken)


@pytest.fixture
async def app(database: Any) -> AsyncIterator[App]:
    """Run cleanup's log and read models without its consumers: the test decides what happens when."""
    url = database.url("cleanup")
    made = App("cleanup", Settings())
    made.pool = await connect_pool(url, schemas=("cleanup",))
    await projector.ensure(SERVICE, made.pool)
    wake_up = WakeUp(url, "cleanup")
    made.transactor = Transactor(SERVICE, made.pool, wake_up)
    tasks = [asyncio.create_task(made.transactor.run()), asyncio.create_task(wake_up.run())]
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await made.pool.close()


async def noted(app: App, model_id: str) -> None:
    source = Source(
        "registry", f"model-{model_id}", 1, "regista.registry.ModelRegistered.v1", str(uuid.uuid4())
    )
    note = NoteRegistryEvent(source, "00", {"model_id": model_id, "model": "fraud.churn"})
    await app.transactor.submit(
        Submission(
            note,
            (stream_of(model_id),),
            Cause("/regista/registry", source.id, b""),
            Actor("service:registry"),
        )
    )


async def uses(app: App) -> list[int]:
    return [row["total"] for row in await app.pool.fetch("SELECT total FROM uses")]


async def test_a_model_noted_between_the_look_and_the_commit_is_found_by_the_second_look(
    world: World, app: App
) -> None:
    reports, report = (
        Reports(app),
        Received(world.usage("fraud.churn", 1, 3), "serving", "publisher", "regista.usage.v1", 0, 0),
    )
    (hold,) = await reports.record(report)
    await noted(app, str(uuid.uuid4()))
    await app.transactor.submit_all([hold])
    assert await app.pool.fetchval("SELECT count(*) FROM early") == 1
    await app.transactor.submit_all(await reports.look_up_again(report))
    assert (await uses(app), await app.pool.fetchval("SELECT count(*) FROM early")) == ([3], 0)
    assert await reports.look_up_again(report) == ()


async def test_a_report_delivered_again_after_its_process_died_in_the_wait_counts_once(
    world: World, app: App
) -> None:
    report = Received(world.usage("fraud.churn", 1, 3), "serving", "publisher", "regista.usage.v1", 0, 0)
    await app.transactor.submit_all(await Reports(app).record(report))
    await noted(app, str(uuid.uuid4()))
    after = Reports(app)
    await app.transactor.submit_all(await after.record(report))
    assert await after.look_up_again(report) == ()
    await app.transactor.submit_all(await after.place_waiting("fraud.churn"))
    assert (await uses(app), await app.pool.fetchval("SELECT count(*) FROM early")) == ([3], 0)


async def test_a_report_too_large_to_wait_is_refused_immediately(world: World, app: App) -> None:
    event = world.usage("fraud.churn", 1, 3)
    report = Received(
        replace(event, data=event.data + b" " * LARGEST), "serving", "publisher", "regista.usage.v1", 0, 0
    )
    with pytest.raises(Malformed, match="does not wait"):
        await Reports(app).record(report)
