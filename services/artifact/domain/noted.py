"""The fields of the registry's events that this service reads, and the form in which it notes them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from regista.wire.digests import FileEntry
from shared.deciding.events import Noted, Source

REGISTERED = "regista.registry.VersionRegistered.v1"
DRAFT_REGISTERED = "regista.registry.DraftRegistered.v1"
RETIRED = "regista.registry.VersionRetired.v1"
REJECTED = "regista.registry.VersionRejected.v1"
RECALLED = "regista.registry.VersionRecalled.v1"
REINSTATED = "regista.registry.VersionReinstated.v1"
ROLLOUT_CHANGED = "regista.registry.RolloutChanged.v1"
ROLLED_BACK = "regista.registry.RolledBack.v1"
PROMOTION_REQUESTED = "regista.registry.PromotionRequested.v1"


class ClaimedArtifact(msgspec.Struct, frozen=True):
    """The claim of a publisher: the manifest's digest (`sha256:<hex>`), its files, and the upload."""

    digest: str
    files: tuple[FileEntry, ...] = ()
    location: str = ""


class VersionRegistered(msgspec.Struct, frozen=True):
    """A version became complete. `artifact` is None for kinds that need no bytes.

    A draft has the same form: its artifact is None unless it is to be verified before the draft is complete.

    `requester_subject` made it complete. `contributors` sent any of its metadata.
    """

    model_id: str
    model: str
    number: int
    artifact: ClaimedArtifact | None = None
    requester_subject: str = ""
    contributors: tuple[str, ...] = ()

    @property
    def makers(self) -> frozenset[str]:
        """The subjects that claim the artifact."""
        return frozenset((self.requester_subject, *self.contributors)) - {""}


class VersionEnded(msgspec.Struct, frozen=True):
    """A version was retired or rejected. A rejection names no digest."""

    model_id: str
    model: str
    number: int
    artifact_digest: str | None = None


class VersionRecalled(msgspec.Struct, frozen=True):
    """A version must no longer be used. Its bytes stay as evidence."""

    model_id: str
    model: str
    number: int
    reason: str = ""
    artifact_digest: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """A version in a rollout."""

    number: int


class RolloutChanged(msgspec.Struct, frozen=True):
    """The versions that serve now (`entries`) and served before (`previous`).

    A rollback has the same form.
    """

    model_id: str
    model: str
    environment: str
    entries: tuple[Entry, ...] = ()
    previous: tuple[Entry, ...] = ()

    @property
    def numbers(self) -> frozenset[int]:
        """Every version that serves or served."""
        return frozenset(entry.number for entry in (*self.entries, *self.previous))


class PromotionRequested(msgspec.Struct, frozen=True):
    """The promotion of a version to Production was requested."""

    model_id: str
    number: int


RegistryData = VersionRegistered | VersionEnded | VersionRecalled | RolloutChanged | PromotionRequested


@dataclass(frozen=True, slots=True)
class Message:
    """A registry event as received: its source, its leaf in the registry's log, and the data read."""

    source: Source
    leaf: str
    data: RegistryData

    def as_noted(self) -> Noted:
        """Return the event that stores this message in the log of this service."""
        return Noted(self.source, self.leaf, msgspec.to_builtins(self.data))
