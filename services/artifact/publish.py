"""Map the stored events of artifacts to public events. Field names are a contract: see schemas/public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from services.artifact.domain import artifact_events as stored
from services.artifact.domain.artifact_events import VersionRef
from services.artifact.domain.upload import FileAdded, UploadDeleted, UploadEvent, UploadExpired, UploadOpened
from shared.deciding.events import Noted, Recorded
from shared.deciding.service import PublicEvent


@dataclass(frozen=True, slots=True)
class ArtifactReceived:
    """A version's bytes are about to be verified."""

    digest: str
    model_id: str
    number: int
    generation: int


@dataclass(frozen=True, slots=True)
class ArtifactVerified:
    """The bytes at `uri` hash to the digest. Published again after each later check."""

    digest: str
    uri: str
    generation: int
    size: int


@dataclass(frozen=True, slots=True)
class ArtifactReleased:
    """The version may be loaded from `uri`.

    Published again after each check while the version serves or served.
    """

    digest: str
    model_id: str
    number: int
    uri: str
    generation: int
    size: int


@dataclass(frozen=True, slots=True)
class ArtifactMismatched:
    """The claim of the version is wrong. Final for the version.

    `found` is the digest of the files named, "" when they have none or the stored bytes differ.
    """

    digest: str
    found: str
    model_id: str
    number: int
    detail: str


@dataclass(frozen=True, slots=True)
class ArtifactQuarantined:
    """The version must not be loaded.

    Its list of files is refused (`generation` 0: final), or its stored bytes are damaged (until they are
    uploaded again).
    """

    digest: str
    model_id: str
    number: int
    generation: int
    detail: str


@dataclass(frozen=True, slots=True)
class ArtifactRecalled:
    """The bytes are no longer served to the version.

    `others` are the other versions of the same bytes: they are still served.
    """

    digest: str
    model_id: str
    number: int
    reason: str
    others: tuple[VersionRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtifactExpired:
    """No version refers to the artifact: its bytes will be deleted."""

    digest: str
    generation: int
    versions: tuple[VersionRef, ...]


@dataclass(frozen=True, slots=True)
class ExpiryTagged:
    """The objects carry the expiry tag and are deleted at `delete_at`."""

    digest: str
    generation: int
    delete_at: datetime


@dataclass(frozen=True, slots=True)
class ArtifactDeleted:
    """The bytes are deleted."""

    digest: str
    generation: int
    model_ids: tuple[str, ...]
    versions: tuple[VersionRef, ...]


_CLASSES = (
    ArtifactReceived,
    ArtifactVerified,
    ArtifactReleased,
    ArtifactMismatched,
    ArtifactQuarantined,
    ArtifactRecalled,
    ArtifactExpired,
    ExpiryTagged,
    ArtifactDeleted,
)
PUBLIC: dict[str, type] = {f"regista.artifact.{class_.__name__}.v1": class_ for class_ in _CLASSES}
"""Every public type and the shape of its data."""


def publish(recorded: Recorded) -> PublicEvent | None:
    """Return the public form of an event, or None."""
    data = _public(recorded.event)
    return PublicEvent(f"regista.artifact.{type(data).__name__}.v1", data) if data else None


def _public(event: stored.ArtifactEvent | UploadEvent) -> object | None:
    match event:
        case stored.ArtifactReceived() as e:
            return ArtifactReceived(e.digest, e.model_id, e.number, e.generation)
        case stored.ArtifactVerified() as e:
            return ArtifactVerified(e.digest, e.uri, e.generation, e.size)
        case stored.ArtifactReleased() as e:
            return ArtifactReleased(e.digest, e.model_id, e.number, e.uri, e.generation, e.size)
        case stored.ArtifactMismatched() as e:
            return ArtifactMismatched(e.digest, e.found, e.model_id, e.number, e.detail)
        case stored.ArtifactQuarantined() as e:
            return ArtifactQuarantined(e.digest, e.model_id, e.number, e.generation, e.detail)
        case stored.ArtifactRecalled() as e:
            return ArtifactRecalled(e.digest, e.model_id, e.number, e.reason, e.others)
        case stored.ArtifactExpired() as e:
            return ArtifactExpired(e.digest, e.generation, e.versions)
        case stored.ExpiryTagged() as e:
            return ExpiryTagged(e.digest, e.generation, e.delete_at)
        case stored.ArtifactDeleted() as e:
            return ArtifactDeleted(
                e.digest, e.generation, tuple(sorted({v.model_id for v in e.versions})), e.versions
            )
        case (
            Noted()
            | stored.CheckAsked()
            | stored.CopyLeft()
            | stored.CopyDiscarded()
            | UploadOpened()
            | FileAdded()
            | UploadExpired()
            | UploadDeleted()
        ):
            return None
        case _:
            assert_never(event)
