"""The due work of this service: read, copy, tag and delete bytes outside of transactions.

The result of each piece of work is a command. Work that ends in the middle is repeated by the next process
that leases its row, and finds what was done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from services.artifact import queries
from services.artifact.domain.artifact_commands import (
    ArtifactCommand,
    RecordDamaged,
    RecordDeleted,
    RecordDiscarded,
    RecordIntact,
    RecordMismatched,
    RecordTagged,
    RecordVerified,
)
from services.artifact.domain.object_keys import (
    BadLocation,
    claimed_prefix,
    generation_of,
    is_upload_id,
    stream_of_hex,
    upload_prefix,
    verified_prefix,
)
from services.artifact.domain.upload import ExpireUpload, RecordUploadDeleted, UploadCommand
from services.artifact.domain.upload import stream_of as upload_stream
from services.artifact.parts import Parts
from services.artifact.projections import CHECK, DELETE, DISCARD, UPLOAD, VERIFY
from services.artifact.queries import Claimed
from services.artifact.stored_bytes import Wrong, damage, verify
from services.artifact.stores import ObjectStore, StoredObject
from shared.deciding.submission import Submission
from shared.http.app import App
from shared.log.due_work import DueRow, DueWork

CONCURRENCY = 8
"""Rows of one kind that are worked on at the same time: a large artifact does not delay small ones."""

EXPIRED_TAGS = {"regista-state": "expired"}
UPLOAD_AGAIN = "Upload the files again and register the version with the new location."
Work = Callable[[App, DueRow], Awaitable[Sequence[Submission]]]


def due_work(app: App) -> list[DueWork]:
    """Return the handler of each kind of due work."""
    kinds: dict[str, Work] = {
        VERIFY: verify_claim,
        CHECK: check_again,
        DELETE: delete_expired,
        DISCARD: discard_copy,
        UPLOAD: end_upload,
    }
    return [DueWork(kind, partial(work, app), concurrency=CONCURRENCY) for kind, work in kinds.items()]


async def verify_claim(app: App, row: DueRow) -> list[Submission]:
    """Verify the bytes that a version claims, and copy them to their generation."""
    model_id, number, generation = row.data["model_id"], row.data["number"], row.data["generation"]
    claimed = await queries.claim(app.pool, model_id, number)
    if claimed is None or claimed.withheld or claimed.awaits != generation:
        return []
    parts, stream, digest = app.parts_as(Parts), stream_of_hex(claimed.hex), f"sha256:{claimed.hex}"
    target = verified_prefix(claimed.hex, generation)
    if wrong := await _verified(app, claimed, target):
        detail = f"{wrong.detail} {UPLOAD_AGAIN}" if wrong.missing else wrong.detail
        mismatched = RecordMismatched(model_id, number, generation, digest, detail)
        return _then(row, stream, mismatched)
    uri, every = parts.store.uri(target), parts.settings.check_every
    return _then(row, stream, RecordVerified(model_id, number, generation, digest, uri, claimed.files, every))


async def _verified(app: App, claimed: Claimed, target: str) -> Wrong | None:
    store = app.parts_as(Parts).store
    try:
        source = claimed_prefix(claimed.location, store.root)
    except BadLocation as e:
        return Wrong(str(e), missing=True)
    received: dict[str, StoredObject] = {}
    if is_upload_id(claimed.location):
        upload = await queries.upload(app.transactor, claimed.location)
        received = {name: StoredObject(f.size, f.sha256, f.etag) for name, f in upload.files.items()}
    return await verify(store, source, target, claimed.files, received)


async def check_again(app: App, row: DueRow) -> list[Submission]:
    """Check the verified bytes of a version that serves or served. A difference must be read twice."""
    artifact = await queries.artifact(app.pool, row.key)
    if artifact is None or not artifact.verified:
        return []
    parts, prefix = app.parts_as(Parts), verified_prefix(row.key, artifact.verified)
    damaged = ""
    for _ in range(2):
        damaged = await damage(parts.store, prefix, artifact.files)
        if not damaged:
            intact = RecordIntact(artifact.verified, parts.settings.check_every)
            return _then(row, stream_of_hex(row.key), intact)
    return _then(row, stream_of_hex(row.key), RecordDamaged(artifact.verified, damaged))


async def delete_expired(app: App, row: DueRow) -> list[Submission]:
    """Tag expired bytes first, then delete them. Newer generations are not touched.

    The tag lets the bucket's own lifecycle rules delete what this service does not.
    """
    hex_, generation, parts = row.data["hex"], row.data["generation"], app.parts_as(Parts)
    keys = [key for key in await parts.store.keys(f"verified/{hex_}") if 0 < generation_of(key) <= generation]
    if not row.data["tagged"]:
        for key in keys:
            await parts.store.tag(key, EXPIRED_TAGS)
        return _then(row, stream_of_hex(hex_), RecordTagged(generation, parts.settings.delete_after), "tag")
    await parts.store.remove(keys)
    return _then(row, stream_of_hex(hex_), RecordDeleted(generation), "delete")


async def discard_copy(app: App, row: DueRow) -> list[Submission]:
    """Delete the objects of a generation that was never verified and never will be."""
    hex_, generation, store = row.data["hex"], row.data["generation"], app.parts_as(Parts).store
    await _remove_all(store, verified_prefix(hex_, generation))
    return _then(row, stream_of_hex(hex_), RecordDiscarded(generation))


async def end_upload(app: App, row: DueRow) -> list[Submission]:
    """End an upload whose time is over, unless a verification needs it; then delete its files."""
    prefix, store = upload_prefix(row.key), app.parts_as(Parts).store
    if row.data["expired"]:
        await _remove_all(store, prefix)
        return _then(row, upload_stream(row.key), RecordUploadDeleted(row.key), "delete")
    if await queries.awaited(app.pool, row.key, store.uri(prefix)):
        return []
    return _then(row, upload_stream(row.key), ExpireUpload(row.key), "expire")


async def _remove_all(store: ObjectStore, prefix: str) -> None:
    await store.remove(await store.keys(prefix))


def _then(
    row: DueRow, stream: str, command: ArtifactCommand | UploadCommand, part: str = ""
) -> list[Submission]:
    return [Submission(command, (stream,), replace(row.cause(part), **row.data["caused"]), row.actor)]
