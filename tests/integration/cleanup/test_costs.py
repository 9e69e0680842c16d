"""What a version and a simulation cost: events, bytes and statements."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from regista.wire.cloudevents import CloudEvent
from services.cleanup import consumers
from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention import stream_of
from services.cleanup.domain.retention_commands import NoteRegistryEvent
from services.cleanup.service import SERVICE
from services.cleanup.simulation import SHOWN, simulated
from shared.deciding.events import Actor, Source
from shared.deciding.submission import Cause, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.foundation.topics import topic_of
from shared.log import projector
from shared.log.transact import Transactor
from shared.messaging.kafka import Received

pytestmark = pytest.mark.servers
MODELS = 1_100


class CountingPool:
    """A pool that counts the statements of its connections."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.statements: list[str] = []

    def _count(self, record: Any) -> None:
        of_the_client = "typeinfo_tree" in record.query or "current_setting('jit')" in record.query
        if not of_the_client:
            self.statements.append(record.query)

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection:
            with connection.query_logger(self._count):
                yield connection

    async def fetch(self, *arguments: Any) -> list[Any]:
        async with self.acquire() as connection:
            return list(await connection.fetch(*arguments))


@pytest.fixture
async def transactor(database: Any) -> AsyncIterator[Transactor]:
    url = database.url("cleanup")
    pool = await connect_pool(url, schemas=("cleanup",))
    await projector.ensure(SERVICE, pool)
    made = Transactor(SERVICE, pool, WakeUp(url, "cleanup"))
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await pool.close()


def note(model_id: str, revision: int, type_: str, **data: Any) -> Submission:
    source = Source("registry", f"model-{model_id}", revision, f"regista.registry.{type_}.v1", "-")
    command = NoteRegistryEvent(source, "00", {"model_id": model_id, **data})
    cause = Cause("tests", str(uuid.uuid4()), b"-")
    return Submission(command, (stream_of(model_id),), cause, Actor("service:registry"))


async def registered(transactor: Transactor, models: int) -> None:
    ids = [str(uuid.uuid4()) for _ in range(models)]
    named = [note(id_, 1, "ModelRegistered", model=f"fraud.{id_[:8]}") for id_ in ids]
    added = [
        note(id_, 2, "VersionRegistered", number=1, semver="1.0.0", recordedtime="2026-01-01T00:00:00Z")
        for id_ in ids
    ]
    await transactor.submit_all(named)
    await transactor.submit_all(added)


async def test_a_simulation_needs_three_statements_for_five_hundred_models(transactor: Transactor) -> None:
    await registered(transactor, MODELS)
    counting = CountingPool(transactor.pool)
    transactor.pool = counting  # type: ignore[assignment]
    found = await simulated(transactor, "", RetentionPolicy(unknown_seconds=0, keep_newest=0))
    assert (found["models"], found["versions"]) == (MODELS, MODELS)
    assert found["verdicts"] == {"marked": MODELS, "spared": 0}
    assert (len(found["items"]), found["truncated"]) == (SHOWN, True)
    pages = -(-MODELS // 500)
    assert len(counting.statements) <= 3 * pages, counting.statements


async def test_a_simulation_shows_marked_versions_before_spared_ones(transactor: Transactor) -> None:
    model_id = str(uuid.uuid4())
    await transactor.submit_all([note(model_id, 1, "ModelRegistered", model="fraud.churn")])
    versions = [
        note(model_id, 1 + n, "VersionRegistered", number=n, semver=f"1.{n}.0", recordedtime=at)
        for n, at in ((1, "2100-01-01T00:00:00Z"), (2, "2020-01-01T00:00:00Z"))
    ]
    await transactor.submit_all(versions)
    found = await simulated(transactor, model_id, RetentionPolicy(unknown_seconds=60, keep_newest=0))
    assert [(item["number"], item["verdict"]) for item in found["items"]] == [(2, "marked"), (1, "spared")]
    assert not found["truncated"]


def message(model_id: str, revision: int, type_: str, **data: Any) -> Received:
    """An event of the registry, with much that no verdict reads."""
    training = {"config": {f"key {n}": "value" for n in range(100)}}
    body = {"model_id": model_id, "model": "fraud.churn", "number": 1, "training": training, **data}
    extensions = {
        "revision": str(revision),
        "leaf": "00" * 32,
        "correlationid": "c",
        "recordedtime": "2026-01-01T00:00:00Z",
    }
    event = CloudEvent(
        str(uuid.uuid4()),
        "/regista/registry",
        f"regista.registry.{type_}.v1",
        f"model-{model_id}",
        "2026-01-01T00:00:00Z",
        msgspec.json.encode(body),
        extensions=extensions,
    )
    return Received(event, "service:registry", "service", topic_of("registry"), 0, revision)


async def test_a_version_costs_two_small_notes_and_a_batch_of_them_nine_statements(
    transactor: Transactor,
) -> None:
    ids = [str(uuid.uuid4()) for _ in range(100)]
    messages = [
        message(id_, revision, type_, semver="1.0.0")
        for id_ in ids
        for revision, type_ in ((1, "VersionRegistered"), (2, "VersionValidated"))
    ]
    counting = CountingPool(transactor.pool)
    transactor.pool = counting  # type: ignore[assignment]
    await transactor.submit_all([s for m in messages for s in await consumers.note(m)])
    written = await counting.fetch("SELECT type, length(bytes) AS size FROM log.events_cleanup")
    assert [row["type"] for row in written] == ["Noted"] * 200
    assert max(row["size"] for row in written) < 1_000
    batches = counting.statements.count("COMMIT;")
    assert batches <= 2
    assert len(counting.statements) - 1 <= 9 * batches, counting.statements
