"""Upload the files of an artifact."""

from __future__ import annotations

import hashlib
import hmac
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import UUID

from regista.wire import limits
from regista.wire.digests import FileEntry
from regista.wire.file_names import problem_of_name
from services.artifact import queries
from services.artifact.api.problems import store_problem
from services.artifact.domain.manifest import Limits, problem_of_form
from services.artifact.domain.object_keys import BadLocation, upload_prefix
from services.artifact.domain.upload import AddFile, OpenUpload, RecordFile, stream_of
from services.artifact.parts import Parts
from services.artifact.settings import ArtifactSettings
from services.artifact.shapes import (
    FolderQuery,
    UploadAnswer,
    Uploaded,
    UploadedEntry,
    UploadLimits,
    UploadQuery,
)
from services.artifact.stores import NoSuchObject, ObjectStore, StoredObject, StoreUnavailable
from shared.deciding.access import EVERYWHERE, AccessState
from shared.deciding.decider import Forbidden, NotFound, RuleBroken
from shared.deciding.submission import (
    Cause,
    IdempotencyMismatch,
    Permission,
    Submission,
    request_digest,
)
from shared.http.problems import Problem
from shared.http.routes import Call, Reply, Route

QUARANTINE_TAGS = {"regista-state": "quarantine"}
Record = Callable[[StoredObject], Awaitable[None]]


async def upload_file(call: Call[None, UploadQuery]) -> Reply:
    """Store a file in quarantine. The answer follows when the file is stored and recorded."""
    parts, name = call.app.parts_as(Parts), call.query.name
    permission = _publisher_permission(call.access_state)
    _require_path(name)
    _require_plain_bytes(call)
    limit = parts.settings.artifact_max_file_bytes
    declared = call.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    cause = call.cause()
    upload_id, replayed = await _open(call, cause, permission)

    async def record(file: StoredObject) -> None:
        digest = request_digest(cause.digest, file.sha256)
        command = RecordFile(upload_id, name, file.size, file.sha256, file.etag)
        await call.app.transactor.submit(
            Submission(
                command,
                (stream_of(upload_id),),
                replace(cause, id=f"{cause.id}/stored", digest=digest),
                call.actor,
            )
        )

    key, chunks = f"{upload_prefix(upload_id)}/{name}", _bounded(call.stream(), limit)
    if replayed:
        file = await _stored(parts.store, key, _recorded_first(chunks, record))
    else:
        file = await _stored(parts.store, key, chunks)
        await _record_or_remove(parts.store, key, file, record)
    answer = Uploaded(location=upload_id, name=name, size=file.size, sha256=file.sha256)
    return Reply(answer, headers={"location": f"/v1/uploads/{upload_id}"})


async def _open(call: Call[None, UploadQuery], cause: Cause, permission: Permission) -> tuple[str, bool]:
    """Open the upload, or check that it is open. Return its id, and whether this very request came before."""
    settings, subject, query = call.app.parts_as(Parts).settings, call.actor.subject, call.query
    command: AddFile | OpenUpload
    if query.folder:
        upload_id = await _open_folder(call, cause, permission)
        command = AddFile(upload_id, subject, query.name, settings.limits, settings.upload_timeout)
    elif query.upload:
        command = AddFile(query.upload, subject, query.name, settings.limits, settings.upload_timeout)
    else:
        await _require_room(call, settings)
        command = OpenUpload(_new_upload_id(cause, settings.pepper), subject, settings.keep_upload)
    try:
        upload_prefix(command.upload_id)
    except BadLocation as e:
        raise NotFound("unknown_upload", str(e)) from e
    outcome = await call.app.transactor.submit(
        Submission(command, (stream_of(command.upload_id),), cause, call.actor, permission=permission)
    )
    return command.upload_id, outcome.replayed


async def _open_folder(call: Call[None, UploadQuery], cause: Cause, permission: Permission) -> str:
    """Open the caller's upload of this name unless it is open. Return its id."""
    settings, subject, query = call.app.parts_as(Parts).settings, call.actor.subject, call.query
    if query.upload:
        raise Problem(422, "two_uploads", "Name either the upload or the folder, not both.")
    upload_id = _folder_id(subject, query.folder, settings.pepper)
    if not (await queries.upload(call.app.transactor, upload_id)).subject:
        await _require_room(call, settings)
        command = OpenUpload(upload_id, subject, settings.keep_upload)
        opened = replace(cause, id=f"{cause.id}/folder")
        await call.app.transactor.submit(
            Submission(command, (stream_of(upload_id),), opened, call.actor, permission=permission)
        )
    return upload_id


def _folder_id(subject: str, folder: str, pepper: str) -> str:
    """Return the id of a subject's upload of this name, which no one guesses without the pepper."""
    key = f"folder\n{subject}\n{folder}".encode()
    return str(UUID(bytes=hmac.digest(pepper.encode(), key, "sha256")[:16], version=4))


