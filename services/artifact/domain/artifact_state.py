"""What happened to an artifact, and what is known of it: events, state and fold of `artifact-<hex>`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from immutables import Map

from regista.wire.digests import FileEntry
from services.artifact.domain import noted
from shared.deciding.events import Noted


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version of a model."""

    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class ArtifactReceived:
    """A version says that its bytes lie at `location`.

    `generation` is the place kept for them once they are verified; none is given twice.
    """

    digest: str
    generation: int
    model_id: str
    model: str
    number: int
    location: str
    size: int


@dataclass(frozen=True, slots=True)
class ArtifactVerified:
    """The stored bytes hash to the digest. Said again after each later check (`files` is then empty: as before).

    `check_again_at` is set while a version that serves or served refers to it.
    """

    digest: str
    generation: int
    uri: str
    size: int
    files: tuple[FileEntry, ...] = ()
    check_again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ArtifactMismatched:
    """What a version claimed is not so.

    Ends this version's reference and nobody else's. `found` is the digest of what was there, "" for nothing.
    """

    digest: str
    found: str
    model_id: str
    number: int
    generation: int
    detail: str


@dataclass(frozen=True, slots=True)
class ArtifactQuarantined:
    """The bytes must not be used by this version: their form is refused (`generation` 0), or stored bytes were found damaged."""

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
    """The version must not be loaded any more; the bytes stay as evidence until it is retired."""

    digest: str
    model_id: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class ArtifactExpired:
    """No version refers to it any more: everything up to `generation` will be deleted.

    `versions` referred to it.
    """

    digest: str
    generation: int
    versions: tuple[VersionRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpiryTagged:
    """The objects up to `generation` carry a tag that says so; they are deleted at `delete_at`."""

    digest: str
    generation: int
    delete_at: datetime


@dataclass(frozen=True, slots=True)
class ArtifactDeleted:
    """The bytes up to `generation` are gone.

    What remains is this. It settles the expiries of the generations `settled`.
    """

    digest: str
    generation: int
    settled: tuple[int, ...]
    versions: tuple[VersionRef, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckAsked:
    """The verified bytes of `generation` are checked now: a version of them serves or is to, or somebody who read them found them missing."""

    digest: str
    generation: int


@dataclass(frozen=True, slots=True)
class CopyLeft:
    """A copy to `generation` ended when nobody waited for it any more: what it left there will be deleted."""

    digest: str
    generation: int


@dataclass(frozen=True, slots=True)
class CopyDiscarded:
    """What lay at `generation`, which was never verified and never will be, is gone."""

    digest: str
    generation: int


Status = Literal["noted", "received", "released", "mismatched", "quarantined", "ended"]
ArtifactEvent = (
    Noted
    | ArtifactReceived
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


@dataclass(frozen=True, slots=True)
class Reference:
    """A version that refers to the artifact. `revision` is that of its registration or end, as noted; `serves`: it serves or served.

    `recalled` or `rejected`: nobody may load this version any more; verified bytes stay. `recall` and
    `promotion` are the revisions of the newest recall and promotion request noted.
    """

    model_id: str
    number: int
    revision: int
    status: Status = "noted"
    generation: int = 0
    serves: bool = False
    recalled: bool = False
    rejected: bool = False
    recall: int = 0
    promotion: int = 0

    @property
    def withheld(self) -> bool:
        """Whatever becomes of the bytes, they are not released to this version."""
        return self.recalled or self.rejected

    @property
    def ended(self) -> bool:
        """It refers to nothing any more: retired, or rejected before it had verified bytes."""
        had_bytes = self.status == "released" or (self.status == "quarantined" and self.generation > 0)
        return self.status == "ended" or (self.rejected and not had_bytes)

    @property
    def live(self) -> bool:
        """Its bytes must not be deleted."""
        return self.status != "mismatched" and not self.ended


@dataclass(frozen=True, slots=True)
class ArtifactState:
    """`generation` was handed out last. `verified` and `quarantined` say which one is so (0: none); up to `expired` and `deleted` all are.

    `attempts` counts the generations above `expired` that may hold bytes; `pending` says of each expiry whose
    bytes are not gone whether they are tagged; `failed` says of each generation that will never be verified
    whether what lay there is gone. `references` are keyed `<model_id>@<number>`.
    """

    revision: int = 0
    digest: str = ""
    generation: int = 0
    verified: int = 0
    quarantined: int = 0
    expired: int = 0
    deleted: int = 0
    pending: Map[int, bool] = field(default_factory=Map)
    failed: Map[int, bool] = field(default_factory=Map)
    attempts: int = 0
    check_asked: bool = False
    uri: str = ""
    size: int = 0
    references: Map[str, Reference] = field(default_factory=Map)


def key_of(model_id: str, number: int) -> str:
    """How a version is named among an artifact's references."""
    return f"{model_id}@{number}"


def phase(generation: int, verified: int, quarantined: int, expired: int, deleted: int) -> str:
    """The state of an artifact as people call it."""
    if verified:
        return "Verified"
    if quarantined:
        return "Quarantined"
    if generation > expired or not expired:
        return "Received"
    return "Deleted" if deleted >= expired else "Expired"


def evolve(s: ArtifactState, event: ArtifactEvent) -> ArtifactState:
    """The fold of `artifact-<hex>`."""
    s = replace(s, revision=s.revision + 1)
    match event:
        case Noted():
            return _noted(s, event)
        case ArtifactReceived():
            s = replace(s, digest=event.digest, generation=event.generation, attempts=s.attempts + 1)
            return _mark(s, event.model_id, event.number, "received", event.generation)
        case ArtifactVerified():
            return replace(
                s, verified=event.generation, quarantined=0, uri=event.uri, size=event.size, check_asked=False
            )
        case ArtifactMismatched():
            s = replace(s, digest=event.digest, attempts=s.attempts - (event.generation > s.expired))
            s = replace(s, failed=s.failed.set(event.generation, False)) if event.generation else s
            return _mark(s, event.model_id, event.number, "mismatched", event.generation)
        case ArtifactQuarantined():
            damaged = event.generation and event.generation == s.verified
            s = (
                replace(s, digest=event.digest, verified=0, quarantined=event.generation, check_asked=False)
                if damaged
                else replace(s, digest=event.digest)
            )
            return _mark(s, event.model_id, event.number, "quarantined", event.generation)
        case ArtifactReleased():
            return _mark(s, event.model_id, event.number, "released", event.generation)
        case ArtifactRecalled():
            key = key_of(event.model_id, event.number)
            ref = s.references.get(key) or Reference(event.model_id, event.number, 0)
            return replace(
                s, digest=event.digest, references=s.references.set(key, replace(ref, recalled=True))
            )
        case CheckAsked():
            return replace(s, check_asked=True)
        case CopyLeft():
            return replace(s, failed=s.failed.set(event.generation, False))
        case CopyDiscarded():
            return replace(s, failed=s.failed.set(event.generation, True))
        case ArtifactExpired():
            pending = s.pending.set(event.generation, False)
            return replace(
                s,
                expired=event.generation,
                pending=pending,
                deleted=0,
                verified=0,
                quarantined=0,
                attempts=0,
                uri="",
                check_asked=False,
            )
        case ExpiryTagged():
            return replace(s, pending=s.pending.set(event.generation, True))
        case ArtifactDeleted():
            pending = Map({g: tagged for g, tagged in s.pending.items() if g not in event.settled})
            return replace(s, deleted=event.generation, pending=pending)
    return s


def _mark(
    s: ArtifactState, model_id: str, number: int, status: Status, generation: int | None = None
) -> ArtifactState:
    key = key_of(model_id, number)
    ref = s.references.get(key) or Reference(model_id, number, 0)
    ref = replace(ref, status=status, generation=ref.generation if generation is None else generation)
    return replace(s, references=s.references.set(key, ref))


def _noted(s: ArtifactState, event: Noted) -> ArtifactState:
    revision, data = event.source.revision, event.data
    if event.source.type in {noted.ROLLOUT_CHANGED, noted.ROLLED_BACK}:
        for number in {e["number"] for e in (*data["entries"], *data["previous"])}:
            key = key_of(data["model_id"], number)
            if ref := s.references.get(key):
                s = replace(s, references=s.references.set(key, replace(ref, serves=True)))
        return s
    key = key_of(data["model_id"], data["number"])
    ref = s.references.get(key) or Reference(data["model_id"], data["number"], 0)
    match event.source.type:
        case noted.REGISTERED:
            ref = replace(ref, revision=revision, status="noted", recalled=False, rejected=False)
        case noted.RETIRED:
            ref = replace(ref, revision=revision, status="ended")
        case noted.REJECTED:
            ref = replace(ref, revision=revision, rejected=True)
        case noted.RECALLED:
            ref = replace(ref, recall=revision)
        case noted.PROMOTION_REQUESTED:
            ref = replace(ref, promotion=revision)
    return replace(s, references=s.references.set(key, ref))
