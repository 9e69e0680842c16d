"""HTTP: files go in, verified files come out, and whoever is refused is told why."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from regista.wire.digests import FileEntry, NoDigest, check_path
from services.artifact import queries
from services.artifact.domain.artifact import AskCheck
from services.artifact.domain.download import part_of, refusal
from services.artifact.domain.manifest import Limits, problem_of_form
from services.artifact.domain.places import NoSuchPlace, hex_of, stream_of_hex, upload_prefix, verified_prefix
from services.artifact.domain.upload import AddFile, OpenUpload, RecordFile, stream_of
from services.artifact.due_work import Bench
from services.artifact.queries import Artifact, Referring
from services.artifact.stores import NoSuchObject, ObjectStore, StoreAway
from shared.deciding.access import ANY_ROLE, EVERYWHERE, AccessState, namespace_of, permits
from shared.deciding.decider import Forbidden, NotFound, RuleBroken
from shared.deciding.submission import (
    Cause,
    IdempotencyMismatch,
    Permission,
    Submission,
    new_id,
    request_digest,
)
from shared.http.problems import Problem
from shared.http.routes import Body, Call, Reply, Route

QUARANTINE_TAGS = {"regista-state": "quarantine"}


class UploadQuery(Body):
    """`name`: the file's path in its artifact. `upload`: the upload to add it to; none opens a new one."""

    name: str = Field(min_length=1, max_length=600)
    upload: str = Field(default="", max_length=36)


class Uploaded(BaseModel):
    """`location` is what `ModelTrained.artifact.location` names, and `upload` of the artifact's next file."""

    location: str
    name: str
    size: int
    sha256: str


class VersionAnswer(BaseModel):
    """A version that refers or referred to the artifact.

    `recalled` or `rejected`: it is not served, whatever its status.
    """

    model_id: str
    model: str
    number: int
    status: str
    recalled: bool
    rejected: bool
    detail: str | None
    since: datetime


class FileAnswer(BaseModel):
    """One file, with where to get it."""

    path: str
    size: int
    sha256: str
    href: str


class ArtifactAnswer(BaseModel):
    """`files` are those of the verified manifest. Versions that the caller may not read are left out."""

    digest: str
    state: str
    generation: int
    uri: str | None
    size: int | None
    files: list[FileAnswer]
    versions: list[VersionAnswer]
    first_at: datetime
    checked_at: datetime | None
    delete_at: datetime | None


