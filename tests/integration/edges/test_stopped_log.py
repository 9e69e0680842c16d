"""A log that lost what it published is not written: not at the start, not while running, by no service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from regista.wire.keys import SigningKey, generate_signing_key
from services.audit import doctor
from services.audit.settings import AuditSettings
from services.kafka.topics import WRITERS
from services.local import restore
from services.local.folders import LocalError
from shared.log import eventlog
from tests.conftest import drop_database
from tests.integration.edges.conftest import People
from tests.processes import Running

PATH = "/v1/counters/a:count"
WRITTEN = "SELECT count(*) FROM log.events_registry"
PUBLISHED = """
SELECT (c.tx, c.seq) = (
    SELECT e.tx::text::bigint, e.seq FROM log.events_registry e ORDER BY e.tx DESC, e.seq DESC LIMIT 1
) FROM registry.relay_checkpoint c
"""


class Copies:
    """Copies of the test's database, which take its place later: what a restore does."""

    def __init__(self, database: Any, owner: asyncpg.Connection) -> None:
        self._database, self._owner = database, owner
        self.names: list[str] = []

    async def take(self) -> str:
        """Copy the database. No process may be connected."""
        name = f"{self._database.name}_{len(self.names)}"
        await self._copy(self._database.name, name)
        self.names.append(name)
        return name

    async def restore(self, name: str) -> None:
        await drop_database(self._database.stack.owner_url(), self._database.name)
        await self._copy(name, self._database.name)

    async def _copy(self, source: str, target: str) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    return await self._owner.execute(f"CREATE DATABASE {target} TEMPLATE {source}")
                except asyncpg.ObjectInUseError:
                    await asyncio.sleep(0.1)


@pytest.fixture
async def copies(stack: Any, database: Any) -> AsyncIterator[Copies]:
    owner = await asyncpg.connect(stack.owner_url("postgres"))
    found = Copies(database, owner)
    yield found
    for name in found.names:
        await drop_database(stack.owner_url(), name)
    await owner.close()


async def count(toy: Running, key: str, times: int = 1) -> None:
    for _ in range(times):
        answer = await toy.call("POST", PATH, key, json={"by": 1})
        assert answer.status_code == 200, answer.text


async def all_published(toy: Running, database: Any) -> None:
    connection = await asyncpg.connect(database.url("registry"))
    await toy.until(lambda: connection.fetchval(PUBLISHED))
    await connection.close()


async def is_stopped(toy: Running, key: str) -> str:
    """Return the reason once the service refuses everything with it."""

    async def refused() -> Any:
        answer = await toy.call("POST", PATH, key, json={"by": 1})
        return answer if answer.status_code == 503 and answer.json()["code"] == "log_stopped" else None

    detail = str((await toy.until(refused)).json()["detail"])
    read = await toy.call("GET", "/v1/counters/a", key)
    assert (read.status_code, read.json()["code"]) == (503, "log_stopped")
    async with toy.client() as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, "regista doctor" in ready.json()["reasons"]["log"]) == (503, True)
        assert "regista_log_stopped 1.0" in (await client.get("/metrics")).text
        assert (await client.get("/healthz")).status_code == 200
    return detail


async def written(database: Any) -> int:
    connection = await asyncpg.connect(database.url("registry"))
    try:
        return int(await connection.fetchval(WRITTEN))
    finally:
        await connection.close()


@dataclass
class Counting:
    """The toy service on the test's database, started again and again with one key."""

    start_toy: Callable[..., Running]
    database: Any
    engineer: str
    key: SigningKey

    def start(self) -> Running:
        return self.start_toy(self.key, TOY_KAFKA="0")

    async def ready(self) -> Running:
        toy = self.start()
        await toy.ready()
        return toy

    async def run(self, times: int) -> None:
        """Count so many times, publish all of it, and end."""
        toy = await self.ready()
        await count(toy, self.engineer, times)
        await all_published(toy, self.database)
        toy.end()


@pytest.fixture
async def counting(start_toy: Callable[..., Running], database: Any, people: People) -> Counting:
    engineer = await people.person("person:erin", ("engineer", "*"))
    return Counting(start_toy, database, engineer, generate_signing_key("service:registry"))


@pytest.mark.usefixtures("empty_kafka")
async def test_a_service_that_starts_on_an_older_copy_writes_nothing_until_the_newest_is_back(
    counting: Counting, database: Any, copies: Copies
) -> None:
    await counting.run(2)
    older = await copies.take()
    await counting.run(3)
    newest = await copies.take()

    await copies.restore(older)
    toy = counting.start()
    detail = await is_stopped(toy, counting.engineer)
    assert "the log lacks an event that registry published: regista.registry.Counted.v1" in detail
    assert "revision 5 of counter-a" in detail
    assert await written(database) == 2
    others = await asyncpg.connect(database.url("approval"))
    with pytest.raises(eventlog.LogStopped, match="regista doctor"):
        await eventlog.check_not_stopped(others)
    assert (
        await others.execute("DELETE FROM log.stopped") == "DELETE 0"
    )  # each service withdraws its own only
    await others.close()
    toy.end()

    await copies.restore(newest)
    toy = await counting.ready()
    await count(toy, counting.engineer)
    assert await written(database) == 6


