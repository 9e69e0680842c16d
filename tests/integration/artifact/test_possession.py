"""Bytes are released only to publishers who uploaded them or may read them."""

from __future__ import annotations

import uuid

import pytest

from services.artifact.domain.possession import UNPROVEN
from services.artifact.projections import VERIFY
from shared.deciding.access import RoleGranted, RoleRevoked
from tests.integration.artifact.conftest import digest_of, pieces

pytestmark = pytest.mark.servers

REFUSED = ["Noted", "ArtifactMismatched"]
RELEASED = ["Noted", "ArtifactReleased"]


@pytest.fixture
async def content(replica) -> dict[str, bytes]:
    """Files that anna uploaded and that are released to team.m1, version 1."""
    files = {"model.onnx": uuid.uuid4().bytes * 1000, "labels.json": b"{}"}
    assert await replica.register(files, await replica.upload(files)) == ["Noted", "ArtifactReceived"]
    assert await replica.work(VERIFY) == ["ArtifactVerified", "ArtifactReleased"]
    return files


async def detail_of(replica, model: str, number: int = 1) -> str:
    return await replica.app.pool.fetchval(
        "SELECT detail FROM artifact_references WHERE model_id = $1 AND number = $2", model, number
    )


@pytest.mark.parametrize(
    "location",
    [
        "",
        "upload-1",
        "../../verified",
        "8a06c7ea-ed9d-49ce-9b68-4746dc2fdfcd",
        "s3://regista/quarantine/team",
    ],
)
async def test_knowing_digest_and_files_gives_no_bytes(replica, content, location):
    """The answer is the same for bytes that exist and for bytes that do not."""
    assert await replica.register(content, location, model="thief", by="bert") == REFUSED
    nowhere = {"model.onnx": uuid.uuid4().bytes}
    assert await replica.register(nowhere, location, model="guess", by="bert") == REFUSED
    assert await detail_of(replica, "thief") == await detail_of(replica, "guess") == UNPROVEN


async def test_the_upload_of_another_publisher_proves_nothing(replica, content):
    upload = await replica.upload(content)
    for location in (upload, f"{replica.store.root}quarantine/{upload}"):
        assert await replica.register(content, location, model=f"t{len(location)}", by="bert") == REFUSED


async def test_an_upload_without_all_the_files_waits_for_its_own_bytes_and_is_refused(replica, content):
    part = await replica.upload({"labels.json": content["labels.json"]}, subject="bert")
    assert await replica.register(content, part, model="thief", by="bert") == ["Noted", "ArtifactReceived"]
    assert await replica.work(VERIFY) == ["ArtifactMismatched"]
    other = await replica.upload(content | {"model.onnx": b"other"}, subject="bert")
    assert await replica.register(content, other, 2, model="thief", by="bert") == [
        "Noted",
        "ArtifactReceived",
    ]
    assert await replica.work(VERIFY) == ["ArtifactMismatched"]
    assert await detail_of(replica, "thief", 2) == "model.onnx differs from what was claimed."


async def test_an_unproven_version_is_not_released_with_the_copy_of_another(replica):
    files = {"model.onnx": uuid.uuid4().bytes * 1000}
    wrong, right = await replica.upload({"model.onnx": b"x"}, subject="bert"), await replica.upload(files)
    await replica.register(files, wrong, model="thief", by="bert")
    await replica.register(files, right)
    (row,) = [r for r in await replica.due(VERIFY) if r.data["model_id"] == "m1"]
    assert await replica.work(VERIFY, row) == ["ArtifactVerified", "ArtifactReleased"]
    assert (await replica.status(digest_of(files)))["thief", 1] == "received"


@pytest.mark.parametrize("namespace", ["team", "*"])
async def test_a_publisher_who_may_read_a_version_with_the_bytes_needs_no_upload(
    replica, people, content, namespace
):
    await people.person("bert", ("engineer", namespace))
    assert await replica.register(content, "", model="m2", by="bert") == RELEASED
    await people.append("bert", RoleRevoked("bert", "engineer", namespace))
    assert await replica.register(content, "", model="m3", by="bert") == REFUSED
    await people.append("bert", RoleGranted("bert", "publisher", "elsewhere"))
    assert await replica.register(content, "", 2, model="m3", by="bert") == REFUSED


async def test_a_recalled_version_is_no_version_that_may_be_read(replica, people, content):
    await people.person("bert", ("publisher", "team"))
    assert await replica.receive("VersionRecalled", model_id="m1", number=1, reason="poisoned")
    assert await replica.register(content, "", model="m2", by="bert") == REFUSED


async def test_the_same_publisher_registers_the_same_upload_again(replica, content):
    upload = await replica.upload(content)
    assert await replica.register(content, upload, 2) == RELEASED
    assert await replica.register(content, upload, 3, revision=70) == RELEASED
    assert await replica.register(content, upload, 3, revision=70) == []


async def test_a_draft_that_another_publisher_completes_keeps_the_upload_of_its_first(replica, content):
    upload = await replica.upload(content)
    assert await replica.register(content, upload, 2, by="bert", contributors=("anna", "bert")) == RELEASED


async def test_a_draft_of_a_stranger_gets_no_bytes_by_a_reader_who_completes_it(replica, people, content):
    """bert has the digest, anna may read it: together they register a draft that bert opened."""
    await people.person("anna", ("publisher", "team"))
    await people.person("bert", ("publisher", "elsewhere"))
    assert await replica.register(content, "", model="x", contributors=("bert", "anna")) == REFUSED


async def test_a_folder_of_the_bucket_belongs_to_the_subject_it_is_named_after(replica, content):
    """A holder of the store's own credentials puts files below quarantine/<subject>/."""
    for name, data in content.items():
        await replica.store.put(f"quarantine/carl/run/{name}", pieces(data), {})
    location = f"{replica.store.root}quarantine/carl/run"
    assert await replica.register(content, location, model="thief", by="bert") == REFUSED
    assert await replica.register(content, location, model="m2", by="carl") == ["Noted", "ArtifactReceived"]
    assert await replica.work(VERIFY) == ["CopyLeft", "ArtifactReleased"]
    assert (await replica.status(digest_of(content)))["m2", 1] == "available"


async def test_a_recall_names_the_other_versions_of_the_same_bytes(replica, content):
    await replica.register(content, await replica.upload(content), model="m2")
    await replica.receive("VersionRecalled", model_id="m1", number=1, reason="poisoned")
    data = await replica.app.pool.fetchval(
        "SELECT convert_from(bytes, 'utf-8')::json -> 'data' ->> 'others' FROM log.events_artifact "
        "WHERE type = 'ArtifactRecalled'"
    )
    assert data == '[{"model_id":"m2","number":1}]'
