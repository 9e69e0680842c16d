"""The commands of `artifact-<hex>`: notices from the registry, requests, and results of due work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from regista.wire.digests import FileEntry
from services.artifact.domain.manifest import Claim
from services.artifact.domain.noted import Message
from services.artifact.domain.possession import Proof
from shared.deciding.decider import NO_TIME


@dataclass(frozen=True, slots=True)
class NoteRegistered:
    """Note that a version refers to this artifact. `proof` is what its makers have shown."""

    message: Message
    claim: Claim
    proof: Proof


@dataclass(frozen=True, slots=True)
class NoteEnded:
    """Note that a version was retired or rejected.

    A retired version refers to nothing. A rejected version keeps its reference when its bytes were
    verified, until it is retired.
    """

    message: Message
    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class NoteRecalled:
    """Note that a version must no longer be loaded."""

    message: Message
    digest: str
    model_id: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class NoteServing:
    """Note that versions serve or served.

    Their bytes are checked again on a schedule, so that the registry can roll back without waiting for this
    service.
    """

    message: Message
    model_id: str
    numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class NotePromotion:
    """Note that the promotion of a version was requested. Its bytes are checked again now."""

    message: Message
    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """Check the verified bytes now: a reader found a file missing."""

    generation: int


@dataclass(frozen=True, slots=True)
class RecordVerified:
    """Record that the claimed bytes are stored under their generation and were read back."""

    model_id: str
    number: int
    generation: int
    digest: str
    uri: str
    files: tuple[FileEntry, ...]
    check_every: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordMismatched:
    """Record that the claimed bytes are missing or hash to another digest."""

    model_id: str
    number: int
    generation: int
    digest: str
    detail: str


@dataclass(frozen=True, slots=True)
class RecordIntact:
    """Record that the verified bytes still hash to the digest."""

    generation: int
    check_every: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordDamaged:
    """Record that the verified bytes no longer hash to the digest."""

    generation: int
    detail: str


@dataclass(frozen=True, slots=True)
class RecordTagged:
    """Record that the objects up to this generation carry the expiry tag."""

    generation: int
    delete_after: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordDeleted:
    """Record that the objects up to this generation are deleted."""

    generation: int


@dataclass(frozen=True, slots=True)
class RecordDiscarded:
    """Record that the objects of this generation, which was never verified, are deleted."""

    generation: int


Notice = NoteRegistered | NoteEnded | NoteRecalled | NoteServing | NotePromotion
CheckResult = RecordVerified | RecordMismatched | RecordIntact | RecordDamaged
DeletionResult = RecordTagged | RecordDeleted | RecordDiscarded
ArtifactCommand = Notice | RequestCheck | CheckResult | DeletionResult
