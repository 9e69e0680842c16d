"""Both stores on real servers, and the service on them, in the test's process or in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from regista.wire.cloudevents import CloudEvent, to_kafka
from regista.wire.digests import FileEntry, manifest_digest
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from services.artifact import queries
from services.artifact.consumers import subscriptions
from services.artifact.domain.upload import OpenUpload, RecordFile
from services.artifact.due_work import due_work
from services.artifact.parts import Parts, make_parts
from services.artifact.service import SERVICE
from services.artifact.settings import ArtifactSettings
from services.artifact.stores import ObjectStore, StoredObject
from services.artifact.stores.azure import AzureStore
from services.artifact.stores.disk import DiskStore
from services.artifact.stores.s3 import S3Store
from services.local.azurite import CONTAINER
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.foundation.s3 import S3Server
from shared.http.app import App
from shared.identity.access_view import AccessView
from shared.log import projector
from shared.log.due_runner import DueWorkRunner
from shared.log.due_work import DueRow
from shared.log.transact import Transactor
from shared.messaging.kafka import Received
from tests.integration.edges.conftest import People
from tests.processes import Running, starting


def s3_store(stack) -> S3Store:
    return S3Store(S3Server(stack.s3.endpoint, "artifact", stack.folder.secret("s3-artifact")), "regista")


@pytest.fixture(params=["disk", "s3", "azure"])
async def store(request, tmp_path) -> AsyncIterator[ObjectStore]:
    if request.param == "disk":
        found: ObjectStore = DiskStore(tmp_path / "artifacts")
    elif request.param == "s3":
        found = s3_store(request.getfixturevalue("stack"))
    else:
        azurite = request.getfixturevalue("azurite")
        found = AzureStore(CONTAINER, connection_string=azurite.connection_string)
    await found.check()
    yield found
    await found.close()


@pytest.fixture
def folder() -> str:
    """Return a folder of this test alone, in a bucket that all tests share."""
    return f"quarantine/{uuid.uuid4()}"


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


def sum_of(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()


def without_etag(found: StoredObject) -> tuple[int, str]:
    return found.size, found.sha256


@dataclass
class Replica:
    """A replica of the service on a test's database, without a process of its own."""

    app: App
    parts: Parts
    numbers: itertools.count[int]

    @property
    def store(self) -> ObjectStore:
        return self.parts.store

    async def upload(self, files: Mapping[str, bytes], *, subject: str = "anna") -> str:
        """Put files into a new upload, as the API does."""
        upload_id = str(uuid.uuid4())
        await self.submit(
            OpenUpload(upload_id, subject, self.parts.settings.keep_upload), f"upload-{upload_id}"
        )
        for name, content in files.items():
            key, tags = f"quarantine/{upload_id}/{name}", {"regista-state": "quarantine"}
            file = await self.store.put(key, pieces(content), tags)
            await self.submit(
                RecordFile(upload_id, name, file.size, file.sha256, file.etag), f"upload-{upload_id}"
            )
        return upload_id

    async def submit(self, command: Any, stream: str) -> list[Any]:
        cause = Cause("tests", f"{uuid.uuid4()}", b"-")
        return [
            r.event
            for r in (
                await self.app.transactor.submit(Submission(command, (stream,), cause, Actor("anna")))
            ).events
        ]

    async def receive(self, type_: str, revision: int = 0, **data: Any) -> list[str]:
        """Send an event of the registry, at its next revision if none is given. Return the events' names."""
        revision = revision or next(self.numbers)
        extensions = {
            "revision": str(revision),
            "leaf": "00" * 32,
            "correlationid": f"story-{data['model_id']}",
        }
        fields = {"model": f"team.{data['model_id']}", **data}
        event = CloudEvent(
            str(uuid.uuid4()),
            "/regista/registry",
            f"regista.registry.{type_}.v1",
            f"model-{data['model_id']}",
            datetime.now(UTC).isoformat(),
            msgspec.json.encode(fields),
            extensions=extensions,
        )
        message = Received(event, "service:registry", "service", "regista.registry.events.v1", 0, revision)
        (subscription,) = subscriptions(self.app)
        handler = subscription.handlers[event.type]
        submissions = [
            *await handler.prepare(message),
            *(await handler.follow_up(message) if handler.follow_up else []),
        ]
        answers = await self.app.transactor.submit_all(submissions)
        return [r.type for answer in answers for r in answer.events]

    async def register(
        self,
        files: Mapping[str, bytes],
        location: str,
        number: int = 1,
        *,
        model: str = "m1",
        digest: str = "",
        revision: int = 0,
        by: str = "anna",
        contributors: tuple[str, ...] = (),
    ) -> list[str]:
        """A version with these files is registered by a publisher, wherever its bytes lie."""
        artifact = {
            "digest": digest or digest_of(files),
            "files": [msgspec.to_builtins(f) for f in manifest(files)],
            "location": location,
        }
        return await self.receive(
            "VersionRegistered",
            revision,
            model_id=model,
            number=number,
            artifact=artifact,
            requester_subject=by,
            contributors=contributors,
        )

    async def due(self, kind: str) -> list[DueRow]:
        rows = await self.app.pool.fetch(
            "SELECT key, due_at, data FROM due WHERE kind = $1 ORDER BY due_at", kind
        )
        return [DueRow("artifact", kind, r["key"], r["due_at"], msgspec.json.decode(r["data"])) for r in rows]

    async def work(self, kind: str, row: DueRow | None = None) -> list[str]:
        """Do all due work of a kind once, and return the names of the events."""
        handle = {w.kind: w.handle for w in due_work(self.app)}[kind]
        names: list[str] = []
        for one in [row] if row else await self.due(kind):
            for answer in await self.app.transactor.submit_all(await handle(one)):
                assert not isinstance(answer, RuleBroken), answer
                names += [r.type for r in answer.events]
        return names

    async def events(self, digest: str) -> list[str]:
        stream = f"artifact-{digest.removeprefix('sha256:')}"
        return [
            r[0]
            for r in await self.app.pool.fetch(
                "SELECT type FROM log.events_artifact WHERE stream = $1 ORDER BY revision", stream
            )
        ]

    async def state(self, digest: str) -> str:
        found = await queries.artifact(self.app.pool, digest.removeprefix("sha256:"))
        return found.state if found else ""

    async def status(self, digest: str) -> dict[tuple[str, int], str]:
        found = await queries.references(self.app.pool, digest.removeprefix("sha256:"))
        return {(v.model_id, v.number): v.status for v in found}

    async def runners(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start the workers as a process does."""
        wake_up = WakeUp(self.parts.settings.database_url, "artifact")
        return [
            group.create_task(
                DueWorkRunner(w, "artifact", "artifact", self.app.pool, self.app.transactor, wake_up).run()
            )
            for w in due_work(self.app)
        ]


def manifest(files: Mapping[str, bytes]) -> list[FileEntry]:
    return [FileEntry(name, *sum_of(content)) for name, content in files.items()]


def digest_of(files: Mapping[str, bytes]) -> str:
    return manifest_digest(manifest(files))


@pytest.fixture
async def open_replica(database: Any) -> AsyncIterator[Callable[..., Any]]:
    """Open replicas on the test's database."""
    async with contextlib.AsyncExitStack() as stack:

        async def opened(store: ObjectStore, **settings: Any) -> Replica:
            configured = ArtifactSettings(
                database_url=database.url("artifact"), pepper="p", artifact_dir="/nowhere", **settings
            )
            app = App("artifact", configured)
            app.pool = await connect_pool(configured.database_url, schemas=("artifact",))
            stack.push_async_callback(app.pool.close)
            await projector.ensure(SERVICE, app.pool)
            app.access = AccessView(app.pool, "p", WakeUp(configured.database_url, "artifact"))
            app.transactor = Transactor(SERVICE, app.pool, WakeUp(configured.database_url, "artifact"))
            task = asyncio.create_task(app.transactor.run())

            async def end() -> None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            stack.push_async_callback(end)
            app.parts = make_parts(app, configured, store)
            return Replica(app, app.parts, itertools.count(1))

        yield opened


@pytest.fixture
async def replica(open_replica: Callable[..., Any], store: ObjectStore) -> Replica:
    return await open_replica(store)


@dataclass
class Service(Running):
    """One process of the artifact service."""

    async def is_in(self, state: str, digest: str, key: str) -> dict[str, Any]:
        async def answers(client: httpx.AsyncClient) -> Any:
            answer = await client.get(f"/v1/artifacts/{digest}")
            return answer.json() if answer.status_code == 200 and answer.json()["state"] == state else None

        return await self.poll(answers, key=key)

    def memory(self) -> int:
        """Return the maximum of its resident memory, in bytes."""
        line = next(
            x
            for x in Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
            if x.startswith("VmHWM")
        )
        return int(line.split()[1]) * 1024


@pytest.fixture
async def people(database: Any) -> People:
    return People(database.url("registry"))


@pytest.fixture
async def own_key(people: People) -> SigningKey:
    return await people.signer("service:artifact", "service")


@pytest.fixture
def start(
    empty_kafka: Any, database: Any, tmp_path: Path, own_key: SigningKey
) -> Iterator[Callable[..., Service]]:
    with starting(empty_kafka, database, tmp_path) as start_one:
        yield partial(start_one, "artifact", own_key, Service)


@pytest.fixture
async def publish_as_registry(empty_kafka: Any, people: People) -> AsyncIterator[Callable[..., Any]]:
    """Publish events of registry, signed and sent as registry does."""
    key, revisions = await people.signer("service:registry", "service"), iter(range(1, 10_000))
    kafka = empty_kafka.kafka
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="registry",
        sasl_plain_password=kafka.password("registry"),
    )
    await producer.start()

    async def publish(type_: str, model: str = "m1", **data: Any) -> CloudEvent:
        by = {"requester_subject": "pat"} if type_ == "VersionRegistered" else {}
        body = msgspec.json.encode({"model_id": model, "model": f"team.{model}", **by, **data})
        extensions = {
            "revision": str(next(revisions)),
            "leaf": "00" * 32,
            "correlationid": "c-1",
            "partitionkey": f"model-{model}",
        }
        event = CloudEvent(
            str(uuid.uuid4()),
            "/regista/registry",
            f"regista.registry.{type_}.v1",
            f"model-{model}",
            datetime.now(UTC).isoformat(),
            body,
            extensions=extensions,
        )
        name, value, headers = to_kafka(sign(event, key))
        await producer.send_and_wait("regista.registry.events.v1", value=value, key=name, headers=headers)
        return event

    yield publish
    await asyncio.wait_for(producer.stop(), 5)


async def upload(client: httpx.AsyncClient, files: dict[str, bytes]) -> str:
    location = ""
    for name, content in files.items():
        answer = await client.post(
            "/v1/uploads", params={"name": name} | ({"upload": location} if location else {}), content=content
        )
        assert answer.status_code == 201, answer.text
        location = answer.json()["location"]
        assert (answer.json()["size"], answer.json()["sha256"]) == (
            len(content),
            manifest({name: content})[0].sha256,
        )
    return location


def artifact(files: dict[str, bytes], location: str) -> dict[str, Any]:
    return {
        "digest": digest_of(files),
        "files": [msgspec.to_builtins(f) for f in manifest(files)],
        "location": location,
    }
