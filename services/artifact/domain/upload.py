"""Decide who may add files to an upload, and when an upload that no version claims is deleted.

The bytes of an upload are never served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, assert_never

from immutables import Map

from regista.wire.file_names import conflict, problem_of_name, spellings
from services.artifact.domain.manifest import Limits
from shared.deciding.decider import NO_TIME, Decider, NotFound, RuleBroken, Unprocessable

UPLOAD_EXPIRED = "The upload expired before it was registered: upload the files again."


@dataclass(frozen=True, slots=True)
class UploadOpened:
    """`subject` may put files into the upload until `expires_at`."""

    upload_id: str
    subject: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FileAdded:
    """A file was stored. It replaces an earlier one of the same name.

    `sha256` was computed from the bytes on their way to the store. `etag` is the store's own name for exactly
    this content ("" where the answer of the store is not known).
    """

    SCHEMA: ClassVar[int] = 2

    upload_id: str
    name: str
    size: int
    sha256: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class UploadExpired:
    """The upload takes no more files and no claim. Its files will be deleted."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class UploadDeleted:
    """The files are deleted."""

    upload_id: str


UploadEvent = UploadOpened | FileAdded | UploadExpired | UploadDeleted


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """Open a new upload of `subject`, kept for `keep`."""

    upload_id: str
    subject: str
    keep: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class AddFile:
    """Check that `subject` may put a file into an open upload.

    The file will arrive within `within`, so no file arrives after the upload has expired.
    """

    upload_id: str
    subject: str
    name: str
    limits: Limits
    within: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordFile:
    """Record that a file is stored, with what the store answered for it."""

    upload_id: str
    name: str
    size: int
    sha256: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class ExpireUpload:
    """End an upload whose time is over and that no verification needs."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class RecordUploadDeleted:
    """Record that the files of an upload are deleted."""

    upload_id: str


UploadCommand = OpenUpload | AddFile | RecordFile | ExpireUpload | RecordUploadDeleted


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of an upload, as it was stored."""

    size: int
    sha256: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class UploadState:
    """An upload: its owner, its files by name, and whether it has expired.

    `spelled` are the names of its files and folders, by the form in which they are compared.
    """

    revision: int = 0
    subject: str = ""
    expires_at: datetime | None = None
    files: Map[str, UploadedFile] = field(default_factory=Map)
    spelled: Map[str, str] = field(default_factory=Map)
    bytes: int = 0
    expired: bool = False
    deleted: bool = False


def evolve(s: UploadState, event: UploadEvent) -> UploadState:
    """Fold one event of `upload-<uuid>`."""
    s = replace(s, revision=s.revision + 1)
    match event:
        case UploadOpened():
            return replace(s, subject=event.subject, expires_at=event.expires_at)
        case FileAdded():
            before = s.files.get(event.name)
            file = UploadedFile(event.size, event.sha256, event.etag)
            size = s.bytes + event.size - (before.size if before else 0)
            files = s.files.set(event.name, file)
            return replace(s, files=files, spelled=s.spelled.update(spellings(event.name)), bytes=size)
        case UploadExpired():
            return replace(s, expired=True)
        case UploadDeleted():
            return replace(s, deleted=True)
        case _:
            assert_never(event)


def decide(c: UploadCommand, s: UploadState) -> Sequence[UploadEvent]:
    """Return the events of `upload-<uuid>` that follow from a command."""
    match c:
        case OpenUpload():
            if s.subject not in {"", c.subject}:
                raise _unknown(c.upload_id)
            return [] if s.subject else [UploadOpened(c.upload_id, c.subject, c.now + c.keep)]
        case AddFile():
            _check_may_add(c, s)
            return []
        case RecordFile():
            return _record(c, s)
        case ExpireUpload():
            return [UploadExpired(c.upload_id)] if s.subject and not s.expired else []
        case RecordUploadDeleted():
            return [UploadDeleted(c.upload_id)] if s.expired and not s.deleted else []
        case _:
            assert_never(c)


def _record(c: RecordFile, s: UploadState) -> list[UploadEvent]:
    if s.expired:
        raise RuleBroken("upload_expired", UPLOAD_EXPIRED, upload=c.upload_id)
    file = UploadedFile(c.size, c.sha256, c.etag)
    if not s.subject or s.files.get(c.name) == file:
        return []
    return [FileAdded(c.upload_id, c.name, c.size, c.sha256, c.etag)]


def _unknown(upload_id: str) -> NotFound:
    """Return the same answer for an upload of another subject as for one that does not exist."""
    return NotFound(
        "unknown_upload", "You have no such upload: leave `upload` out to open one.", upload=upload_id
    )


def _check_may_add(c: AddFile, s: UploadState) -> None:
    if s.subject != c.subject or s.expires_at is None:
        raise _unknown(c.upload_id)
    if s.expired or c.now + c.within > s.expires_at:
        raise RuleBroken("upload_expired", UPLOAD_EXPIRED, upload=c.upload_id)
    _check_limits(c, s)
    if problem := problem_of_name(c.name) or conflict(c.name, s.spelled, s.files):
        raise Unprocessable("unusable_name", f"Choose another name: {problem}.")


def _check_limits(c: AddFile, s: UploadState) -> None:
    if c.name not in s.files and len(s.files) >= c.limits.files:
        raise RuleBroken(
            "too_many_files",
            f"An artifact may have {c.limits.files} files: pack small ones together.",
            limit=c.limits.files,
        )
    if s.bytes >= c.limits.bytes:
        raise RuleBroken(
            "artifact_too_large",
            f"An artifact may have {c.limits.bytes} bytes, the upload has {s.bytes}: use smaller files.",
            limit=c.limits.bytes,
        )


def stream_of(upload_id: str) -> str:
    return f"upload-{upload_id}"


UPLOAD: Decider[UploadCommand, UploadEvent, UploadState] = Decider(
    "upload", UploadState(), evolve, decide=decide
)
