"""Uploads: who may add files to one, and when what nobody claimed goes.

The bytes of an upload are never served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from immutables import Map

from services.artifact.domain.manifest import Limits
from shared.deciding.decider import NO_TIME, Decider, Forbidden, NotFound, RuleBroken, Unprocessable

UPLOAD_EXPIRED = "The upload was kept too long without being registered: upload the files again."


@dataclass(frozen=True, slots=True)
class UploadOpened:
    """`subject` may put files here until `expires_at`."""

    upload_id: str
    subject: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FileAdded:
    """A file of `size` bytes lies there; one of the same name was replaced."""

    upload_id: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class UploadExpired:
    """Nothing is added or claimed any more; the files will be deleted."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class UploadDeleted:
    """The files are gone."""

    upload_id: str


UploadEvent = UploadOpened | FileAdded | UploadExpired | UploadDeleted


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A new upload by `subject`, kept for `keep`."""

    upload_id: str
    subject: str
    keep: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class AddFile:
    """`subject` is about to put a file into an upload that is open, and ends within `within`: so none arrives after the upload expired."""

    upload_id: str
    subject: str
    name: str
    limits: Limits
    within: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The file is there."""

    upload_id: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class ExpireUpload:
    """The time of the upload is over and no verification still needs it."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class RecordUploadDeleted:
    """Its files are gone."""

    upload_id: str


UploadCommand = OpenUpload | AddFile | RecordFile | ExpireUpload | RecordUploadDeleted


@dataclass(frozen=True, slots=True)
class UploadState:
    revision: int = 0
    subject: str = ""
    expires_at: datetime | None = None
    files: Map[str, int] = field(default_factory=Map)
    bytes: int = 0
    expired: bool = False
    deleted: bool = False


def evolve(s: UploadState, event: UploadEvent) -> UploadState:
    """The fold of `upload-<uuid>`."""
    s = replace(s, revision=s.revision + 1)
    match event:
        case UploadOpened():
            return replace(s, subject=event.subject, expires_at=event.expires_at)
        case FileAdded():
            return replace(
                s,
                files=s.files.set(event.name, event.size),
                bytes=s.bytes + event.size - s.files.get(event.name, 0),
            )
        case UploadExpired():
            return replace(s, expired=True)
        case UploadDeleted():
            return replace(s, deleted=True)
    return s


def decide(c: UploadCommand, s: UploadState) -> Sequence[UploadEvent]:
    """Events of `upload-<uuid>`."""
    match c:
        case OpenUpload():
            return [] if s.subject else [UploadOpened(c.upload_id, c.subject, c.now + c.keep)]
        case AddFile():
            _check_open(c, s)
            return []
        case RecordFile():
            if s.expired:
                raise RuleBroken("upload_expired", UPLOAD_EXPIRED, upload=c.upload_id)
            return (
                [FileAdded(c.upload_id, c.name, c.size)]
                if s.subject and s.files.get(c.name) != c.size
                else []
            )
        case ExpireUpload():
            return [UploadExpired(c.upload_id)] if s.subject and not s.expired else []
        case RecordUploadDeleted():
            return [UploadDeleted(c.upload_id)] if s.expired and not s.deleted else []


def _check_open(c: AddFile, s: UploadState) -> None:
    if not s.subject or s.expires_at is None:
        raise NotFound(
            "unknown_upload", "There is no such upload: leave `upload` out to open one.", upload=c.upload_id
        )
    if s.subject != c.subject:
        raise Forbidden(
            "upload_of_another",
            "Somebody else opened this upload: leave `upload` out to open your own.",
            upload=c.upload_id,
        )
    if s.expired or c.now + c.within > s.expires_at:
        raise RuleBroken("upload_expired", UPLOAD_EXPIRED, upload=c.upload_id)
    if c.name not in s.files and len(s.files) >= c.limits.files:
        raise RuleBroken(
            "too_many_files",
            f"An artifact may have {c.limits.files} files: pack small ones together.",
            limit=c.limits.files,
        )
    if s.bytes >= c.limits.bytes:
        raise RuleBroken(
            "artifact_too_large",
            f"An artifact may have {c.limits.bytes} bytes, and the upload has {s.bytes}.",
            limit=c.limits.bytes,
        )

    folders = {c.name[:at] for at, letter in enumerate(c.name) if letter == "/"}
    if other := next((name for name in s.files if name in folders or name.startswith(f"{c.name}/")), None):
        raise Unprocessable(
            "unusable_name", f"{c.name!r} and {other!r} would be a file and a folder at once: rename one."
        )


def stream_of(upload_id: str) -> str:
    """The stream of an upload."""
    return f"upload-{upload_id}"


UPLOAD: Decider[Any, UploadEvent, UploadState] = Decider("upload", UploadState(), evolve, decide=decide)
