"""The life of an artifact on real servers: claimed, verified, served, checked again, left, deleted."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from services.artifact import queries
from services.artifact.projections import CHECK, DELETE, DISCARD, UPLOAD, VERIFY
from services.artifact.service import SERVICE
from services.artifact.stores import NoSuchObject
from services.artifact.verification import verify
from shared.log import projector
from tests.integration.artifact.conftest import digest_of, manifest, pieces, sum_of, whole, without_etag

pytestmark = pytest.mark.servers


def files() -> dict[str, bytes]:
    """An artifact that no other test has."""
    return {"model.onnx": uuid.uuid4().bytes * 200_000, "config/labels.json": b'["a", "b"]', "empty": b""}


async def test_bytes_that_are_what_was_claimed_are_copied_hashed_again_and_released(shop):
    content = files()
    digest, upload = digest_of(content), await shop.upload(content)
    assert await shop.registered(content, upload) == ["Noted", "ArtifactReceived"]
    assert await shop.work(VERIFY) == ["ArtifactVerified", "ArtifactReleased"]
    for name, expected in content.items():
        key = f"verified/{digest[7:]}/g1/{name}"
        assert without_etag(await shop.store.read_and_hash(key)) == sum_of(expected)
        assert await shop.store.tags(key) == {"regista-state": "verified"}
    assert await shop.state(digest) == "Verified"
    assert await shop.due(VERIFY) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"model.onnx": b"other bytes"}, "model.onnx differs from what was claimed"),
        ({"config/labels.json": b'["a", "c"]'}, "config/labels.json differs from what was claimed"),
        ({"model.onnx": None}, "model.onnx is not there"),
    ],
)
async def test_bytes_that_differ_end_the_reference_and_nothing_is_copied(shop, spoil, reason):
    content = files()
    digest = digest_of(content)
    upload = await shop.upload({name: data for name, data in (content | spoil).items() if data is not None})
    await shop.registered(content, upload)
    assert await shop.work(VERIFY) == ["ArtifactMismatched"]
    detail = await shop.app.pool.fetchval("SELECT detail FROM artifact_references WHERE hex = $1", digest[7:])
    assert reason in detail
    assert await shop.store.keys(f"verified/{digest[7:]}") == []
    assert await shop.due(VERIFY) == []


async def forged_and_honest(shop) -> tuple[dict[str, bytes], str]:
    content = files()
    forged, honest = await shop.upload(content | {"model.onnx": b"evil"}), await shop.upload(content)
    await shop.registered(content, forged, model="thief")
    await shop.registered(content, honest, model="owner")
    return content, digest_of(content)


async def test_a_forged_claim_never_poisons_the_digest_for_an_honest_one(shop):
    content, digest = await forged_and_honest(shop)
    for row in await shop.due(VERIFY):
        await shop.work(VERIFY, row)
    assert await shop.status(digest) == {("thief", 1): "mismatched", ("owner", 1): "released"}
    assert await whole(shop.store.read(f"verified/{digest[7:]}/g2/model.onnx")) == content["model.onnx"]


async def test_a_forged_claim_verified_at_the_same_time_never_changes_the_bytes(shop):
    content, digest = await forged_and_honest(shop)
    await asyncio.gather(*(shop.work(VERIFY, row) for row in await shop.due(VERIFY)))
    assert (await shop.status(digest))["owner", 1] == "released"
    assert await whole(shop.store.read(f"verified/{digest[7:]}/g2/model.onnx")) == content["model.onnx"]


async def test_a_place_that_is_no_upload_is_a_mismatch(shop):
    content = files()
    assert await shop.registered(content, "../../verified") == ["Noted", "ArtifactMismatched"]


async def test_a_verified_digest_serves_a_new_version_at_once(shop):
    content = files()
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    assert await shop.registered(content, await shop.upload(content), 2) == ["Noted", "ArtifactReleased"]


async def test_a_registration_told_twice_has_its_effect_once(shop):
    content = files()
    upload = await shop.upload(content)
    assert await shop.registered(content, upload, revision=7) == ["Noted", "ArtifactReceived"]
    await shop.work(VERIFY)
    assert await shop.registered(content, upload, revision=7) == []
    assert (await shop.events(digest_of(content))).count("ArtifactVerified") == 1


async def retire(shop, digest: str, number: int = 1) -> list[str]:
    return await shop.hear(
        "VersionRetired", model_id="m1", number=number, artifact_digest=digest, rule="unused"
    )


async def test_the_last_retirement_expires_tags_and_deletes(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    await shop.registered(content, await shop.upload(content), 2)
    assert await retire(shop, digest, 1) == ["Noted"]
    assert await retire(shop, digest, 2) == ["Noted", "ArtifactExpired"]
    assert await shop.work(DELETE) == ["ExpiryTagged"]
    assert await shop.store.tags(f"verified/{digest[7:]}/g1/model.onnx") == {"regista-state": "expired"}
    assert await shop.state(digest) == "Expired"
    assert await shop.work(DELETE) == ["ArtifactDeleted"]
    assert await shop.store.keys(f"verified/{digest[7:]}") == []
    assert await shop.state(digest) == "Deleted"
    assert await shop.due(DELETE) == []


async def test_a_rejected_version_keeps_its_verified_bytes_and_is_not_served(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    assert await shop.hear("VersionRejected", model_id="m1", number=1, reasons=["no"]) == ["Noted"]
    assert await shop.due(DELETE) == []
    assert without_etag(await shop.store.read_and_hash(f"verified/{digest[7:]}/g1/model.onnx")) == sum_of(
        content["model.onnx"]
    )
    (shown,) = await queries.references(shop.app.pool, digest[7:])
    assert (shown.status, shown.rejected) == ("released", True)
    assert await retire(shop, digest) == ["Noted", "ArtifactExpired"]


async def test_a_version_rejected_while_its_bytes_are_awaited_leaves_nothing(shop):
    content = files()
    await shop.registered(content, await shop.upload(content))
    assert await shop.hear("VersionRejected", model_id="m1", number=1, reasons=["malware"]) == [
        "Noted",
        "ArtifactExpired",
    ]
    assert await shop.due(VERIFY) == []


async def test_what_a_failed_claim_had_copied_is_deleted_and_nothing_else(shop):
    content = files()
    hex_ = digest_of(content)[7:]
    await shop.registered(content, await shop.upload(content | {"model.onnx": b"evil"}))
    await shop.store.put(
        f"verified/{hex_}/g1/empty", pieces(b""), {}
    )  # an attempt that died, before the upload was exchanged
    await shop.registered(content, await shop.upload(content), 2)
    assert sorted(await shop.work(VERIFY)) == ["ArtifactMismatched", "ArtifactReleased", "ArtifactVerified"]
    assert await shop.store.keys(f"verified/{hex_}/g1") == [f"verified/{hex_}/g1/empty"]
    assert await shop.work(DISCARD) == ["CopyDiscarded"]
    assert {key.split("/")[2] for key in await shop.store.keys(f"verified/{hex_}")} == {"g2"}
    assert await shop.due(DISCARD) == []


async def test_a_late_worker_whose_upload_is_gone_takes_nothing_from_released_bytes(shop):
    content = files()
    digest, upload = digest_of(content), await shop.upload(content)
    await shop.registered(content, upload)
    (row,) = await shop.due(VERIFY)
    await shop.work(VERIFY, row)
    kept = f"verified/{digest[7:]}/g1"
    await shop.store.remove([*await shop.store.keys(f"quarantine/{upload}"), f"{kept}/empty"])
    assert await verify(shop.store, f"quarantine/{upload}", kept, manifest(content)) is not None
    assert await shop.store.keys(kept) == [f"{kept}/config/labels.json", f"{kept}/model.onnx"]


async def test_bytes_are_kept_for_a_while_after_they_were_tagged_where_the_settings_say_so(open_shop, store):
    shop, content = await open_shop(store, artifact_delete_after=3600), files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    await retire(shop, digest)
    assert await shop.work(DELETE) == ["ExpiryTagged"]
    left = await shop.app.pool.fetchval(
        "SELECT extract(epoch FROM due_at - now())::float8 FROM due WHERE kind = $1", DELETE
    )
    assert 3500 < left <= 3600
    assert await shop.store.keys(f"verified/{digest[7:]}")


async def test_an_artifact_larger_than_allowed_is_refused_before_a_byte_is_read(open_shop, store):
    shop, content = await open_shop(store, artifact_max_bytes=1000), files()
    assert await shop.registered(content, await shop.upload(content)) == ["Noted", "ArtifactQuarantined"]
    assert await shop.due(VERIFY) == []


async def test_a_late_delete_does_not_touch_the_same_bytes_uploaded_again(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    await retire(shop, digest)
    await shop.work(DELETE)
    (late,) = await shop.due(DELETE)
    assert await shop.registered(content, await shop.upload(content), 2) == ["Noted", "ArtifactReceived"]
    await shop.work(VERIFY)
    assert await shop.work(DELETE, late) == ["ArtifactDeleted"]
    await shop.work(DELETE, late)  # once more, by somebody whose lease ran out
    assert await shop.state(digest) == "Verified"
    assert {k.split("/")[2] for k in await shop.store.keys(f"verified/{digest[7:]}")} == {"g2"}
    assert await whole(shop.store.read(f"verified/{digest[7:]}/g2/model.onnx")) == content["model.onnx"]


async def test_a_recall_keeps_the_bytes(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    assert await shop.hear(
        "VersionRecalled", model_id="m1", number=1, reason="poisoned", artifact_digest=digest
    ) == ["Noted", "ArtifactRecalled"]
    assert await shop.due(DELETE) == []
    assert await shop.state(digest) == "Verified"


async def test_bytes_that_serve_are_checked_again_and_damage_is_found_and_healed(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    rollout = {
        "model_id": "m1",
        "environment": "production",
        "entries": [{"number": 1, "percent": 100, "role": "champion"}],
        "previous": [],
    }
    assert await shop.hear("RolloutChanged", **rollout) == ["Noted", "CheckAsked"]
    assert await shop.hear("RolloutChanged", **rollout) == []
    assert await shop.work(CHECK) == ["ArtifactVerified", "ArtifactReleased"]
    assert len(await shop.due(CHECK)) == 1
    await shop.store.put(f"verified/{digest[7:]}/g1/model.onnx", pieces(b"rot"), {})
    assert await shop.work(CHECK) == ["ArtifactQuarantined"]
    assert await shop.state(digest) == "Quarantined"
    assert await shop.due(CHECK) == []
    await shop.registered(content, await shop.upload(content), 2)
    assert await shop.work(VERIFY) == ["ArtifactVerified", "ArtifactReleased", "ArtifactReleased"]
    assert len(await shop.due(CHECK)) == 1


async def test_bytes_are_looked_at_again_when_their_version_is_to_be_promoted(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    assert await shop.due(CHECK) == []
    assert await shop.hear("PromotionRequested", model_id="m1", number=1, promotion_id="p1") == [
        "Noted",
        "CheckAsked",
    ]
    await shop.store.put(f"verified/{digest[7:]}/g1/model.onnx", pieces(b"rot"), {})
    assert await shop.work(CHECK) == ["ArtifactQuarantined"]


async def test_missing_bytes_are_damage_too(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    await shop.hear(
        "RolloutChanged", model_id="m1", environment="production", entries=[], previous=[{"number": 1}]
    )
    await shop.store.remove([f"verified/{digest[7:]}/g1/model.onnx"])
    assert await shop.work(CHECK) == ["ArtifactQuarantined"]


async def test_an_upload_that_nobody_claims_is_deleted_and_one_that_is_awaited_stays(shop):
    content = files()
    idle, needed = await shop.upload(files()), await shop.upload(content)
    await shop.registered(content, needed)
    assert await shop.work(UPLOAD) == ["UploadExpired"]
    assert [row.key for row in await shop.due(UPLOAD) if not row.data["expired"]] == [needed]
    assert (await shop.work(UPLOAD)).count("UploadDeleted") == 1
    assert await shop.store.keys(f"quarantine/{idle}") == []
    await shop.work(VERIFY)
    assert await shop.work(UPLOAD) == ["UploadExpired"]
    with pytest.raises(NoSuchObject):
        await shop.store.tags(f"quarantine/{idle}/model.onnx")
    assert await shop.state(digest_of(content)) == "Verified"


async def test_an_upload_stays_while_a_part_of_it_is_awaited(shop):
    content = files()
    upload = await shop.upload({f"sub/{name}": bytes_ for name, bytes_ in content.items()})
    registered = await shop.registered(content, f"{shop.store.uri(f'quarantine/{upload}/sub')}//")
    if not shop.store.bucket:  # a folder has no URI to claim
        assert registered == ["Noted", "ArtifactMismatched"]
        return
    assert await shop.work(UPLOAD) == []
    await shop.work(VERIFY)
    assert await shop.state(digest_of(content)) == "Verified"
    assert await shop.work(UPLOAD) == ["UploadExpired"]


async def test_a_version_that_serves_with_damaged_bytes_waits_for_no_check(shop):
    content = files()
    digest = digest_of(content)
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    await shop.hear("PromotionRequested", model_id="m1", number=1, promotion_id="p1")
    await shop.store.remove([f"verified/{digest[7:]}/g1/model.onnx"])
    assert await shop.work(CHECK) == ["ArtifactQuarantined"]
    assert await shop.hear(
        "RolloutChanged", model_id="m1", environment="production", entries=[{"number": 1}]
    ) == ["Noted"]
    assert await shop.due(CHECK) == []


async def test_the_chain_of_causes_goes_through_the_work(shop):
    content = files()
    await shop.registered(content, await shop.upload(content))
    await shop.work(VERIFY)
    stored = await shop.app.pool.fetch(
        "SELECT bytes FROM log.events_artifact WHERE stream = $1 ORDER BY revision",
        f"artifact-{digest_of(content)[7:]}",
    )
    told = [SERVICE.events.recorded("artifact", row["bytes"]) for row in stored]
    assert {r.correlation_id for r in told} == {"story-m1"}
    received = next(r for r in told if r.type == "ArtifactReceived")
    assert next(r for r in told if r.type == "ArtifactVerified").causation_id == str(received.event_id)
    assert next(r for r in told if r.type == "ArtifactVerified").actor.subject == "service:artifact"


async def test_a_rebuild_from_the_log_gives_the_same_rows(shop):
    content, other = files(), files()
    await shop.registered(content, await shop.upload(content))
    await shop.registered(other, await shop.upload({}), 2)
    await shop.work(VERIFY)
    await shop.hear(
        "RolloutChanged",
        model_id="m1",
        environment="production",
        entries=[{"number": 1}],
        previous=[{"number": 2}],
    )
    await shop.work(CHECK)
    await shop.work(UPLOAD)
    await retire(shop, digest_of(content))
    await shop.work(DELETE)
    async with shop.app.pool.acquire() as connection:
        before = await projector.digest(SERVICE, connection)
    await projector.rebuild(SERVICE, shop.app.pool)
    async with shop.app.pool.acquire() as connection:
        assert await projector.digest(SERVICE, connection) == before
