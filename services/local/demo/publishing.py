"""Act 2: upload artifacts and publish `ModelTrained` to Kafka, as a training pipeline does.

Also messages that must be refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer

from regista.client.async_publication import AsyncPublication
from regista.errors import Refused
from regista.publishing import publication
from regista.publishing.kafka import connection
from regista.publishing.publication import MODEL_TRAINED, TOPIC
from regista.wire.cloudevents import to_kafka
from regista.wire.digests import FileEntry, manifest_digest
from regista.wire.keys import generate_signing_key, load_signing_key
from services.local.demo.narration import DemoError, Timed, until
from services.local.demo.scene import Scene

GOOD = ("first", "more data", "new code", "new schema")


async def publish_good(scene: Scene, generation: str) -> None:
    """Publish (upload, sign, send) and wait for the registered version."""
    timed, trained = Timed(), scene.trained[generation]
    publication = await scene.pipeline.publish(
        scene.model,
        trained.path,
        trained.run,
        tier="medium",
        on_behalf_of=scene.subjects["ada"],
        compare_with=compared_with(scene, generation),
    )
    await _registered(scene, generation, publication, timed)


def compared_with(scene: Scene, generation: str) -> int | None:
    """Return the version to compare with.

    None for the newest validated one, unless the pipeline names another.
    """
    return None if generation in GOOD else scene.versions["more data"].number


async def _registered(scene: Scene, generation: str, publication: AsyncPublication, timed: Timed) -> None:
    scene.versions[generation] = await publication.wait()
    version = await scene.ada.version(scene.reference(generation))
    bump: Mapping[str, Any] = version.get("bump") or {}
    level = f"{str(bump['level']).upper()} " if bump.get("level") else ""
    scene.narrator.line(
        f"Kafka → registered as {scene.name(generation)}: {level}because {bump.get('rule', '?')}",
        timed.seconds,
    )


async def publish_incomplete(scene: Scene) -> None:
    """Publish without the data set's hash.

    Refused with the field's name, before a byte is sent. Then publish a draft and complete it.
    """
    timed, trained = Timed(), scene.trained["incomplete"]
    facts: dict[str, Any] = {
        "tier": "medium",
        "on_behalf_of": scene.subjects["ada"],
        "base": compared_with(scene, "incomplete"),
    }
    dataset, trained.run.dataset = trained.run.dataset, None
    try:
        await (await scene.pipeline.publish(scene.model, trained.path, trained.run, **facts)).wait()
    except Refused as refusal:
        scene.narrator.line(
            f"refused: {'; '.join(f'{p.field}: {p.problem}' for p in refusal.problems)}", timed.seconds
        )
    else:
        raise DemoError("a version without its data set's hash was registered")
    timed = Timed()
    draft = await scene.pipeline.publish(scene.model, trained.path, trained.run, **facts, draft=True)
    scene.versions["incomplete"] = await draft.wait()
    scene.narrator.line(
        f"the same as a draft: #{scene.versions['incomplete'].number}, no semantic version yet", timed.seconds
    )
    timed = Timed()
    trained.run.dataset = dataset
    await scene.pipeline.complete(
        scene.reference("incomplete"), {"training": {"dataset": dataset}, "base": facts["base"]}
    )
    version = await scene.until_version("incomplete", lambda v: bool(v.get("semver")), "gets its number")
    scene.versions["incomplete"] = publication.registered(version)
    scene.narrator.line(f"completed with the hash: {scene.name('incomplete')}", timed.seconds)


async def publish_altered(scene: Scene) -> None:
    """Publish a checksum that the uploaded bytes do not have."""
    timed, trained = Timed(), scene.trained["altered"]
    uploaded = await scene.pipeline.upload(trained.path)
    claimed = [
        FileEntry(f["path"], f["size"], hashlib.sha256(b"other bytes").hexdigest()) for f in uploaded["files"]
    ]
    files = [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in claimed]
    data = _document(scene, "altered") | {
        "artifact": {"digest": manifest_digest(claimed), "files": files, "location": uploaded["location"]}
    }
    await _registered(scene, "altered", await scene.pipeline.publish_document(data, via="kafka"), timed)


def _document(scene: Scene, generation: str) -> dict[str, Any]:
    run, creator = scene.trained[generation].run, scene.pipeline.profile.creator
    return publication.document(
        scene.model,
        run,
        tier="medium",
        creator=creator,
        on_behalf_of=scene.subjects["ada"],
        compare_with=compared_with(scene, generation),
    )


async def publish_unreadable(scene: Scene) -> None:
    """Send a message with a forged signature, and bytes that are no event.

    Both become dead letters; the partition continues.
    """
    timed = Timed()
    real = load_signing_key(scene.pipeline.profile.key_file)
    forged = generate_signing_key(real.subject, real.key_id)
    event = publication.event(MODEL_TRAINED, scene.model, _document(scene, "first"), forged)
    key, value, headers = to_kafka(event)
    producer = AIOKafkaProducer(**connection(scene.pipeline.profile))
    await producer.start()
    try:
        sent = [
            await producer.send_and_wait(TOPIC, value, key=key, headers=headers),
            await producer.send_and_wait(TOPIC, b"\x00\xff no event at all", key=key),
        ]
    finally:
        await producer.stop()
    for content, metadata in zip(("a forged signature", "bytes that are no event"), sent, strict=True):
        found = await _dead_letter(scene, metadata.partition, metadata.offset)
        scene.narrator.line(f"dead letter for {content}: {found['reason']}", timed.seconds)


async def _dead_letter(scene: Scene, partition: int, offset: int) -> Mapping[str, Any]:
    async def look() -> Mapping[str, Any] | None:
        found = await scene.people["admin"].dead_letters("registry", topic=TOPIC)
        return next(
            (one for one in found if (one.get("partition"), one.get("offset")) == (partition, offset)), None
        )

    return await until(look, f"the dead letter of {TOPIC}/{partition}/{offset}")