@pytest.mark.usefixtures("empty_kafka")
async def test_a_service_whose_database_is_replaced_while_it_runs_stops_and_goes_on_when_it_is_back(
    counting: Counting, database: Any, copies: Copies
) -> None:
    await counting.run(1)
    older = await copies.take()
    toy = await counting.ready()
    await count(toy, counting.engineer, 4)
    await all_published(toy, database)
    await copies.restore(older)
    await is_stopped(toy, counting.engineer)
    connection = await asyncpg.connect(database.url("registry"))
    revisions = (
        "SELECT array_agg(revision ORDER BY revision) FROM log.events_registry WHERE stream = 'counter-a'"
    )
    found = await connection.fetchval(revisions)
    assert found == list(range(1, len(found) + 1))  # whatever it wrote before it compared: no hole
    await connection.close()


@pytest.mark.usefixtures("empty_kafka")
async def test_a_service_that_starts_on_an_empty_log_beside_a_full_topic_writes_nothing(
    counting: Counting, copies: Copies
) -> None:
    empty = await copies.take()
    await counting.run(1)
    await copies.restore(empty)
    await is_stopped(counting.start(), counting.engineer)


@pytest.mark.usefixtures("empty_kafka")
async def test_another_log_with_a_key_of_its_own_on_the_same_broker_disturbs_no_one(
    counting: Counting, copies: Copies
) -> None:
    empty = await copies.take()
    await counting.run(2)
    await copies.restore(empty)
    toy = counting.start_toy(TOY_KAFKA="0")  # with a key of its own
    await toy.ready()
    await count(toy, counting.engineer)


@pytest.mark.usefixtures("empty_kafka")
async def test_a_log_whose_loss_was_accepted_goes_on(
    counting: Counting, database: Any, copies: Copies
) -> None:
    empty = await copies.take()
    await counting.run(2)
    await copies.restore(empty)
    owner = await asyncpg.connect(database.owner_url)
    accepted = '{"regista.registry.events.v1": {"0": 100, "1": 100, "2": 100, "3": 100}}'
    await owner.execute("CALL log.begin_epoch('no newer copy exists', $1)", accepted)
    await owner.close()
    toy = await counting.ready()
    await count(toy, counting.engineer)


async def examined(stack: Any, database: Any, tmp_path: Path) -> doctor.Findings:
    """What `python -m services.audit doctor` finds."""
    settings = AuditSettings.from_environment(
        {**stack.service_environment("audit", database.name), "REGISTA_HISTORY_DIR": str(tmp_path)}
    )
    lines = list[str]()
    found = await doctor.examine(settings, generate_signing_key("service:audit"), lines.append)
    assert any("messages compared" in line for line in lines)
    return found


@pytest.mark.usefixtures("empty_kafka")
async def test_the_doctor_names_what_is_lost_and_accepting_it_lets_the_log_go_on(
    counting: Counting, stack: Any, database: Any, copies: Copies, tmp_path: Path
) -> None:
    await counting.run(2)
    older = await copies.take()
    whole = await examined(stack, database, tmp_path)
    assert {topic.topic: topic.lost for topic in whole.topics} == dict.fromkeys(WRITERS, 0)
    assert not whole.lost
    await counting.run(3)
    await copies.restore(older)

    found = await examined(stack, database, tmp_path)
    (topic,) = [topic for topic in found.topics if topic.lost]
    assert (topic.topic, topic.lost) == ("regista.registry.events.v1", 3)
    assert topic.types == {"regista.registry.Counted.v1": 3}
    assert [(one["stream"], one["revision"]) for one in topic.named] == [
        ("counter-a", 5),
        ("counter-a", 4),
        ("counter-a", 3),
    ]

    toy = counting.start()
    await is_stopped(toy, counting.engineer)
    with pytest.raises(LocalError, match="regista_registry"):
        await restore.accept(database.owner_url, "no newer copy", asdict(found), lost=True)
    toy.end()
    done = await restore.accept(database.owner_url, "no newer copy", asdict(found), lost=True)
    assert done.epoch == 1
    toy = await counting.ready()
    await count(toy, counting.engineer)
    assert await written(database) == 3
    await all_published(toy, database)
    assert not (await examined(stack, database, tmp_path)).lost


async def test_nothing_is_accepted_where_nothing_was_restored(database: Any) -> None:
    done = await restore.accept(database.owner_url, "by mistake", {}, lost=False)
    assert done.epoch == 0
    owner = await asyncpg.connect(database.owner_url)
    assert await owner.fetchval("SELECT count(*) FROM log.epochs") == 0
    await owner.close()