async def show_folder(call: Call[None, FolderQuery]) -> UploadAnswer:
    """Return the caller's upload of this name, with its files. Their bytes are not served."""
    settings, subject = call.app.parts_as(Parts).settings, call.actor.subject
    upload_id = _folder_id(subject, call.query.folder, settings.pepper)
    found = await queries.upload(call.app.transactor, upload_id)
    if found.subject != subject or found.expires_at is None or found.expired:
        raise NotFound("unknown_upload", "You have no open upload of this name: add a file to it first.")
    files = [
        UploadedEntry(path=name, size=one.size, sha256=one.sha256)
        for name, one in sorted(found.files.items())
    ]
    return UploadAnswer(location=upload_id, files=files, expires_at=found.expires_at)


def _new_upload_id(cause: Cause, pepper: str) -> str:
    """Return the id of a new upload: the same for a repeated request, and unguessable without the pepper.

    An Idempotency-Key may be guessable, and so is the subject.
    """
    key = f"upload\n{cause.source}\n{cause.id}".encode()
    return str(UUID(bytes=hmac.digest(pepper.encode(), key, "sha256")[:16], version=4))


async def _require_room(call: Call[None, UploadQuery], settings: ArtifactSettings) -> None:
    limit, subject = settings.artifact_max_uploads, call.actor.subject
    if await queries.open_uploads(call.app.pool, subject) >= limit:
        detail = f"{subject} has {limit} uploads open: register them, or wait until they expire."
        raise Problem(429, "too_many_uploads", detail, limit=limit)


async def _stored(store: ObjectStore, key: str, chunks: AsyncIterator[bytes]) -> StoredObject:
    try:
        return await store.put(key, chunks, QUARANTINE_TAGS)
    except StoreUnavailable as unavailable:
        raise store_problem(unavailable) from unavailable
    except NoSuchObject as taken:
        name = key.split("/", 2)[2]
        detail = f"{name!r} would be a file and a folder of the same name: choose another name."
        raise Problem(422, "unusable_name", detail) from taken
    except TimeoutError as silent:
        detail = "No byte arrived for a minute: send the file again."
        raise Problem(408, "upload_silent", detail) from silent


async def _record_or_remove(store: ObjectStore, key: str, file: StoredObject, record: Record) -> None:
    try:
        await record(file)
    except IdempotencyMismatch:
        raise  # a concurrent request has the same key: the stored file may be that of the other one
    except RuleBroken:
        await store.remove([key])
        raise


def _publisher_permission(state: AccessState) -> Permission:
    """Return the permission to upload: publisher in any namespace.

    The namespace is known only at registration.
    """
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


def _require_path(name: str) -> None:
    if problem := problem_of_name(name):
        raise Problem(422, "unusable_name", f"Choose another name: {problem}.")
    if problem := problem_of_form([FileEntry(name, 0, "")], Limits()):
        raise Problem(422, "unusable_name", problem)


def _require_plain_bytes(call: Call[None, UploadQuery]) -> None:
    """Raise 415 for a body that is not the file itself: it would be stored as it is."""
    name = call.query.name
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = call.headers.get("content-encoding", "").strip().lower()
    as_body = (
        "Send the bytes of the file as the body: repeat the call (curl) with "
        f"`--data-binary {shlex.quote('@' + name)} -H 'Content-Type: application/octet-stream'` instead of a "
        "form; address and key stay."
    )
    if kind.startswith("multipart/"):
        raise Problem(415, "not_the_file", f"The body is {kind}, with other bytes around the file. {as_body}")
    if kind == "application/x-www-form-urlencoded":  # curl's default; its -d has removed each line end
        raise Problem(415, "not_the_file", f"The body is sent as a form ({kind}). {as_body}")
    if coding not in {"", "identity"}:
        raise Problem(415, "not_the_file", f"The body is compressed ({coding:.40}). {as_body}")


def _too_large(limit: int) -> Problem:
    return Problem(413, "file_too_large", f"A file may have {limit} bytes: split it.", limit=limit)


async def _bounded(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


async def _recorded_first(chunks: AsyncIterator[bytes], record: Record) -> AsyncIterator[bytes]:
    """Record a repeated upload before it replaces the stored file.

    Other bytes than the first time are refused by the record, and the file of the first time stays.
    """
    size, digest = 0, hashlib.sha256()
    async for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
        yield chunk
    await record(StoredObject(size, digest.hexdigest(), ""))


async def show_limits(call: Call[None, None]) -> UploadLimits:
    """Return what an upload may hold, so that a client checks it before it sends."""
    settings = call.app.parts_as(Parts).settings
    return UploadLimits(
        files=settings.artifact_max_files,
        file_bytes=settings.artifact_max_file_bytes,
        artifact_bytes=settings.artifact_max_bytes,
        path_bytes=limits.PATH_BYTES,
        part_bytes=limits.PART_BYTES,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/uploads/limits",
        show_limits,
        "What an upload may hold",
        response=UploadLimits,
        tags=["artifacts"],
    ),
    Route(
        "GET",
        "/v1/uploads",
        show_folder,
        "The caller's upload of a name, with its files",
        query=FolderQuery,
        response=UploadAnswer,
        tags=["artifacts"],
    ),
    Route(
        "POST",
        "/v1/uploads",
        upload_file,
        "Upload one file of an artifact",
        query=UploadQuery,
        response=Uploaded,
        status=201,
        streams=True,
        tags=["artifacts"],
    ),
)
