"""Look up what a command needs before it is submitted: its stream, and what the makers of a claim have."""

from __future__ import annotations

from services.artifact import queries
from services.artifact.domain.noted import ClaimedArtifact
from services.artifact.domain.object_keys import BadLocation, claimed_folder, hex_of, is_upload_id
from services.artifact.domain.possession import Proof, has_all
from services.artifact.parts import Parts
from shared.deciding.access import readable_namespaces
from shared.http.app import App
from shared.messaging.kafka import Malformed


async def digest_of(app: App, model_id: str, number: int, claimed: str | None) -> str | None:
    """Return the digest that a version was noted with, else the digest in the message (`claimed`), else None.

    Raises Malformed when the message names something else than a digest.
    """
    if noted := await queries.hex_of(app.pool, model_id, number):
        return f"sha256:{noted}"
    try:
        return f"sha256:{hex_of(claimed)}" if claimed else None
    except BadLocation as e:
        raise Malformed(str(e)) from e


async def proof_of(app: App, makers: frozenset[str], artifact: ClaimedArtifact) -> Proof:
    """Return what the makers of a version have shown about the bytes that it claims."""
    if not makers:
        return Proof()
    own, complete = await _own_upload(app, makers, artifact)
    reads = not complete and await _all_read(app, makers, hex_of(artifact.digest))
    return Proof(own, complete, reads)


async def _own_upload(app: App, makers: frozenset[str], artifact: ClaimedArtifact) -> tuple[bool, bool]:
    """Return whether a maker owns the claimed location, and whether all files are there and were hashed."""
    parts = app.parts_as(Parts)
    try:
        folder = claimed_folder(artifact.location, parts.store.root)
    except BadLocation:
        return False, False
    if not is_upload_id(folder):
        return folder in makers, False
    upload = await parts.uploads.get(folder)
    if upload is None or upload.subject not in makers:
        return False, False
    return True, artifact.location == folder and has_all(upload, artifact.files)


async def _all_read(app: App, makers: frozenset[str], hex_: str) -> bool:
    """Return whether each maker may read a version that the bytes are available to."""
    await app.access.catch_up()
    for maker in sorted(makers):
        namespaces = readable_namespaces(app.access.identities.with_roles(maker))
        if not await queries.available_in(app.pool, hex_, namespaces):
            return False
    return True