@dataclass(frozen=True, slots=True)
class Api:
    """The endpoints, with what they need."""

    bench: Bench

    def routes(self) -> list[Route]:
        """What is served."""
        settings = self.bench.settings
        return [
            Route(
                "POST",
                "/v1/uploads",
                self.upload,
                "Upload one file of an artifact",
                query=UploadQuery,
                response=Uploaded,
                status=201,
                streams=True,
                timeout=settings.artifact_upload_timeout,
                tags=["artifacts"],
            ),
            Route(
                "GET",
                "/v1/artifacts/{digest}",
                self.show,
                "An artifact: its state, files and versions",
                response=ArtifactAnswer,
                tags=["artifacts"],
            ),
            Route(
                "GET",
                "/v1/artifacts/{digest}/files/{path:path}",
                self.file,
                "One verified file (ranges: bytes=from-to)",
                tags=["artifacts"],
            ),
        ]

    async def upload(self, call: Call) -> Reply:
        """Bytes into quarantine. Answered when they are stored and the upload is on record."""
        query, store = call.query, self.bench.store
        permission = _publishing(call.access_state)
        _must_be_a_path(query.name)
        limit = self.bench.settings.artifact_max_file_bytes
        declared = call.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit)
        cause = call.cause()
        upload_id, repeated = await self._opened(call, cause, query, permission)
        key = f"{upload_prefix(upload_id)}/{query.name}"

        async def record(size: int, sha256: str) -> None:
            told = replace(cause, id=f"{cause.id}/stored", digest=request_digest(cause.digest, sha256))
            await call.app.transactor.submit(
                Submission(RecordFile(upload_id, query.name, size), (stream_of(upload_id),), told, call.actor)
            )

        chunks = _bounded(call.stream(), limit)
        try:
            found = await store.put(key, _recorded(chunks, record) if repeated else chunks, QUARANTINE_TAGS)
        except StoreAway as away:
            raise _away(away) from away
        except NoSuchObject as taken:
            raise Problem(
                422,
                "unusable_name",
                f"{query.name!r} would be a file and a folder at once: choose another name.",
            ) from taken
        except TimeoutError as silent:
            raise Problem(408, "upload_silent", "Nothing came for a minute: send the file again.") from silent
        if not repeated:
            try:
                await record(found.size, found.sha256)
            except IdempotencyMismatch:
                raise  # the same key at the same time: what lies there may be the other's
            except RuleBroken:
                await store.remove([key])
                raise
        answer = Uploaded(location=upload_id, name=query.name, size=found.size, sha256=found.sha256)
        return Reply(answer, headers={"location": f"/v1/uploads/{upload_id}"})

    async def _opened(
        self, call: Call, cause: Cause, query: UploadQuery, permission: Permission
    ) -> tuple[str, bool]:
        """The upload's id, and whether this very request came before."""
        settings, subject = self.bench.settings, call.actor.subject
        if (
            not query.upload
            and await queries.open_uploads(call.app.pool, subject) >= settings.artifact_max_uploads
        ):
            detail = f"{subject} has {settings.artifact_max_uploads} uploads open: register them, or wait until they expire."
            raise Problem(429, "too_many_uploads", detail, limit=settings.artifact_max_uploads)
        command = (
            AddFile(query.upload, subject, query.name, settings.limits, settings.upload_timeout)
            if query.upload
            else OpenUpload(str(new_id(cause, "upload")), subject, settings.keep_upload)
        )
        try:
            upload_prefix(command.upload_id)
        except NoSuchPlace as e:
            raise NotFound("unknown_upload", str(e)) from e
        outcome = await call.app.transactor.submit(
            Submission(command, (stream_of(command.upload_id),), cause, call.actor, permission=permission)
        )
        return command.upload_id, outcome.replayed

    async def show(self, call: Call) -> ArtifactAnswer:
        """For everybody who may read one of its versions."""
        artifact, versions = await self._readable(call)
        base = f"/v1/artifacts/sha256:{artifact.hex}/files/"
        files = [
            FileAnswer(path=f.path, size=f.size, sha256=f.sha256, href=base + quote(f.path))
            for f in artifact.files
        ]
        told = [
            VersionAnswer(
                model_id=v.model_id,
                model=v.model,
                number=v.number,
                status=v.status,
                recalled=v.recalled,
                rejected=v.rejected,
                detail=v.detail,
                since=v.changed_at,
            )
            for v in versions
        ]
        return ArtifactAnswer(
            digest=f"sha256:{artifact.hex}",
            state=artifact.state,
            generation=artifact.verified,
            uri=artifact.uri,
            size=artifact.size,
            files=files,
            versions=told,
            first_at=artifact.first_at,
            checked_at=artifact.checked_at,
            delete_at=artifact.delete_at,
        )

    async def file(self, call: Call) -> Response:
        """Verified bytes only, for everybody who may read a version they are released to."""
        artifact, versions = await self._readable(call)
        if refused := refusal(artifact.state, versions):
            raise Problem(409, refused.code, refused.detail, state=artifact.state)
        entry = next((f for f in artifact.files if f.path == call.path["path"]), None)
        if entry is None:
            raise NotFound(
                "unknown_file",
                f"The artifact has no such file; it has {', '.join(f.path for f in artifact.files[:20])}.",
            )
        found = part_of(call.headers.get("range", ""), entry.size)
        if found is None:
            raise Problem(
                416,
                "range_not_satisfiable",
                f"The file has {entry.size} bytes.",
                {"content-range": f"bytes */{entry.size}"},
            )
        start, length = found
        headers = {
            "content-length": str(length),
            "accept-ranges": "bytes",
            "etag": f'"{entry.sha256}"',
            "x-content-type-options": "nosniff",
            "content-disposition": f"attachment; filename*=UTF-8''{quote(entry.path.rpartition('/')[2])}",
            "cache-control": "private, immutable",
        }
        if headers["etag"] in call.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={"etag": headers["etag"]})
        partial = length != entry.size
        if partial:
            headers["content-range"] = f"bytes {start}-{start + length - 1}/{entry.size}"
        if call.request.method == "HEAD":
            return Response(None, 206 if partial else 200, headers, "application/octet-stream")
        key = f"{verified_prefix(artifact.hex, artifact.verified)}/{entry.path}"
        try:
            body = await _begun(self.bench.store, key, start, length)
        except NoSuchObject as gone:
            command = AskCheck(artifact.verified)
            await call.app.transactor.submit(
                Submission(command, (stream_of_hex(artifact.hex),), call.cause(), call.actor)
            )
            raise Problem(
                503,
                "bytes_missing",
                "The stored file is missing: it is checked now, and quarantined if so. Tell the operator.",
            ) from gone
        return StreamingResponse(body, 206 if partial else 200, headers, "application/octet-stream")

    async def _readable(self, call: Call) -> tuple[Artifact, list[Referring]]:
        try:
            hex_ = hex_of(
                call.path["digest"] if ":" in call.path["digest"] else f"sha256:{call.path['digest']}"
            )
        except NoSuchPlace as e:
            raise NotFound("unknown_artifact", str(e)) from e
        artifact = await queries.artifact(call.app.pool, hex_)
        found = await queries.references(call.app.pool, hex_) if artifact else []
        versions = [v for v in found if permits(call.access_state, ANY_ROLE, namespace_of(v.model))]
        if artifact is None or not versions:
            raise NotFound(
                "unknown_artifact",
                "No version that you may read refers to this digest: check it, or ask for a role in the model's namespace.",
            )
        if not any(v.generation for v in versions):  # a forged claim opens nothing of somebody else's
            artifact = Artifact(artifact.hex, "Received", 0, None, None, (), artifact.first_at, None, None)
        return artifact, versions


