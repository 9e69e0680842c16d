"""Work that is due: outside of transactions bytes are read, copied, tagged and deleted; the result is a command.

Whatever dies in the middle is begun again by whoever leases the row next, and finds what was done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from services.artifact import queries
from services.artifact.domain.artifact import (
    RecordDamaged,
    RecordDeleted,
    RecordDiscarded,
    RecordIntact,
    RecordMismatched,
    RecordTagged,
    RecordVerified,
)
from services.artifact.domain.places import (
    NoSuchPlace,
    claimed_prefix,
    generation_of,
    stream_of_hex,
    upload_prefix,
    verified_prefix,
)
from services.artifact.domain.upload import ExpireUpload, RecordUploadDeleted
from services.artifact.domain.upload import stream_of as upload_stream
from services.artifact.projections import CHECK, DELETE, DISCARD, UPLOAD, VERIFY
from services.artifact.settings import ArtifactSettings
from services.artifact.stores import ObjectStore
from services.artifact.verification import Wrong, damage, verify
from shared.deciding.submission import Submission
from shared.http.app import App
from shared.log.due_work import DueRow, DueWork

AT_ONCE = 8
"""Pieces of work of one kind that run at once: a large artifact must not keep small ones waiting."""

EXPIRED_TAGS = {"regista-state": "expired"}
UPLOAD_AGAIN = "Upload the files again (POST /v1/uploads) and register the version with the new location."


@dataclass(frozen=True, slots=True)
class Bench:
    """What the work needs."""

    app: App
    store: ObjectStore
    settings: ArtifactSettings


def workers(bench: Bench) -> list[DueWork]:
    """One for each kind of work."""
    kinds: dict[str, Callable[[Bench, DueRow], Awaitable[Sequence[Submission]]]] = {
        VERIFY: verify_claim,
        CHECK: check_again,
        DELETE: delete,
        DISCARD: discard,
        UPLOAD: end_upload,
    }
    return [DueWork(kind, partial(handle, bench), concurrency=AT_ONCE) for kind, handle in kinds.items()]


async def verify_claim(b: Bench, row: DueRow) -> list[Submission]:
    """Bytes that a version claimed: right and copied to their generation's place, or wrong."""
    model_id, number, generation = row.data["model_id"], row.data["number"], row.data["generation"]
    claimed = await queries.claim(b.app.pool, model_id, number)
    if (
        claimed is None
        or claimed.withheld
        or (claimed.status, claimed.generation) != ("received", generation)
    ):
        return []
    target, digest = verified_prefix(claimed.hex, generation), f"sha256:{claimed.hex}"
    try:
        wrong = await verify(b.store, claimed_prefix(claimed.location, b.store.bucket), target, claimed.files)
    except NoSuchPlace as e:
        wrong = Wrong("", str(e))
    if wrong:
        detail = wrong.detail if wrong.found else f"{wrong.detail} {UPLOAD_AGAIN}"
        return _then(
            row,
            stream_of_hex(claimed.hex),
            RecordMismatched(model_id, number, generation, digest, wrong.found, detail),
        )
    command = RecordVerified(
        model_id, number, generation, digest, b.store.uri(target), claimed.files, b.settings.check_every
    )
    return _then(row, stream_of_hex(claimed.hex), command)


async def check_again(b: Bench, row: DueRow) -> list[Submission]:
    """Verified bytes of a version that serves or served.

    What differs is read twice before it is called damaged.
    """
    artifact = await queries.artifact(b.app.pool, row.key)
    if artifact is None or not artifact.verified:
        return []
    place = verified_prefix(row.key, artifact.verified)
    if await damage(b.store, place, artifact.files) and (
        told := await damage(b.store, place, artifact.files)
    ):
        return _then(row, stream_of_hex(row.key), RecordDamaged(artifact.verified, told))
    return _then(row, stream_of_hex(row.key), RecordIntact(artifact.verified, b.settings.check_every))


async def delete(b: Bench, row: DueRow) -> list[Submission]:
    """Expired bytes: first tagged, so that the bucket's own rules finish what we might not, then deleted.

    Younger generations are not touched.
    """
    hex_, generation = row.data["hex"], row.data["generation"]
    keys = [key for key in await b.store.keys(f"verified/{hex_}") if 0 < generation_of(key) <= generation]
    if not row.data["tagged"]:
        for key in keys:
            await b.store.tag(key, EXPIRED_TAGS)
        return _then(row, stream_of_hex(hex_), RecordTagged(generation, b.settings.delete_after), "tag")
    await b.store.remove(keys)
    return _then(row, stream_of_hex(hex_), RecordDeleted(generation), "delete")


async def discard(b: Bench, row: DueRow) -> list[Submission]:
    """What lies at a generation that was never verified and never will be. No other generation is touched."""
    hex_, generation = row.data["hex"], row.data["generation"]
    await b.store.remove(await b.store.keys(verified_prefix(hex_, generation)))
    return _then(row, stream_of_hex(hex_), RecordDiscarded(generation))


async def end_upload(b: Bench, row: DueRow) -> list[Submission]:
    """An upload whose time is over: closed unless a verification still needs it, then deleted."""
    prefix = upload_prefix(row.key)
    if row.data["expired"]:
        await b.store.remove(await b.store.keys(prefix))
        return _then(row, upload_stream(row.key), RecordUploadDeleted(row.key), "delete")
    if await queries.awaited(b.app.pool, row.key, b.store.uri(prefix)):
        return []
    return _then(row, upload_stream(row.key), ExpireUpload(row.key), "expire")


def _then(row: DueRow, stream: str, command: Any, part: str = "") -> list[Submission]:
    return [Submission(command, (stream,), replace(row.cause(part), **row.data["caused"]), row.actor)]
