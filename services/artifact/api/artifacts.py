"""Show artifacts and download their verified files."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from regista.wire.digests import FileEntry
from services.artifact import queries
from services.artifact.api.problems import store_problem
from services.artifact.domain.artifact_commands import RequestCheck
from services.artifact.domain.download import part_of, refusal
from services.artifact.domain.object_keys import BadLocation, hex_of, stream_of_hex, verified_prefix
from services.artifact.parts import Parts
from services.artifact.queries import Artifact, Referring
from services.artifact.shapes import ArtifactAnswer, FileAnswer, VersionAnswer
from services.artifact.stores import NoSuchObject, ObjectStore, StoreUnavailable
from shared.deciding.access import ANY_ROLE, namespace_of, permits
from shared.deciding.decider import NotFound
from shared.deciding.submission import Submission
from shared.http.problems import Problem
from shared.http.routes import Call, Route

MEDIA_TYPE = "application/octet-stream"


async def show_artifact(call: Call[None, None]) -> ArtifactAnswer:
    """Show an artifact to a caller who may read one of its versions."""
    artifact, versions = await _readable(call)
    folder = f"/v1/artifacts/sha256:{artifact.hex}/files/"
    return ArtifactAnswer(
        digest=f"sha256:{artifact.hex}",
        state=artifact.state,
        generation=artifact.verified,
        uri=artifact.uri,
        size=artifact.size,
        files=[
            FileAnswer(path=f.path, size=f.size, sha256=f.sha256, href=folder + quote(f.path))
            for f in artifact.files
        ],
        versions=[_version(v) for v in versions],
        first_at=artifact.first_at,
        checked_at=artifact.checked_at,
        delete_at=artifact.delete_at,
    )


def _version(v: Referring) -> VersionAnswer:
    return VersionAnswer(
        model_id=v.model_id,
        model=v.model,
        number=v.number,
        status=v.status,
        withdrawn=v.withdrawn,
        rejected=v.rejected,
        detail=v.detail,
        since=v.changed_at,
    )


async def download_file(call: Call[None, None]) -> Response:
    """Send a verified file, or one range of it, to a caller who may read a version it is available to."""
    artifact, versions = await _readable(call)
    if refused := refusal(artifact.state, versions):
        raise Problem(409, refused.code, refused.detail, state=artifact.state)
    entry = next((f for f in artifact.files if f.path == call.path["path"]), None)
    if entry is None:
        names = ", ".join(f.path for f in artifact.files[:20])
        raise NotFound("unknown_file", f"The artifact has no such file; it has {names}.")
    _require_unchanged(call, entry)
    start, length = _requested_part(call, entry)
    headers = _headers_of(entry, start, length)
    if headers["etag"] in call.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": headers["etag"]})
    status = 206 if length != entry.size else 200
    if call.request.method == "HEAD":
        return Response(None, status, headers, MEDIA_TYPE)
    body = await _opened(call, artifact, entry, start, length)
    return StreamingResponse(body, status, headers, MEDIA_TYPE)


def _require_unchanged(call: Call[None, None], entry: FileEntry) -> None:
    """Raise 412 unless the file is the one that If-Match names: a part of another file would not fit."""
    wanted = call.headers.get("if-match", "*").strip()
    if wanted != "*" and f'"{entry.sha256}"' not in {one.strip() for one in wanted.split(",")}:
        detail = f"The file is not the one of If-Match: its ETag is its SHA-256, {entry.sha256}."
        raise Problem(412, "file_changed", detail)


def _requested_part(call: Call[None, None], entry: FileEntry) -> tuple[int, int]:
    part = part_of(call.headers.get("range", ""), entry.size)
    if part is None:
        raise Problem(
            416,
            "range_not_satisfiable",
            f"The file has {entry.size} bytes: request a range that starts before its end.",
            {"content-range": f"bytes */{entry.size}"},
        )
    return part


def _headers_of(entry: FileEntry, start: int, length: int) -> dict[str, str]:
    headers = {
        "content-length": str(length),
        "accept-ranges": "bytes",
        "etag": f'"{entry.sha256}"',
        "x-content-type-options": "nosniff",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(entry.path.rpartition('/')[2])}",
        "cache-control": "private, immutable",
    }
    if length != entry.size:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{entry.size}"
    return headers


async def _opened(
    call: Call[None, None], artifact: Artifact, entry: FileEntry, start: int, length: int
) -> AsyncGenerator[bytes]:
    """Return the bytes of a file. A file that is missing in the store is answered as 503 and checked."""
    key = f"{verified_prefix(artifact.hex, artifact.verified)}/{entry.path}"
    try:
        return await _begun(call.app.parts_as(Parts).store, key, start, length)
    except NoSuchObject as missing:
        command = RequestCheck(artifact.verified)
        await call.app.transactor.submit(
            Submission(command, (stream_of_hex(artifact.hex),), call.cause(), call.actor)
        )
        detail = "The stored file is missing and is checked now: report it to the operator."
        raise Problem(503, "bytes_missing", detail) from missing


async def _begun(store: ObjectStore, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
    """Return the bytes after the first piece was read, so that a failure is answered as a problem.

    Raises NoSuchObject.
    """
    chunks = store.read(key, start, length)
    try:
        first = await anext(chunks, b"")
    except StoreUnavailable as unavailable:
        raise store_problem(unavailable) from unavailable

    async def rest() -> AsyncGenerator[bytes]:
        async with contextlib.aclosing(chunks):
            yield first
            async for chunk in chunks:
                yield chunk

    return rest()


async def _readable(call: Call[None, None]) -> tuple[Artifact, list[Referring]]:
    """Return the artifact of the path and its versions that the caller may read. Raises NotFound."""
    digest = call.path["digest"]
    try:
        hex_ = hex_of(digest if ":" in digest else f"sha256:{digest}")
    except BadLocation as e:
        raise NotFound("unknown_artifact", str(e)) from e
    artifact = await queries.artifact(call.app.pool, hex_)
    found = await queries.references(call.app.pool, hex_) if artifact else []
    versions = [v for v in found if permits(call.access_state, ANY_ROLE, namespace_of(v.model))]
    if artifact is None or not versions:
        raise NotFound(
            "unknown_artifact",
            "No version that you may read refers to this digest: "
            "check it, or request a role in the model's namespace.",
        )
    if not any(v.proven for v in versions):  # an unproven claim does not show the artifact of another version
        artifact = Artifact(artifact.hex, "Received", 0, None, None, (), artifact.first_at, None, None)
    return artifact, versions


ROUTES = (
    Route(
        "GET",
        "/v1/artifacts/{digest}",
        show_artifact,
        "An artifact: its state, files and versions",
        response=ArtifactAnswer,
        tags=["artifacts"],
    ),
    Route(
        "GET",
        "/v1/artifacts/{digest}/files/{path:path}",
        download_file,
        "One verified file (ranges: bytes=from-to; If-Match)",
        content_etag=True,
        tags=["artifacts"],
    ),
)
