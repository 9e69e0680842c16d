"""The state of an artifact, folded from the events of `artifact-<hex>`."""

from __future__ import annotations

from typing import Literal

import msgspec
from immutables import Map
from msgspec.structs import replace

from services.artifact.domain import artifact_events as e
from services.artifact.domain import noted
from services.artifact.domain.artifact_events import ArtifactEvent
from shared.deciding.events import Noted

Status = Literal["noted", "received", "released", "mismatched", "quarantined", "ended"]


class Reference(msgspec.Struct, frozen=True):
    """A version that refers to the artifact.

    `revision` is that of its registration or end, as noted. `proven`: its makers have the bytes or may read
    them. `serves`: it serves or served. `recalled` or
    `rejected`: the version must not be loaded; verified bytes stay. `recall` and `promotion` are the
    revisions of the newest recall and promotion request noted.
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
    proven: bool = False

    @property
    def withheld(self) -> bool:
        """Whether the bytes are never released to this version."""
        return self.recalled or self.rejected

    @property
    def ended(self) -> bool:
        """Whether the reference has ended: retired, or rejected before its bytes were verified."""
        had_bytes = self.status == "released" or (self.status == "quarantined" and self.generation > 0)
        return self.status == "ended" or (self.rejected and not had_bytes)

    @property
    def live(self) -> bool:
        """Whether the bytes must be kept for this version."""
        return self.status != "mismatched" and not self.ended


class ArtifactState(msgspec.Struct, frozen=True):
    """What was decided about one digest. A Struct, because each fold of an event copies it.

    `generation` is the newest one assigned. `verified` and `quarantined` name the generation in that state
    (0: none). Every generation up to `expired` has expired, every one up to `deleted` is deleted.
    `attempts` counts the generations above `expired` that may hold bytes. `pending` maps each expiry whose
    bytes still exist to whether they are tagged. `failed` maps each generation that will never be verified
    to whether its objects are deleted. `references` are keyed `<model_id>@<number>`.
    """

    revision: int = 0
    digest: str = ""
    generation: int = 0
    verified: int = 0
    quarantined: int = 0
    expired: int = 0
    deleted: int = 0
    pending: Map[int, bool] = msgspec.field(default_factory=Map)
    failed: Map[int, bool] = msgspec.field(default_factory=Map)
    attempts: int = 0
    check_requested: bool = False
    uri: str = ""
    size: int = 0
    references: Map[str, Reference] = msgspec.field(default_factory=Map)

    def reference(self, model_id: str, number: int) -> Reference | None:
        """Return the reference of a version, or None."""
        return self.references.get(key_of(model_id, number))

    def live_references(self) -> list[Reference]:
        """Return the references for which the bytes must be kept, by model and number."""
        return sorted((r for r in self.references.values() if r.live), key=lambda r: (r.model_id, r.number))


def key_of(model_id: str, number: int) -> str:
    """Return the key of a version among the references of an artifact."""
    return f"{model_id}@{number}"


def phase(generation: int, verified: int, quarantined: int, expired: int, deleted: int) -> str:
    """Return the public name of an artifact's state."""
    if verified:
        return "Verified"
    if quarantined:
        return "Quarantined"
    if generation > expired or not expired:
        return "Received"
    return "Deleted" if deleted >= expired else "Expired"


def evolve(s: ArtifactState, event: ArtifactEvent) -> ArtifactState:
    """Fold one event of `artifact-<hex>`."""
    s = replace(s, revision=s.revision + 1)
    match event:
        case Noted():
            return _noted(s, event)
        case e.ArtifactReceived():
            s = replace(s, digest=event.digest, generation=event.generation, attempts=s.attempts + 1)
            return _with_status(
                s, event.model_id, event.number, "received", event.generation, proven=event.proven
            )
        case e.ArtifactReleased():
            return _with_status(s, event.model_id, event.number, "released", event.generation, proven=True)
        case e.ArtifactRecalled():
            ref = s.reference(event.model_id, event.number) or Reference(event.model_id, event.number, 0)
            return _with_reference(replace(s, digest=event.digest), replace(ref, recalled=True))
        case e.ArtifactVerified() | e.ArtifactMismatched() | e.ArtifactQuarantined() | e.CheckAsked():
            return _checked(s, event)
        case _:
            return _deletion(s, event)


