"""The stored events of `artifact-<hex>`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from regista.wire.digests import FileEntry
from shared.deciding.events import Noted


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version of a model."""

    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class ArtifactReceived:
    """A version claims that its bytes are stored at `location`.

    The verified bytes will be stored under `generation`. A generation is never used twice. `proven`: the
    makers of the version have shown that they have the bytes or may read them, so the version is released
    with whichever copy is verified first. Otherwise it waits until its own location is verified.
    """

    SCHEMA: ClassVar[int] = 2

    digest: str
    generation: int
    model_id: str
    model: str
    number: int
    location: str
    size: int
    proven: bool = False


@dataclass(frozen=True, slots=True)
class ArtifactVerified:
    """The stored bytes hash to the digest.

    Each later check adds this event again, with `files` empty: the files are unchanged. `check_again_at` is
    set while a version that serves or served refers to the artifact.
    """

    digest: str
    generation: int
    uri: str
    size: int
    files: tuple[FileEntry, ...] = ()
    check_again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ArtifactMismatched:
    """The claim of a version is wrong.

    The event ends the reference of this version only. `found` is the digest of the files named, ""
    when they have none or the stored bytes differ. (Older events name the digest of the stored bytes.)
    """

    digest: str
    found: str
    model_id: str
    number: int
    generation: int
    detail: str


@dataclass(frozen=True, slots=True)
class ArtifactQuarantined:
    """The version must not use the bytes.

    The list of files is refused (`generation` 0), or stored bytes are damaged.
    """

    digest: str
    model_id: str
    number: int
    generation: int
    detail: str


@dataclass(frozen=True, slots=True)
class ArtifactReleased:
    """The version may be loaded from `uri`."""

    digest: str
    model_id: str
    number: int
    uri: str
    generation: int
    size: int


@dataclass(frozen=True, slots=True)
class ArtifactRecalled:
    """The version must no longer be loaded. The bytes stay as evidence until the version is retired.

    `others` are the other versions of the same bytes that are neither recalled nor ended.
    """

    SCHEMA: ClassVar[int] = 2

    digest: str
    model_id: str
    number: int
    reason: str
    others: tuple[VersionRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtifactExpired:
    """No version refers to the artifact: everything up to `generation` will be deleted.

    `versions` are those that referred to it.
    """

    digest: str
    generation: int
    versions: tuple[VersionRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpiryTagged:
    """The objects up to `generation` carry the expiry tag. They are deleted at `delete_at`."""

    digest: str
    generation: int
    delete_at: datetime


@dataclass(frozen=True, slots=True)
class ArtifactDeleted:
    """The bytes up to `generation` are deleted. This event remains.

    `settled` are the generations whose expiry it completes.
    """

    digest: str
    generation: int
    settled: tuple[int, ...]
    versions: tuple[VersionRef, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckAsked:
    """The verified bytes of `generation` must be checked now.

    A version of them serves or is about to serve, or a reader found a file missing.
    """

    digest: str
    generation: int


@dataclass(frozen=True, slots=True)
class CopyLeft:
    """A copy to `generation` ended after it was no longer needed. The objects it wrote will be deleted."""

    digest: str
    generation: int


@dataclass(frozen=True, slots=True)
class CopyDiscarded:
    """The objects of `generation`, which was never verified and never will be, are deleted."""

    digest: str
    generation: int


OwnEvent = (
    ArtifactReceived
    | ArtifactVerified
    | ArtifactMismatched
    | ArtifactQuarantined
    | ArtifactReleased
    | ArtifactRecalled
    | ArtifactExpired
    | ExpiryTagged
    | ArtifactDeleted
    | CheckAsked
    | CopyLeft
    | CopyDiscarded
)
ArtifactEvent = Noted | OwnEvent
