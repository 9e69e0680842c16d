"""Approval in this process on a real database: messages and requests go through its own edges."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from regista.wire.cloudevents import CloudEvent
from services.approval.service import SERVICE, process
from shared.deciding.access import (
    ACCESS_EVENTS,
    AccessState,
    IdentityCreated,
    KeyIssued,
    RoleGranted,
    evolve_access,
)
from shared.deciding.decider import Decider, Misrouted
from shared.deciding.events import Actor
from shared.deciding.service import Service
from shared.deciding.submission import Cause, Outcome, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.foundation.settings import Settings
from shared.http.app import App
from shared.http.dispatch import Application
from shared.identity import directory
from shared.identity.access_view import AccessView, new_api_key
from shared.log import projector
from shared.log.due_runner import DueWorkRunner
from shared.log.transact import Transactor
from shared.messaging.kafka import Handler, Received
from shared.run import Process
from tests.processes import PEPPER

DATA = "sha256:" + "d" * 64


@dataclass(frozen=True, slots=True)
class WriteEvents:
    """Events of an identity, as they are."""

    events: tuple[Any, ...]


IDENTITY: Decider[WriteEvents, Any, AccessState] = Decider(
    "access", AccessState(), evolve_access, decide=lambda command, _: command.events
)
ACCESS_SERVICE = Service(
    "access", [IDENTITY], {WriteEvents: IDENTITY}, ACCESS_EVENTS, lambda _: [], lambda _: None
)


@dataclass
class Identities:
    """Writes identities into the log and names into the directory, as registry does."""

    url: str
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def write(self, subject: str, *events: Any) -> None:
        pool = await connect_pool(self.url, schemas=("access",), size=2)
        await projector.ensure(ACCESS_SERVICE, pool)
        transactor = Transactor(ACCESS_SERVICE, pool, WakeUp(self.url, "access"))
        task = asyncio.create_task(transactor.run())
        cause = Cause("tests", f"{time.time_ns()}-{next(self.numbers)}", b"-")
        await transactor.submit(
            Submission(WriteEvents(events), (f"access-{subject}",), cause, Actor("system:bootstrap"))
        )
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await pool.close()

    async def person(self, subject: str, *grants: tuple[str, str], kind: Any = "person") -> str:
        """A person, or a machine, with an API key, which is answered."""
        key = new_api_key(PEPPER)
        roles = (RoleGranted(subject, role, namespace) for role, namespace in grants)
        issued = KeyIssued(subject, key.key_id, "hmac-sha256", key.verifier)
        await self.write(subject, IdentityCreated(subject, kind), issued, *roles)
        await self.name(subject, subject.title(), 1)
        return key.text

    async def name(self, subject: str, name: str | None, revision: int) -> None:
        async with asyncpg.create_pool(self.url, min_size=1) as pool:
            await directory.write(pool, subject, name, revision)


@dataclass
class Desk:
    """One replica of approval, without Kafka between."""

    app: App = field(repr=False)
    process: Process
    identities: Identities
    keys: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)

    def message(
        self, service: str, name: str, stream: str, data: dict[str, Any], revision: int = 0
    ) -> Received:
        """A message as the consumer passes it on after verification."""
        if not revision:
            revision = self.revisions[stream] = self.revisions.get(stream, 0) + 1
        now = datetime.now(UTC).isoformat()
        event = CloudEvent(
            f"{stream}/{revision}",
            f"/regista/{service}",
            f"regista.{service}.{name}.v1",
            stream,
            now,
            msgspec.json.encode(data),
            extensions={"revision": str(revision), "leaf": f"{revision:064x}", "correlationid": "story"},
        )
        return Received(event, f"service:{service}", "service", f"regista.{service}.events.v1", 0, revision)

    async def receive(self, *messages: Received) -> list[Any]:
        """Do what the consumer does with a batch; return the new events, those of follow-ups last."""
        new: list[Any] = []
        for step in ("prepare", "follow_up"):
            todo = [(m, work) for m in messages if (work := getattr(self._handler(m), step)) is not None]
            while todo:
                prepared = [await work(m) for m, work in todo]
                outcomes = iter(await self.app.transactor.submit_all([s for ps in prepared for s in ps]))
                again = []
                for one, submissions in zip(todo, prepared, strict=True):
                    found = [next(outcomes) for _ in submissions]
                    if any(isinstance(outcome, Misrouted) for outcome in found):
                        again.append(one)
                    for outcome in found:
                        if isinstance(outcome, Outcome):
                            new += [] if outcome.replayed else [r.event for r in outcome.events]
                        elif not isinstance(outcome, Misrouted):
                            raise outcome
                todo = again
        return new

    def _handler(self, message: Received) -> Handler:
        subscription = next(s for s in self.process.subscriptions if s.topic == message.topic)
        return subscription.handlers[message.event.type]

    async def registry(self, name: str, data: dict[str, Any], **more: Any) -> list[Any]:
        return await self.receive(self.message("registry", name, f"model-{data['model_id']}", data, **more))

    async def artifact(self, name: str, number: int = 1, model_id: str = "m") -> list[Any]:
        digest = f"sha256:artifact{number}"
        return await self.receive(
            self.message(
                "artifact",
                name,
                f"artifact-{model_id}{number}",
                {"digest": digest, "model_id": model_id, "number": number},
            )
        )

    @contextlib.asynccontextmanager
    async def client(self, subject: str) -> AsyncIterator[httpx.AsyncClient]:
        """HTTP as this person."""
        transport = httpx.ASGITransport(Application(self.app, self.process.routes))
        headers = {"authorization": f"Bearer {self.keys[subject]}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://approval", headers=headers
        ) as client:
            yield client

    async def person(self, subject: str, *grants: tuple[str, str]) -> None:
        self.keys[subject] = await self.identities.person(subject, *grants)
        await self.app.access.catch_up()

    async def machine(self, subject: str, *grants: tuple[str, str]) -> None:
        self.keys[subject] = await self.identities.person(subject, *grants, kind="publisher")
        await self.app.access.catch_up()

    async def digest(self) -> str:
        async with self.app.pool.acquire() as connection:
            return await projector.digest(SERVICE, connection)


@pytest.fixture
def identities(database: Any) -> Identities:
    return Identities(database.url("registry"))


@pytest.fixture
async def open_desk(database: Any, identities: Identities) -> AsyncIterator[Callable[[], Awaitable[Desk]]]:
    """Opens replicas of approval on the test's database; due work runs in each."""
    async with contextlib.AsyncExitStack() as closing:

        async def open_one() -> Desk:
            url = database.url("approval")
            app = App("approval", Settings(database_url=url, pepper=PEPPER))
            made = process(app)
            app.pool = await connect_pool(url, schemas=("approval",))
            closing.push_async_callback(app.pool.close)
            app.searches = app.pool
            await projector.ensure(SERVICE, app.pool)
            wake_up = WakeUp(url, "approval")
            app.transactor = Transactor(SERVICE, app.pool, wake_up)
            app.access = AccessView(app.pool, PEPPER, WakeUp(url, "access"))
            app.serving = True
            runners = [
                DueWorkRunner(w, "approval", "approval", app.pool, app.transactor, wake_up)
                for w in made.due_work
            ]
            tasks = [
                asyncio.create_task(t)
                for t in (wake_up.run(), app.transactor.run(), *(r.run() for r in runners))
            ]

            async def end() -> None:
                for task in reversed(tasks):
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            closing.push_async_callback(end)
            assert made.start is not None
            await made.start(app)
            await until_true(
                lambda: app.pool.fetchval("SELECT count(*) = 0 FROM due WHERE kind = 'policy-change'")
            )  # nothing else is under way
            return Desk(app, made, identities)

        yield open_one


