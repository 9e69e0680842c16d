"""What this service reads of the registry's events, and the form in which it notes them.

Fields not named here are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from regista.wire.digests import FileEntry
from shared.deciding.events import Noted, Source

REGISTERED = "regista.registry.VersionRegistered.v1"
RETIRED = "regista.registry.VersionRetired.v1"
REJECTED = "regista.registry.VersionRejected.v1"
RECALLED = "regista.registry.VersionRecalled.v1"
ROLLOUT_CHANGED = "regista.registry.RolloutChanged.v1"
ROLLED_BACK = "regista.registry.RolledBack.v1"
PROMOTION_REQUESTED = "regista.registry.PromotionRequested.v1"


class ClaimedArtifact(msgspec.Struct, frozen=True):
    """What a publisher claims: the manifest's digest (`sha256:<hex>`), its files, and the upload where they lie."""

    digest: str
    files: tuple[FileEntry, ...] = ()
    location: str = ""


class VersionRegistered(msgspec.Struct, frozen=True):
    """A version became complete. Kinds that need no bytes have no artifact."""

    model_id: str
    model: str
    number: int
    artifact: ClaimedArtifact | None = None


class VersionEnded(msgspec.Struct, frozen=True):
    """A version was retired or rejected. A rejection names no digest."""

    model_id: str
    model: str
    number: int
    artifact_digest: str | None = None


class VersionRecalled(msgspec.Struct, frozen=True):
    """A version must not be used any more; its bytes stay as evidence."""

    model_id: str
    model: str
    number: int
    reason: str = ""
    artifact_digest: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """A version in a rollout."""

    number: int


class RolloutChanged(msgspec.Struct, frozen=True):
    """Who serves now (`entries`) and who served before (`previous`); a rollback has the same form."""

    model_id: str
    model: str
    environment: str
    entries: tuple[Entry, ...] = ()
    previous: tuple[Entry, ...] = ()

    @property
    def numbers(self) -> frozenset[int]:
        """Every version that serves or did."""
        return frozenset(entry.number for entry in (*self.entries, *self.previous))


class PromotionRequested(msgspec.Struct, frozen=True):
    """Somebody wants to bring a version to Production."""

    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class Message:
    """A registry event as it arrived: where from, its leaf in the registry's log, and what it tells."""

    source: Source
    leaf: str
    told: Any

    def noted(self) -> Noted:
        """The event by which this service remembers it."""
        return Noted(self.source, self.leaf, msgspec.to_builtins(self.told))