def _checked(
    s: ArtifactState,
    event: e.ArtifactVerified | e.ArtifactMismatched | e.ArtifactQuarantined | e.CheckAsked,
) -> ArtifactState:
    match event:
        case e.ArtifactVerified(generation=generation):
            return replace(
                s,
                verified=generation,
                quarantined=0,
                uri=event.uri,
                size=event.size,
                check_requested=False,
            )
        case e.ArtifactMismatched(generation=generation):
            s = replace(s, digest=event.digest, attempts=s.attempts - (generation > s.expired))
            s = replace(s, failed=s.failed.set(generation, False)) if generation else s
            return _with_status(s, event.model_id, event.number, "mismatched", generation)
        case e.ArtifactQuarantined(generation=generation):
            s = replace(s, digest=event.digest)
            if generation and generation == s.verified:
                s = replace(s, verified=0, quarantined=generation, check_requested=False)
            return _with_status(s, event.model_id, event.number, "quarantined", generation)
        case e.CheckAsked():
            return replace(s, check_requested=True)


def _deletion(s: ArtifactState, event: ArtifactEvent) -> ArtifactState:
    match event:
        case e.CopyLeft():
            return replace(s, failed=s.failed.set(event.generation, False))
        case e.CopyDiscarded():
            return replace(s, failed=s.failed.set(event.generation, True))
        case e.ArtifactExpired():
            return replace(
                s,
                expired=event.generation,
                pending=s.pending.set(event.generation, False),
                deleted=0,
                verified=0,
                quarantined=0,
                attempts=0,
                uri="",
                check_requested=False,
            )
        case e.ExpiryTagged():
            return replace(s, pending=s.pending.set(event.generation, True))
        case e.ArtifactDeleted():
            pending = Map({g: tagged for g, tagged in s.pending.items() if g not in event.settled})
            return replace(s, deleted=event.generation, pending=pending)
    return s


def _with_reference(s: ArtifactState, ref: Reference) -> ArtifactState:
    return replace(s, references=s.references.set(key_of(ref.model_id, ref.number), ref))


def _with_status(
    s: ArtifactState,
    model_id: str,
    number: int,
    status: Status,
    generation: int,
    *,
    proven: bool | None = None,
) -> ArtifactState:
    ref = s.reference(model_id, number) or Reference(model_id, number, 0)
    proven = ref.proven if proven is None else proven
    return _with_reference(s, replace(ref, status=status, generation=generation, proven=proven))


def _noted(s: ArtifactState, event: Noted) -> ArtifactState:
    revision, data = event.source.revision, event.data
    if event.source.type in {noted.ROLLOUT_CHANGED, noted.ROLLED_BACK}:
        for number in {entry["number"] for entry in (*data["entries"], *data["previous"])}:
            if ref := s.reference(data["model_id"], number):
                s = _with_reference(s, replace(ref, serves=True))
        return s
    model_id, number = data["model_id"], data["number"]
    ref = s.reference(model_id, number) or Reference(model_id, number, 0)
    match event.source.type:
        case noted.REGISTERED | noted.DRAFT_REGISTERED:
            ref = replace(
                ref, revision=revision, status="noted", recalled=False, rejected=False, proven=False
            )
        case noted.RETIRED:
            ref = replace(ref, revision=revision, status="ended")
        case noted.REJECTED:
            ref = replace(ref, revision=revision, rejected=True)
        case noted.RECALLED:
            ref = replace(ref, recall=revision)
        case noted.REINSTATED:
            ref = replace(ref, recall=revision, recalled=False)
        case noted.PROMOTION_REQUESTED:
            ref = replace(ref, promotion=revision)
    return _with_reference(s, ref)