@pytest.fixture
async def desk(open_desk: Callable[[], Awaitable[Desk]]) -> Desk:
    return await open_desk()


async def until_true(query: Callable[[], Awaitable[Any]], seconds: float = 20.0) -> Any:
    """Repeat the query until its answer is true, and return the answer."""
    deadline = time.monotonic() + seconds
    while not (answer := await query()):
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.05)
    return answer


@pytest.fixture
def until() -> Callable[..., Awaitable[Any]]:
    return until_true


def registered(number: int = 1, accuracy: float = 0.9, **more: Any) -> dict[str, Any]:
    """VersionRegistered, as registry publishes it."""
    metric = {
        "name": "accuracy",
        "value": accuracy,
        "dataset_digest": DATA,
        "dataset_name": "holdout",
        "definition": None,
        "primary": True,
    }
    return {
        "model_id": "m",
        "model": "team.churn",
        "kind": "model",
        "tier": "medium",
        "tags": {},
        "owner": "olga",
        "number": number,
        "semver": f"1.{number}.0",
        "creator": "carl",
        "on_behalf_of": None,
        "requester_subject": "pipeline",
        "artifact": {"digest": f"sha256:artifact{number}", "files": [], "location": "s3://x"},
        "training": {
            "config": {"depth": 3},
            "code": {"digest": "sha256:c", "revision": None},
            "dataset": {"name": "train", "digest": DATA},
            "metrics": [metric],
            "trained_at": "2026-11-01T00:00:00Z",
            "creator": "carl",
            "features": None,
        },
        "signature": {
            "inputs": [{"name": "x", "type": "float32", "unit": None}],
            "outputs": [{"name": "y", "type": "int64", "labels": ["a"]}],
        },
        "bump": {"level": "minor", "rule": "metric"},
        "champion": None,
        "something_new": {"since": "tomorrow"},
    } | more


@pytest.fixture
def version() -> Callable[..., dict[str, Any]]:
    return registered


@pytest.fixture
def request_promotion(
    desk: Desk, version: Callable[..., dict[str, Any]]
) -> Callable[..., Awaitable[list[Any]]]:
    """Register a version, release its bytes, validate it and request its promotion."""

    async def request(number: int = 1, promotion_id: str = "p1", reason: str = "", **more: Any) -> list[Any]:
        facts = {"model_id": "m", "model": "team.churn", "number": number, "semver": f"1.{number}.0"}
        if number == 1:
            await desk.registry(
                "ModelRegistered",
                {"model_id": "m", "model": "team.churn", "kind": "model", "tier": "medium", "tags": {}},
            )
        await desk.registry("VersionRegistered", version(number, **more))
        await desk.artifact("ArtifactReleased", number)
        await desk.registry("VersionValidated", facts)
        promotion = {
            "promotion_id": promotion_id,
            "environment": "production",
            "digest": "sha256:requested",
            "requester": "rosa",
            "creator": "carl",
        }
        return await desk.registry(
            "PromotionRequested",
            {**facts, **promotion, "on_behalf_of": None, "evidence": {}, "reason": reason},
        )

    return request


@pytest.fixture
async def people(desk: Desk) -> None:
    """Approvers, an engineer, an admin, and one who may override; zoe is an approver elsewhere."""
    for subject, *grants in (
        ("ann", ("approver", "team")),
        ("bob", ("approver", "team")),
        ("carl", ("approver", "team")),
        ("eve", ("engineer", "team")),
        ("zoe", ("approver", "other")),
        ("root", ("admin", "*")),
        ("oscar", ("override", "team")),
    ):
        await desk.person(subject, *grants)
