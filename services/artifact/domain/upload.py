"""Uploads: who may add files to one, and when what nobody claimed goes. The bytes of an upload are never served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from shared.decider import Decider, Forbidden, NotFound, RuleBroken


@dataclass(frozen=True, slots=True)
class UploadOpened:
    """`subject` may put files here until `expires_at`."""

    SCHEMA: ClassVar[int] = 1
    upload_id: str
    subject: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UploadExpired:
    """Nothing is added or claimed any more; the files will be deleted."""

    SCHEMA: ClassVar[int] = 1
    upload_id: str


@dataclass(frozen=True, slots=True)
class UploadDeleted:
    """The files are gone."""

    SCHEMA: ClassVar[int] = 1
    upload_id: str


UploadEvent = UploadOpened | UploadExpired | UploadDeleted


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A new upload by `subject`, kept for `keep`."""

    upload_id: str
    subject: str
    keep: timedelta
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class AddFile:
    """`subject` is about to put a file into an upload that is open."""

    upload_id: str
    subject: str


@dataclass(frozen=True, slots=True)
class ExpireUpload:
    """The time of the upload is over and no verification still needs it."""

    upload_id: str


@dataclass(frozen=True, slots=True)
class RecordUploadDeleted:
    """Its files are gone."""

    upload_id: str


UploadCommand = OpenUpload | AddFile | ExpireUpload | RecordUploadDeleted


@dataclass(frozen=True, slots=True)
class UploadState:
    revision: int = 0
    subject: str = ""
    expired: bool = False
    deleted: bool = False


def evolve(s: UploadState, event: UploadEvent) -> UploadState:
    """The fold of `upload-<uuid>`."""
    s = replace(s, revision=s.revision + 1)
    match event:
        case UploadOpened():
            return replace(s, subject=event.subject)
        case UploadExpired():
            return replace(s, expired=True)
        case UploadDeleted():
            return replace(s, deleted=True)
    return s


def decide(c: UploadCommand, s: UploadState) -> Sequence[UploadEvent]:
    """Events of `upload-<uuid>`."""
    match c:
        case OpenUpload():
            if c.now is None:
                raise ValueError("the command needs the time it is decided at")
            return [] if s.subject else [UploadOpened(c.upload_id, c.subject, c.now + c.keep)]
        case AddFile():
            if not s.subject:
                raise NotFound("unknown_upload", "There is no such upload: leave `upload` out to open one.", upload=c.upload_id)
            if s.subject != c.subject:
                raise Forbidden("upload_of_another", "Somebody else opened this upload: leave `upload` out to open your own.", upload=c.upload_id)
            if s.expired:
                raise RuleBroken(
                    "upload_expired", "The upload was kept too long without being registered: upload the files again.", upload=c.upload_id
                )
            return []
        case ExpireUpload():
            return [UploadExpired(c.upload_id)] if s.subject and not s.expired else []
        case RecordUploadDeleted():
            return [UploadDeleted(c.upload_id)] if s.expired and not s.deleted else []


def stream_of(upload_id: str) -> str:
    """The stream of an upload."""
    return f"upload-{upload_id}"


UPLOAD: Decider[Any, UploadEvent, UploadState] = Decider("upload", UploadState(), decide, evolve)