def _publishing(state: AccessState) -> Permission:
    """A namespace is known only when a version is registered: to upload, being a publisher anywhere is enough."""
    grant = next(
        (grant for _, grant in sorted(state.grants.items()) if grant.role in {"publisher", "admin"}), None
    )
    if grant is None:
        raise Forbidden(
            "role_missing",
            f"{state.subject} needs the role 'publisher' in some namespace: an admin grants it.",
            role="publisher",
        )
    return Permission("publisher", "" if grant.namespace == EVERYWHERE else grant.namespace)


def _must_be_a_path(name: str) -> None:
    try:
        check_path(name)
    except NoDigest as e:
        raise Problem(422, "unusable_name", f"Choose another name: {e}.") from e
    if problem := problem_of_form([FileEntry(name, 0, "")], Limits()):
        raise Problem(422, "unusable_name", problem)


def _too_large(limit: int) -> Problem:
    return Problem(413, "file_too_large", f"A file may have {limit} bytes: split it.", limit=limit)


def _away(away: StoreAway) -> Problem:
    return Problem(
        503,
        "store_away",
        f"The object store cannot be used now ({away}); repeat the request.",
        {"retry-after": "5"},
    )


async def _bounded(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


async def _recorded(
    chunks: AsyncIterator[bytes], record: Callable[[int, str], Awaitable[None]]
) -> AsyncIterator[bytes]:
    """A repeated upload is on record before it replaces anything: with other bytes than the first time it is refused, and those of the first time stay."""
    size, digest = 0, hashlib.sha256()
    async for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
        yield chunk
    await record(size, digest.hexdigest())


async def _begun(store: ObjectStore, key: str, start: int, length: int) -> AsyncGenerator[bytes]:
    """The bytes, the first of them already read: what is wrong is answered as a problem, not as a broken stream. Raises NoSuchObject."""
    chunks = store.read(key, start, length)
    try:
        first = await anext(chunks, b"")
    except StoreAway as away:
        raise _away(away) from away

    async def rest() -> AsyncGenerator[bytes]:
        async with contextlib.aclosing(chunks):
            yield first
            async for chunk in chunks:
                yield chunk

    return rest()
