"""The life of an artifact on real servers: claimed, verified, served, checked again, left, deleted."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from services.artifact import queries
from services.artifact.measurements import artifacts_by_state, bytes_by_state
from services.artifact.projections import CHECK, DELETE, DISCARD, UPLOAD, VERIFY
from services.artifact.service import SERVICE
from services.artifact.stored_bytes import verify
from services.artifact.stores import NoSuchObject
from shared.log import projector
from shared.measurements import sizes
from tests.integration.artifact.conftest import digest_of, manifest, pieces, sum_of, whole, without_etag

pytestmark = pytest.mark.servers


def files() -> dict[str, bytes]:
    """An artifact that no other test has."""
    return {"model.onnx": uuid.uuid4().bytes * 200_000, "config/labels.json": b'["a", "b"]', "empty": b""}


async def test_bytes_that_are_what_was_claimed_are_copied_hashed_again_and_released(replica):
    content = files()
    digest, upload = digest_of(content), await replica.upload(content)
    assert await replica.register(content, upload) == ["Noted", "ArtifactReceived"]
    assert await replica.work(VERIFY) == ["ArtifactVerified", "ArtifactReleased"]
    for name, expected in content.items():
        key = f"verified/{digest[7:]}/g1/{name}"
        assert without_etag(await replica.store.read_and_hash(key)) == sum_of(expected)
        assert await replica.store.tags(key) == {"regista-state": "verified"}
    assert await replica.state(digest) == "Verified"
    assert await replica.due(VERIFY) == []


async def test_artifacts_and_their_bytes_are_counted_by_state(replica):
    content = files()
    upload = await replica.upload(content)
    await replica.register(content, upload)
    assert await artifacts_by_state(replica.app) == {"Received": 1}
    await replica.work(VERIFY)
    assert await artifacts_by_state(replica.app) == {"Verified": 1}
    assert await bytes_by_state(replica.app) == {"Verified": sum(map(len, content.values()))}
    await retire(replica, digest_of(content))
    assert await artifacts_by_state(replica.app) == {"Expired": 1}
    while await replica.work(DELETE):
        pass
    assert await artifacts_by_state(replica.app) == {"Deleted": 1}
    assert await bytes_by_state(replica.app) == {}


async def test_a_service_measures_the_database_the_log_and_its_own_tables(replica):
    found = await sizes("artifact").measure(replica.app)
    assert set(found) == {"database", "log", "artifact"}
    assert found["database"] > found["log"] + found["artifact"] > found["log"] > 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"model.onnx": b"other bytes"}, "model.onnx differs from what was claimed"),
        ({"config/labels.json": b'["a", "c"]'}, "config/labels.json differs from what was claimed"),
        ({"model.onnx": None}, "model.onnx is not there"),
    ],
)
async def test_bytes_that_differ_end_the_reference_and_nothing_is_copied(replica, spoil, reason):
    content = files()
    digest = digest_of(content)
    upload = await replica.upload(
        {name: data for name, data in (content | spoil).items() if data is not None}
    )
    await replica.register(content, upload)
    assert await replica.work(VERIFY) == ["ArtifactMismatched"]
    detail = await replica.app.pool.fetchval(
        "SELECT detail FROM artifact_references WHERE hex = $1", digest[7:]
    )
    assert reason in detail
    assert await replica.store.keys(f"verified/{digest[7:]}") == []
    assert await replica.due(VERIFY) == []


async def forged_and_correct(replica) -> tuple[dict[str, bytes], str]:
    content = files()
    forged, correct = await replica.upload(content | {"model.onnx": b"evil"}), await replica.upload(content)
    await replica.register(content, forged, model="thief")
    await replica.register(content, correct, model="owner")
    return content, digest_of(content)


async def test_a_forged_claim_never_poisons_the_digest_for_a_correct_one(replica):
    content, digest = await forged_and_correct(replica)
    for row in await replica.due(VERIFY):
        await replica.work(VERIFY, row)
    assert await replica.status(digest) == {("thief", 1): "mismatched", ("owner", 1): "available"}
    assert await whole(replica.store.read(f"verified/{digest[7:]}/g2/model.onnx")) == content["model.onnx"]


async def test_a_forged_claim_verified_at_the_same_time_never_changes_the_bytes(replica):
    content, digest = await forged_and_correct(replica)
    await asyncio.gather(*(replica.work(VERIFY, row) for row in await replica.due(VERIFY)))
    assert (await replica.status(digest))["owner", 1] == "available"
    assert await whole(replica.store.read(f"verified/{digest[7:]}/g2/model.onnx")) == content["model.onnx"]


async def test_a_place_that_is_no_upload_is_a_mismatch(replica):
    content = files()
    assert await replica.register(content, "../../verified") == ["Noted", "ArtifactMismatched"]


async def test_a_verified_digest_serves_a_new_version_immediately(replica):
    content = files()
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    assert await replica.register(content, await replica.upload(content), 2) == ["Noted", "ArtifactReleased"]


async def test_a_registration_received_twice_has_its_effect_once(replica):
    content = files()
    upload = await replica.upload(content)
    assert await replica.register(content, upload, revision=7) == ["Noted", "ArtifactReceived"]
    await replica.work(VERIFY)
    assert await replica.register(content, upload, revision=7) == []
    assert (await replica.events(digest_of(content))).count("ArtifactVerified") == 1


async def retire(replica, digest: str, number: int = 1) -> list[str]:
    return await replica.receive(
        "VersionRetired", model_id="m1", number=number, artifact_digest=digest, rule="unused"
    )


async def test_the_last_retirement_expires_tags_and_deletes(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    await replica.register(content, await replica.upload(content), 2)
    assert await retire(replica, digest, 1) == ["Noted"]
    assert await retire(replica, digest, 2) == ["Noted", "ArtifactExpired"]
    assert await replica.work(DELETE) == ["ExpiryTagged"]
    assert await replica.store.tags(f"verified/{digest[7:]}/g1/model.onnx") == {"regista-state": "expired"}
    assert await replica.state(digest) == "Expired"
    assert await replica.work(DELETE) == ["ArtifactDeleted"]
    assert await replica.store.keys(f"verified/{digest[7:]}") == []
    assert await replica.state(digest) == "Deleted"
    assert await replica.due(DELETE) == []


async def test_a_rejected_version_keeps_its_verified_bytes_and_is_not_served(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    assert await replica.receive("VersionRejected", model_id="m1", number=1, reasons=["no"]) == ["Noted"]
    assert await replica.due(DELETE) == []
    assert without_etag(await replica.store.read_and_hash(f"verified/{digest[7:]}/g1/model.onnx")) == sum_of(
        content["model.onnx"]
    )
    (shown,) = await queries.references(replica.app.pool, digest[7:])
    assert (shown.status, shown.rejected) == ("available", True)
    assert await retire(replica, digest) == ["Noted", "ArtifactExpired"]


async def test_a_version_rejected_while_its_bytes_are_awaited_leaves_nothing(replica):
    content = files()
    await replica.register(content, await replica.upload(content))
    assert await replica.receive("VersionRejected", model_id="m1", number=1, reasons=["malware"]) == [
        "Noted",
        "ArtifactExpired",
    ]
    assert await replica.due(VERIFY) == []


async def test_only_the_copies_of_a_failed_claim_are_deleted(replica):
    content = files()
    hex_ = digest_of(content)[7:]
    await replica.register(content, await replica.upload(content | {"model.onnx": b"evil"}))
    await replica.store.put(
        f"verified/{hex_}/g1/empty", pieces(b""), {}
    )  # an attempt that died, before the upload was exchanged
    await replica.register(content, await replica.upload(content), 2)
    assert sorted(await replica.work(VERIFY)) == [
        "ArtifactMismatched",
        "ArtifactReleased",
        "ArtifactVerified",
    ]
    assert await replica.store.keys(f"verified/{hex_}/g1") == [f"verified/{hex_}/g1/empty"]
    assert await replica.work(DISCARD) == ["CopyDiscarded"]
    assert {key.split("/")[2] for key in await replica.store.keys(f"verified/{hex_}")} == {"g2"}
    assert await replica.due(DISCARD) == []


async def test_a_late_worker_whose_upload_is_gone_takes_nothing_from_released_bytes(replica):
    content = files()
    digest, upload = digest_of(content), await replica.upload(content)
    await replica.register(content, upload)
    (row,) = await replica.due(VERIFY)
    await replica.work(VERIFY, row)
    kept = f"verified/{digest[7:]}/g1"
    await replica.store.remove([*await replica.store.keys(f"quarantine/{upload}"), f"{kept}/empty"])
    assert await verify(replica.store, f"quarantine/{upload}", kept, manifest(content)) is not None
    assert await replica.store.keys(kept) == [f"{kept}/config/labels.json", f"{kept}/model.onnx"]


async def test_bytes_are_kept_for_a_while_after_they_were_tagged_where_the_settings_say_so(
    open_replica, store
):
    replica, content = await open_replica(store, artifact_delete_after=3600), files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    await retire(replica, digest)
    assert await replica.work(DELETE) == ["ExpiryTagged"]
    left = await replica.app.pool.fetchval(
        "SELECT extract(epoch FROM due_at - now())::float8 FROM due WHERE kind = $1", DELETE
    )
    assert 3500 < left <= 3600
    assert await replica.store.keys(f"verified/{digest[7:]}")


async def test_an_artifact_larger_than_allowed_is_refused_before_a_byte_is_read(open_replica, store):
    replica, content = await open_replica(store, artifact_max_bytes=1000), files()
    assert await replica.register(content, await replica.upload(content)) == [
        "Noted",
        "ArtifactQuarantined",
    ]
    assert await replica.due(VERIFY) == []


async def test_a_late_delete_does_not_touch_the_same_bytes_uploaded_again(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    await retire(replica, digest)
    await replica.work(DELETE)
    (late,) = await replica.due(DELETE)
    assert await replica.register(content, await replica.upload(content), 2) == [
        "Noted",
        "ArtifactReceived",
    ]
    await replica.work(VERIFY)
    assert await replica.work(DELETE, late) == ["ArtifactDeleted"]
    await replica.work(DELETE, late)  # once more, by a replica whose lease ran out
    assert await replica.state(digest) == "Verified"
    assert {k.split("/")[2] for k in await replica.store.keys(f"verified/{digest[7:]}")} == {"g2"}
    assert await whole(replica.store.read(f"verified/{digest[7:]}/g2/model.onnx")) == content["model.onnx"]


async def test_a_recall_keeps_the_bytes(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    assert await replica.receive(
        "VersionRecalled", model_id="m1", number=1, reason="poisoned", artifact_digest=digest
    ) == ["Noted", "ArtifactRecalled"]
    assert await replica.due(DELETE) == []
    assert await replica.state(digest) == "Verified"


async def test_bytes_that_serve_are_checked_again_and_damage_is_found_and_healed(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    rollout = {
        "model_id": "m1",
        "environment": "production",
        "entries": [{"number": 1, "percent": 100, "role": "champion"}],
        "previous": [],
    }
    assert await replica.receive("RolloutChanged", **rollout) == ["Noted", "CheckAsked"]
    assert await replica.receive("RolloutChanged", **rollout) == []
    assert await replica.work(CHECK) == ["ArtifactVerified", "ArtifactReleased"]
    assert len(await replica.due(CHECK)) == 1
    await replica.store.put(f"verified/{digest[7:]}/g1/model.onnx", pieces(b"rot"), {})
    assert await replica.work(CHECK) == ["ArtifactQuarantined"]
    assert await replica.state(digest) == "Quarantined"
    assert await replica.due(CHECK) == []
    await replica.register(content, await replica.upload(content), 2)
    assert await replica.work(VERIFY) == ["ArtifactVerified", "ArtifactReleased", "ArtifactReleased"]
    assert len(await replica.due(CHECK)) == 1


async def test_bytes_are_looked_at_again_when_their_version_is_to_be_promoted(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    assert await replica.due(CHECK) == []
    assert await replica.receive("PromotionRequested", model_id="m1", number=1, promotion_id="p1") == [
        "Noted",
        "CheckAsked",
    ]
    await replica.store.put(f"verified/{digest[7:]}/g1/model.onnx", pieces(b"rot"), {})
    assert await replica.work(CHECK) == ["ArtifactQuarantined"]


async def test_missing_bytes_are_damage_too(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    await replica.receive(
        "RolloutChanged", model_id="m1", environment="production", entries=[], previous=[{"number": 1}]
    )
    await replica.store.remove([f"verified/{digest[7:]}/g1/model.onnx"])
    assert await replica.work(CHECK) == ["ArtifactQuarantined"]


async def test_an_upload_without_a_claim_is_deleted_and_one_that_is_awaited_stays(replica):
    content = files()
    idle, needed = await replica.upload(files()), await replica.upload(content)
    await replica.register(content, needed)
    assert await replica.work(UPLOAD) == ["UploadExpired"]
    assert [row.key for row in await replica.due(UPLOAD) if not row.data["expired"]] == [needed]
    assert (await replica.work(UPLOAD)).count("UploadDeleted") == 1
    assert await replica.store.keys(f"quarantine/{idle}") == []
    await replica.work(VERIFY)
    assert await replica.work(UPLOAD) == ["UploadExpired"]
    with pytest.raises(NoSuchObject):
        await replica.store.tags(f"quarantine/{idle}/model.onnx")
    assert await replica.state(digest_of(content)) == "Verified"


async def test_an_upload_stays_while_a_part_of_it_is_awaited(replica):
    content = files()
    upload = await replica.upload({f"sub/{name}": bytes_ for name, bytes_ in content.items()})
    await replica.register(content, f"{replica.store.uri(f'quarantine/{upload}/sub')}//")
    assert await replica.work(UPLOAD) == []
    await replica.work(VERIFY)
    assert await replica.state(digest_of(content)) == "Verified"
    assert await replica.work(UPLOAD) == ["UploadExpired"]


async def test_a_version_that_serves_with_damaged_bytes_waits_for_no_check(replica):
    content = files()
    digest = digest_of(content)
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    await replica.receive("PromotionRequested", model_id="m1", number=1, promotion_id="p1")
    await replica.store.remove([f"verified/{digest[7:]}/g1/model.onnx"])
    assert await replica.work(CHECK) == ["ArtifactQuarantined"]
    assert await replica.receive(
        "RolloutChanged", model_id="m1", environment="production", entries=[{"number": 1}]
    ) == ["Noted"]
    assert await replica.due(CHECK) == []


async def test_the_chain_of_causes_goes_through_the_work(replica):
    content = files()
    await replica.register(content, await replica.upload(content))
    await replica.work(VERIFY)
    stored = await replica.app.pool.fetch(
        "SELECT bytes FROM log.events_artifact WHERE stream = $1 ORDER BY revision",
        f"artifact-{digest_of(content)[7:]}",
    )
    events = [SERVICE.events.recorded("artifact", row["bytes"]) for row in stored]
    assert {r.correlation_id for r in events} == {"story-m1"}
    received = next(r for r in events if r.type == "ArtifactReceived")
    assert next(r for r in events if r.type == "ArtifactVerified").causation_id == str(received.event_id)
    assert next(r for r in events if r.type == "ArtifactVerified").actor.subject == "service:artifact"


async def test_a_rebuild_from_the_log_gives_the_same_rows(replica):
    content, other = files(), files()
    await replica.register(content, await replica.upload(content))
    await replica.register(other, await replica.upload({}), 2)
    await replica.work(VERIFY)
    await replica.receive(
        "RolloutChanged",
        model_id="m1",
        environment="production",
        entries=[{"number": 1}],
        previous=[{"number": 2}],
    )
    await replica.work(CHECK)
    await replica.work(UPLOAD)
    await retire(replica, digest_of(content))
    await replica.work(DELETE)
    async with replica.app.pool.acquire() as connection:
        before = await projector.digest(SERVICE, connection)
    await projector.rebuild(SERVICE, replica.app.pool)
    async with replica.app.pool.acquire() as connection:
        assert await projector.digest(SERVICE, connection) == before
