"""The service as a process beside real servers: HTTP in and out, the registry's messages, its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from regista.wire.cloudevents import CloudEvent, from_kafka, to_kafka
from regista.wire.dsse import sign, verify
from regista.wire.keys import SigningKey
from tests.integration.artifact.conftest import digest_of, manifest
from tests.integration.edges.conftest import People
from tests.processes import Running, starting

pytestmark = pytest.mark.servers
TOPIC = "regista.artifact.events.v1"
MIB = 1024 * 1024


@dataclass
class Service(Running):
    """One process of the artifact service."""

    async def is_in(self, state: str, digest: str, key: str) -> dict[str, Any]:
        async def asked(client: httpx.AsyncClient) -> Any:
            answer = await client.get(f"/v1/artifacts/{digest}")
            return answer.json() if answer.status_code == 200 and answer.json()["state"] == state else None

        return await self.asking(asked, key=key)

    def memory(self) -> int:
        """The most bytes it ever had resident."""
        line = next(x for x in Path(f"/proc/{self.child.pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


@pytest.fixture
async def people(database: Any) -> People:
    return People(database.url("registry"))


@pytest.fixture
async def own_key(people: People) -> SigningKey:
    return await people.signer("service:artifact", "service")


@pytest.fixture
def start(empty_kafka: Any, database: Any, tmp_path: Path, own_key: SigningKey) -> Iterator[Callable[..., Service]]:
    with starting(empty_kafka, database, tmp_path) as start_one:
        yield partial(start_one, "artifact", own_key, Service)


@pytest.fixture
async def registry_says(empty_kafka: Any, people: People) -> AsyncIterator[Callable[..., Any]]:
    """Publishes events of the registry, signed and sent as the registry does."""
    key, revisions = await people.signer("service:registry", "service"), iter(range(1, 10_000))
    kafka = empty_kafka.kafka
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", sasl_plain_username="registry",
        sasl_plain_password=kafka.password("registry"),
    )  # fmt: skip
    await producer.start()

    async def said(type_: str, model: str = "m1", **data: Any) -> CloudEvent:
        told = msgspec.json.encode({"model_id": model, "model": f"team.{model}", **data})
        extensions = {"revision": str(next(revisions)), "leaf": "00" * 32, "correlationid": "c-1", "partitionkey": f"model-{model}"}
        event = CloudEvent(str(uuid.uuid4()), "/regista/registry", f"regista.registry.{type_}.v1", f"model-{model}", datetime.now(UTC).isoformat(), told,
                           extensions=extensions)  # fmt: skip
        name, value, headers = to_kafka(sign(event, key))
        await producer.send_and_wait("regista.registry.events.v1", value=value, key=name, headers=headers)
        return event

    yield said
    await asyncio.wait_for(producer.stop(), 5)


async def published(stack: Any, own: SigningKey, number: int) -> list[tuple[str, dict[str, Any]]]:
    """The first events of the artifact service on its topic, each with a signature that holds."""
    kafka = stack.kafka
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=kafka.bootstrap, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512", sasl_plain_username="registry",
        sasl_plain_password=kafka.password("registry"), auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    try:
        found = []
        async with asyncio.timeout(20):
            while len(found) < number:
                message = await consumer.getone()
                event = from_kafka(message.value, message.headers)
                verify(event, own.public)
                found.append((event.type.split(".")[2], msgspec.json.decode(event.data)))
        return found
    finally:
        await asyncio.wait_for(consumer.stop(), 5)


async def upload(client: httpx.AsyncClient, files: dict[str, bytes]) -> str:
    location = ""
    for name, content in files.items():
        answer = await client.post("/v1/uploads", params={"name": name} | ({"upload": location} if location else {}), content=content)
        assert answer.status_code == 201, answer.text
        location = answer.json()["location"]
        assert (answer.json()["size"], answer.json()["sha256"]) == (len(content), manifest({name: content})[0].sha256)
    return location


def artifact(files: dict[str, bytes], location: str) -> dict[str, Any]:
    return {"digest": digest_of(files), "files": [msgspec.to_builtins(f) for f in manifest(files)], "location": location}


@pytest.mark.parametrize("kind", ["s3", "disk"])
async def test_files_go_in_by_http_and_come_out_verified(start, people, registry_says, stack, own_key, tmp_path, kind):
    publisher, reader = await people.person("pat", ("publisher", "team")), await people.person("rita", ("approver", "team"))
    stranger = await people.person("stan", ("engineer", "elsewhere"))
    service = start() if kind == "s3" else start(REGISTA_S3_ENDPOINT="", REGISTA_ARTIFACT_DIR=str(tmp_path / "artifacts"))
    base = "s3://regista" if kind == "s3" else (tmp_path / "artifacts").as_uri()
    await service.ready()
    files = {"model.onnx": uuid.uuid4().bytes * 50_000, "über/labels.json": b"{}"}
    digest = digest_of(files)
    async with service.client(publisher) as client:
        location = await upload(client, files)
    await registry_says("VersionRegistered", number=1, artifact=artifact(files, location))
    shown = await service.is_in("Verified", digest, reader)
    assert [(f["path"], f["size"]) for f in shown["files"]] == [("model.onnx", 800_000), ("über/labels.json", 2)]
    assert [(v["model"], v["number"], v["status"]) for v in shown["versions"]] == [("team.m1", 1, "released")]
    async with service.client(reader) as client:
        for file in shown["files"]:
            answer = await client.get(file["href"])
            assert answer.status_code == 200
            assert answer.content == files[file["path"]]
        head = await client.head(shown["files"][0]["href"])
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "800000", b"")
        part = await client.get(shown["files"][0]["href"], headers={"range": "bytes=100-299"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (206, files["model.onnx"][100:300], "bytes 100-299/800000")
        assert (await client.get(shown["files"][0]["href"], headers={"range": "bytes=900000-"})).status_code == 416
        assert (await client.get(shown["files"][0]["href"], headers={"if-none-match": answer.headers["etag"]})).status_code == 200
        assert (await client.get(shown["files"][1]["href"], headers={"if-none-match": answer.headers["etag"]})).status_code == 304
        assert (await client.get(f"/v1/artifacts/{digest}/files/nothing")).json()["code"] == "unknown_file"
    async with service.client(stranger) as client:
        assert (await client.get(f"/v1/artifacts/{digest}")).status_code == 404
        assert (await client.get(shown["files"][0]["href"])).status_code == 404
    told = await published(stack, own_key, 3)
    assert [name for name, _ in told] == ["ArtifactReceived", "ArtifactVerified", "ArtifactReleased"]
    assert told[2][1] == {
        "digest": digest,
        "model_id": "m1",
        "number": 1,
        "uri": f"{base}/verified/{digest[7:]}/g1",
        "generation": 1,
        "size": 800_002,
    }


async def test_what_is_refused_is_told_why(start, people, registry_says):
    publisher, other = await people.person("pat", ("publisher", "team")), await people.person("olga", ("publisher", "other"))
    reader = await people.person("rita", ("approver", "team"))
    service = start(REGISTA_ARTIFACT_MAX_FILE_BYTES=str(MIB), REGISTA_ARTIFACT_MAX_UPLOADS="4")
    await service.ready()

    async def refused(key: str, name: str, content: Any = b"x", location: str = "") -> tuple[int, str]:
        async with service.client(key) as client:
            answer = await client.post("/v1/uploads", params={"name": name} | ({"upload": location} if location else {}), content=content)
            return answer.status_code, answer.json()["code"]

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with service.client(publisher) as client:
        location = await upload(client, {"a": b"1"})
    assert await refused("", "a") == (401, "unauthenticated")
    assert await refused(reader, "a") == (403, "role_missing")
    assert await refused(other, "a", location=location) == (403, "upload_of_another")
    assert await refused(publisher, "a", location=str(uuid.uuid4())) == (404, "unknown_upload")
    assert await refused(publisher, "a", location="../..") == (404, "unknown_upload")
    assert await refused(publisher, "../a") == (422, "unusable_name")
    assert await refused(publisher, "a" * 300) == (422, "unusable_name")
    assert await refused(publisher, "a/b", location=location) == (422, "unusable_name")
    assert await refused(publisher, "big", b"x" * (MIB + 1)) == (413, "file_too_large")
    assert await refused(publisher, "big", chunks()) == (413, "file_too_large")

    files = {"model.onnx": uuid.uuid4().bytes}
    digest = digest_of(files)
    async with service.client(publisher) as client:
        wrong, right = await upload(client, {"model.onnx": b"other"}), await upload(client, files)
    assert await refused(publisher, "a") == (429, "too_many_uploads")
    await registry_says("VersionRegistered", number=1, artifact=artifact(files, wrong))

    async def ask_for(code: str) -> None:
        async def asked(client: httpx.AsyncClient) -> bool:
            answer = await client.get(f"/v1/artifacts/{digest}/files/model.onnx")
            return answer.status_code == 409 and answer.json()["code"] == code

        await service.asking(asked, key=reader)

    await ask_for("artifact_not_verified")
    await registry_says("VersionRegistered", number=2, artifact=artifact(files, right))
    await service.is_in("Verified", digest, reader)
    await registry_says("VersionRecalled", number=2, reason="poisoned", artifact_digest=digest)
    await ask_for("artifact_recalled")
    await registry_says("VersionRejected", number=1, reasons=["wrong bytes"])
    await registry_says("VersionRetired", number=2, artifact_digest=digest, rule="unused")
    await ask_for("artifact_deleted")


async def test_a_repeated_upload_answers_as_before_and_takes_no_other_bytes(start, people, registry_says):
    publisher = await people.person("pat", ("publisher", "team"))
    service = start()
    await service.ready()
    files = {"model.onnx": uuid.uuid4().bytes}
    async with service.client(publisher) as client:

        async def put(content: bytes) -> httpx.Response:
            return await client.post("/v1/uploads", params={"name": "model.onnx"}, content=content, headers={"idempotency-key": "once"})

        first, again, other = [await put(content) for content in (files["model.onnx"], files["model.onnx"], b"other")]
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
        await registry_says("VersionRegistered", number=1, artifact=artifact(files, first.json()["location"]))
    await service.is_in("Verified", digest_of(files), publisher)


async def test_missing_bytes_are_told_and_checked_at_once(start, people, registry_says, tmp_path):
    publisher = await people.person("pat", ("publisher", "team"))
    service = start(REGISTA_S3_ENDPOINT="", REGISTA_ARTIFACT_DIR=str(tmp_path / "artifacts"))
    await service.ready()
    files = {"model.onnx": uuid.uuid4().bytes}
    digest = digest_of(files)
    async with service.client(publisher) as client:
        await registry_says("VersionRegistered", number=1, artifact=artifact(files, await upload(client, files)))
        await service.is_in("Verified", digest, publisher)
        (tmp_path / "artifacts" / "verified" / digest[7:] / "g1" / "model.onnx").unlink()
        answer = await client.get(f"/v1/artifacts/{digest}/files/model.onnx")
        assert (answer.status_code, answer.json()["code"]) == (503, "bytes_missing")
    await service.is_in("Quarantined", digest, publisher)


async def test_killed_in_the_middle_of_its_work_it_does_all_of_it_once(start, people, registry_says, database):
    publisher = await people.person("pat", ("publisher", "*"))
    service = start()
    await service.ready()
    contents = [{"model.onnx": uuid.uuid4().bytes * 20_000, "x": b"x"} for _ in range(12)]
    async with service.client(publisher) as client:
        for number, files in enumerate(contents, 1):
            await registry_says("VersionRegistered", number=number, artifact=artifact(files, await upload(client, files)))
    service.kill()
    again, beside = start(), start()
    for files in contents:
        shown = await again.is_in("Verified", digest_of(files), publisher)
        assert [v["status"] for v in shown["versions"]] == ["released"]
    connection = await asyncpg.connect(database.url("artifact"))
    try:
        counts = await connection.fetch("SELECT type, count(*) FROM log.events_artifact WHERE stream LIKE 'artifact-%' GROUP BY type")
    finally:
        await connection.close()
    assert {r["type"]: r["count"] for r in counts} == {"Noted": 12, "ArtifactReceived": 12, "ArtifactVerified": 12, "ArtifactReleased": 12}
    for one in (again, beside):
        assert one.end() == 0


@pytest.mark.slow
async def test_a_hundred_megabytes_go_in_and_out_in_bounded_memory(start, people, registry_says):
    publisher = await people.person("pat", ("publisher", "*"))
    service = start()
    await service.ready()
    piece = uuid.uuid4().bytes * (MIB // 16)
    files = {"large.bin": piece * 100}
    before = service.memory()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield piece

    async with service.client(publisher) as client:
        answer = await client.post("/v1/uploads", params={"name": "large.bin"}, content=chunks())
        assert answer.status_code == 201
        await registry_says("VersionRegistered", number=1, artifact=artifact(files, answer.json()["location"]))
        shown = await service.is_in("Verified", digest_of(files), publisher)
        size = 0
        async with client.stream("GET", shown["files"][0]["href"]) as stream:
            async for chunk in stream.aiter_bytes():
                size += len(chunk)
    assert size == 100 * MIB
    assert service.memory() - before < 64 * MIB


async def test_without_its_store_it_lives_and_says_that_it_is_not_ready(start):
    service = start(REGISTA_S3_ENDPOINT="127.0.0.1:9")

    async def asked(client: httpx.AsyncClient) -> Any:
        answer = await client.get("/readyz")
        return answer if answer.status_code == 503 and "object store" in answer.text else None

    answer = await service.asking(asked)
    assert "cannot be used" in answer.text
    async with service.client() as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_it_stops_in_time_while_somebody_uploads_slowly(start, people):
    publisher = await people.person("pat", ("publisher", "*"))
    service = start()
    await service.ready()
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        begun.set()
        await let_go.wait()
        yield b"y"

    async with service.client(publisher) as client:
        sending = asyncio.create_task(client.post("/v1/uploads", params={"name": "slow"}, content=slowly()))
        await begun.wait()
        assert await asyncio.to_thread(service.end) == 0
        let_go.set()
        with pytest.raises(httpx.TransportError):
            await sending
