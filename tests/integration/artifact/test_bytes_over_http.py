"""What publishers and readers get over HTTP from the running service: bytes in, bytes out, and why not."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from regista.wire.cloudevents import from_kafka
from regista.wire.dsse import verify
from regista.wire.keys import SigningKey
from tests.integration.artifact.conftest import artifact, digest_of, upload

pytestmark = pytest.mark.servers
MIB = 1024 * 1024


TOPIC = "regista.artifact.events.v1"


async def published(stack: Any, own: SigningKey, number: int) -> list[tuple[str, dict[str, Any]]]:
    """The first events of the artifact service on its topic, each with a signature that holds."""
    kafka = stack.kafka
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="registry",
        sasl_plain_password=kafka.password("registry"),
        auto_offset_reset="earliest",
    )
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


@pytest.mark.parametrize("kind", ["s3", "disk"])
async def test_files_go_in_by_http_and_come_out_verified(
    start, people, publish_as_registry, stack, own_key, tmp_path, kind
):
    publisher, reader = (
        await people.person("pat", ("publisher", "team")),
        await people.person("rita", ("approver", "team")),
    )
    stranger = await people.person("stan", ("engineer", "elsewhere"))
    service = (
        start()
        if kind == "s3"
        else start(REGISTA_S3_ENDPOINT="", REGISTA_ARTIFACT_DIR=str(tmp_path / "artifacts"))
    )
    base = "s3://regista" if kind == "s3" else (tmp_path / "artifacts").as_uri()
    await service.ready()
    files = {"model.onnx": uuid.uuid4().bytes * 50_000, "über/labels.json": b"{}"}
    digest = digest_of(files)
    async with service.client(publisher) as client:
        location = await upload(client, files)
    await publish_as_registry("VersionRegistered", number=1, artifact=artifact(files, location))
    shown = await service.is_in("Verified", digest, reader)
    assert [(f["path"], f["size"]) for f in shown["files"]] == [
        ("model.onnx", 800_000),
        ("über/labels.json", 2),
    ]
    assert [(v["model"], v["number"], v["status"]) for v in shown["versions"]] == [
        ("team.m1", 1, "available")
    ]
    async with service.client(reader) as client:
        for file in shown["files"]:
            answer = await client.get(file["href"])
            assert answer.status_code == 200
            assert answer.content == files[file["path"]]
        head = await client.head(shown["files"][0]["href"])
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "800000", b"")
        part = await client.get(shown["files"][0]["href"], headers={"range": "bytes=100-299"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (
            206,
            files["model.onnx"][100:300],
            "bytes 100-299/800000",
        )
        first, whole = shown["files"][0]["href"], files["model.onnx"]
        etag = f'"{shown["files"][0]["sha256"]}"'
        rest = await client.get(first, headers={"range": "bytes=799000-", "if-match": f'"0", {etag}'})
        assert (rest.status_code, rest.content) == (206, whole[799_000:])
        for other in ('"0"', '"3"', etag.strip('"')):
            changed = await client.get(first, headers={"range": "bytes=100-", "if-match": other})
            assert (changed.status_code, changed.json()["code"]) == (412, "file_changed")
        assert (
            await client.get(shown["files"][0]["href"], headers={"range": "bytes=900000-"})
        ).status_code == 416
        assert (
            await client.get(shown["files"][0]["href"], headers={"if-none-match": answer.headers["etag"]})
        ).status_code == 200
        assert (
            await client.get(shown["files"][1]["href"], headers={"if-none-match": answer.headers["etag"]})
        ).status_code == 304
        assert (await client.get(f"/v1/artifacts/{digest}/files/nothing")).json()["code"] == "unknown_file"
    async with service.client(stranger) as client:
        assert (await client.get(f"/v1/artifacts/{digest}")).status_code == 404
        assert (await client.get(shown["files"][0]["href"])).status_code == 404
    events = await published(stack, own_key, 3)
    assert [name for name, _ in events] == ["ArtifactReceived", "ArtifactVerified", "ArtifactReleased"]
    assert events[2][1] == {
        "digest": digest,
        "model_id": "m1",
        "number": 1,
        "uri": f"{base}/verified/{digest[7:]}/g1",
        "generation": 1,
        "size": 800_002,
    }


async def test_a_refused_upload_is_answered_with_the_reason(start, people):
    publisher, other = (
        await people.person("pat", ("publisher", "team")),
        await people.person("olga", ("publisher", "other")),
    )
    reader = await people.person("rita", ("approver", "team"))
    service = start(REGISTA_ARTIFACT_MAX_FILE_BYTES=str(MIB), REGISTA_ARTIFACT_MAX_UPLOADS="4")
    await service.ready()

    async def refused(key: str, name: str, content: Any = b"x", location: str = "") -> tuple[int, str]:
        async with service.client(key) as client:
            answer = await client.post(
                "/v1/uploads",
                params={"name": name} | ({"upload": location} if location else {}),
                content=content,
            )
            return answer.status_code, answer.json()["code"]

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with service.client(publisher) as client:
        limits = (await client.get("/v1/uploads/limits")).json()
        assert (limits["file_bytes"], limits["files"], limits["path_bytes"]) == (MIB, 2_000, 600)
        for body in (
            {"files": {"file": ("m.onnx", b"onnx")}},
            {"content": gzip.compress(b"onnx"), "headers": {"content-encoding": "gzip"}},
            {"content": b"a b", "headers": {"content-type": "application/x-www-form-urlencoded"}},  # curl -d
        ):
            answer = await client.post("/v1/uploads", params={"name": "m.onnx"}, **body)
            assert (answer.status_code, answer.json()["code"]) == (415, "not_the_file")
            assert "--data-binary @" in answer.json()["detail"]
        location = await upload(client, {"a": b"1"})
    assert await refused("", "a") == (401, "unauthenticated")
    assert await refused(reader, "a") == (403, "role_missing")
    assert await refused(other, "a", location=location) == (404, "unknown_upload")
    assert await refused(publisher, "a", location=str(uuid.uuid4())) == (404, "unknown_upload")
    assert await refused(publisher, "a", location="../..") == (404, "unknown_upload")
    assert await refused(publisher, "../a") == (422, "unusable_name")
    assert await refused(publisher, "a" * 300) == (422, "unusable_name")
    assert await refused(publisher, "a/b", location=location) == (422, "unusable_name")
    assert await refused(publisher, "big", b"x" * (MIB + 1)) == (413, "file_too_large")
    assert await refused(publisher, "big", chunks()) == (413, "file_too_large")
    async with service.client(publisher) as client:
        for _ in range(2):
            await upload(client, {"model.onnx": b"other"})
    assert await refused(publisher, "a") == (429, "too_many_uploads")


async def test_bytes_that_are_not_served_are_answered_with_the_reason(start, people, publish_as_registry):
    publisher, reader = (
        await people.person("pat", ("publisher", "team")),
        await people.person("rita", ("approver", "team")),
    )
    service = start()
    await service.ready()
    files = {"model.onnx": uuid.uuid4().bytes}
    digest = digest_of(files)
    async with service.client(publisher) as client:
        wrong, right = await upload(client, {"model.onnx": b"other"}), await upload(client, files)
    await publish_as_registry("VersionRegistered", number=1, artifact=artifact(files, wrong))

    async def ask_for(code: str) -> None:
        async def answers(client: httpx.AsyncClient) -> bool:
            answer = await client.get(f"/v1/artifacts/{digest}/files/model.onnx")
            return answer.status_code == 409 and answer.json()["code"] == code

        await service.poll(answers, key=reader)

    await ask_for("artifact_not_verified")
    await publish_as_registry("VersionRegistered", number=2, artifact=artifact(files, right))
    await service.is_in("Verified", digest, reader)
    await publish_as_registry("VersionRecalled", number=2, reason="poisoned", artifact_digest=digest)
    await ask_for("artifact_withdrawn")
    await publish_as_registry("VersionRejected", number=1, reasons=["wrong bytes"])
    await publish_as_registry("VersionRetired", number=2, artifact_digest=digest, rule="unused")
    await ask_for("artifact_deleted")


async def test_a_repeated_upload_answers_as_before_and_takes_no_other_bytes(
    start, people, publish_as_registry
):
    publisher = await people.person("pat", ("publisher", "team"))
    service = start()
    await service.ready()
    files = {"model.onnx": uuid.uuid4().bytes}
    async with service.client(publisher) as client:

        async def put(content: bytes) -> httpx.Response:
            return await client.post(
                "/v1/uploads",
                params={"name": "model.onnx"},
                content=content,
                headers={"idempotency-key": "once"},
            )

        first, again, other = [
            await put(content) for content in (files["model.onnx"], files["model.onnx"], b"other")
        ]
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
        await publish_as_registry(
            "VersionRegistered", number=1, artifact=artifact(files, first.json()["location"])
        )
    await service.is_in("Verified", digest_of(files), publisher)


async def test_missing_bytes_are_reported_and_checked_immediately(
    start, people, publish_as_registry, tmp_path
):
    publisher = await people.person("pat", ("publisher", "team"))
    service = start(REGISTA_S3_ENDPOINT="", REGISTA_ARTIFACT_DIR=str(tmp_path / "artifacts"))
    await service.ready()
    files = {"model.onnx": uuid.uuid4().bytes}
    digest = digest_of(files)
    async with service.client(publisher) as client:
        await publish_as_registry(
            "VersionRegistered", number=1, artifact=artifact(files, await upload(client, files))
        )
        await service.is_in("Verified", digest, publisher)
        (tmp_path / "artifacts" / "verified" / digest[7:] / "g1" / "model.onnx").unlink()
        answer = await client.get(f"/v1/artifacts/{digest}/files/model.onnx")
        assert (answer.status_code, answer.json()["code"]) == (503, "bytes_missing")
    await service.is_in("Quarantined", digest, publisher)


@pytest.mark.slow
async def test_a_hundred_megabytes_go_in_and_out_in_bounded_memory(start, people, publish_as_registry):
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
        await publish_as_registry(
            "VersionRegistered", number=1, artifact=artifact(files, answer.json()["location"])
        )
        shown = await service.is_in("Verified", digest_of(files), publisher)
        size = 0
        async with client.stream("GET", shown["files"][0]["href"]) as stream:
            async for chunk in stream.aiter_bytes():
                size += len(chunk)
    assert size == 100 * MIB
    assert service.memory() - before < 64 * MIB
