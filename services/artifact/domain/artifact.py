"""What is decided about an artifact: who may use its bytes, and when they may go.

A claim is judged per version, so that a forged one never spoils the digest for an honest one. Whoever claims
a digest whose bytes are already verified is served those bytes. Bytes go only when no version refers to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from regista.wire.digests import FileEntry
from services.artifact.domain.artifact_state import (
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactExpired,
    ArtifactMismatched,
    ArtifactQuarantined,
    ArtifactRecalled,
    ArtifactReceived,
    ArtifactReleased,
    ArtifactState,
    ArtifactVerified,
    CheckAsked,
    CopyDiscarded,
    CopyLeft,
    ExpiryTagged,
    Reference,
    VersionRef,
    evolve,
    key_of,
)
from services.artifact.domain.manifest import Claim
from services.artifact.domain.noted import Message
from shared.deciding.decider import NO_TIME, Decider, RuleBroken


@dataclass(frozen=True, slots=True)
class NoteRegistered:
    """A version refers to this artifact."""

    message: Message
    claim: Claim


@dataclass(frozen=True, slots=True)
class NoteEnded:
    """A version was retired: it refers to nothing any more.

    Or rejected: so too, unless it had verified bytes; those stay until it is retired.
    """

    message: Message
    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class NoteRecalled:
    """A version must not be loaded any more."""

    message: Message
    digest: str
    model_id: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class NoteServing:
    """Versions serve or served: their bytes are checked again from time to time, so that a rollback needs to ask nobody."""

    message: Message
    model_id: str
    numbers: frozenset[int]


@dataclass(frozen=True, slots=True)
class NotePromotion:
    """Somebody wants to promote a version: what was verified long ago is checked now."""

    message: Message
    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class AskCheck:
    """Somebody who read the verified bytes found them missing."""

    generation: int


@dataclass(frozen=True, slots=True)
class RecordVerified:
    """The bytes that this version claimed were hashed, copied to their generation's place, and hashed there again."""

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
    """The bytes that this version claimed are not there or hash to something else."""

    model_id: str
    number: int
    generation: int
    digest: str
    found: str
    detail: str


@dataclass(frozen=True, slots=True)
class RecordIntact:
    """The verified bytes were hashed once more and are as they were."""

    generation: int
    check_every: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordDamaged:
    """The verified bytes were hashed once more and are not what they were."""

    generation: int
    detail: str


@dataclass(frozen=True, slots=True)
class RecordTagged:
    """The objects up to this generation carry the expiry tag."""

    generation: int
    delete_after: timedelta
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordDeleted:
    """The objects up to this generation are gone."""

    generation: int


@dataclass(frozen=True, slots=True)
class RecordDiscarded:
    """What lay at this generation, which was never verified, is gone."""

    generation: int


ArtifactCommand = (
    NoteRegistered
    | NoteEnded
    | NoteRecalled
    | NoteServing
    | NotePromotion
    | AskCheck
    | RecordVerified
    | RecordMismatched
    | RecordIntact
    | RecordDamaged
    | RecordTagged
    | RecordDeleted
    | RecordDiscarded
)


def decide(c: ArtifactCommand, s: ArtifactState) -> Sequence[ArtifactEvent]:
    """Events of `artifact-<hex>`."""
    match c:
        case NoteRegistered():
            return _registered(c, s)
        case NoteEnded():
            return _ended(c, s)
        case NoteRecalled():
            return _recalled(c, s)
        case NoteServing():
            known = [
                ref
                for n in c.numbers
                if (ref := s.references.get(key_of(c.model_id, n))) and ref.live and not ref.serves
            ]
            return [c.message.noted(), *_check_now(s)] if known else []
        case NotePromotion():
            ref = s.references.get(key_of(c.model_id, c.number))
            return (
                [c.message.noted(), *_check_now(s)]
                if s.verified and ref and ref.live and c.message.source.revision > ref.promotion
                else []
            )
        case AskCheck():
            return _check_now(s) if c.generation == s.verified else []
        case RecordVerified():
            return _verified(c, s)
        case RecordMismatched():
            awaited = s.references.get(key_of(c.model_id, c.number))
            if (
                not awaited
                or awaited.status != "received"
                or awaited.generation != c.generation
                or c.generation in {s.verified, s.quarantined}
            ):
                return []
            return [ArtifactMismatched(c.digest, c.found, c.model_id, c.number, c.generation, c.detail)]
        case RecordIntact():
            return _intact(c, s)
        case RecordDamaged():
            if c.generation != s.verified:
                return []
            return [
                ArtifactQuarantined(s.digest, r.model_id, r.number, c.generation, c.detail) for r in _live(s)
            ]
        case RecordTagged():
            _must_be_expired(c.generation, s)
            return (
                [ExpiryTagged(s.digest, c.generation, c.now + c.delete_after)]
                if s.pending.get(c.generation) is False
                else []
            )
        case RecordDeleted():
            _must_be_expired(c.generation, s)
            settled = tuple(sorted(g for g in s.pending if g <= c.generation))
            return (
                [ArtifactDeleted(s.digest, c.generation, settled, _ended_versions(s, c.generation))]
                if settled
                else []
            )
        case RecordDiscarded():
            return [CopyDiscarded(s.digest, c.generation)] if s.failed.get(c.generation) is False else []


ARTIFACT: Decider[Any, ArtifactEvent, ArtifactState] = Decider(
    "artifact", ArtifactState(), evolve, decide=decide
)


def _registered(c: NoteRegistered, s: ArtifactState) -> list[ArtifactEvent]:
    claim = c.claim
    if _known(s, claim.model_id, claim.number, c.message.source.revision):
        return []
    noted, before = c.message.noted(), s.references.get(key_of(claim.model_id, claim.number))
    if before and before.recall > c.message.source.revision:
        return [
            noted,
            ArtifactRecalled(
                claim.digest,
                claim.model_id,
                claim.number,
                "It was recalled before its registration arrived here.",
            ),
        ]
    if claim.found != claim.digest:
        detail = (
            claim.problem
            if not claim.found
            else f"The files named have the digest {claim.found}, not the claimed one: claim the digest of what was uploaded."
        )
        return [noted, ArtifactMismatched(claim.digest, claim.found, claim.model_id, claim.number, 0, detail)]
    if claim.problem:
        return [noted, ArtifactQuarantined(claim.digest, claim.model_id, claim.number, 0, claim.problem)]
    if s.verified:
        return [
            noted,
            ArtifactReleased(claim.digest, claim.model_id, claim.number, s.uri, s.verified, s.size),
        ]
    return [
        noted,
        ArtifactReceived(
            claim.digest,
            s.generation + 1,
            claim.model_id,
            claim.model,
            claim.number,
            claim.location,
            claim.size,
        ),
    ]


def _ended(c: NoteEnded, s: ArtifactState) -> list[ArtifactEvent]:
    if _known(s, c.model_id, c.number, c.message.source.revision):
        return []
    noted = c.message.noted()
    after = evolve(s, noted)
    return [noted, *_expired(after)] if s.attempts and not _live(after) else [noted]


def _recalled(c: NoteRecalled, s: ArtifactState) -> list[ArtifactEvent]:
    ref = s.references.get(key_of(c.model_id, c.number))
    if ref and (ref.recalled or not ref.live or c.message.source.revision <= max(ref.revision, ref.recall)):
        return []
    return [c.message.noted(), ArtifactRecalled(c.digest, c.model_id, c.number, c.reason)]


def _verified(c: RecordVerified, s: ArtifactState) -> list[ArtifactEvent]:
    if c.generation > s.generation or c.generation in {s.verified, s.quarantined}:
        return []
    if (
        s.verified or c.generation <= s.expired or c.generation in s.failed
    ):  # nobody waits for this copy any more: what it left goes, too
        return [] if s.failed.get(c.generation) is False else [CopyLeft(c.digest, c.generation)]
    size = sum(f.size for f in c.files)
    checked = _check_again(s, c.now, c.check_every)
    waiting = [r for r in _live(s) if r.status in {"received", "quarantined"} and not r.withheld]
    return [
        ArtifactVerified(c.digest, c.generation, c.uri, size, c.files, checked),
        *(ArtifactReleased(c.digest, r.model_id, r.number, c.uri, c.generation, size) for r in waiting),
    ]


def _intact(c: RecordIntact, s: ArtifactState) -> list[ArtifactEvent]:
    if c.generation != s.verified:
        return []
    again = [r for r in _live(s) if r.serves and r.status == "released" and not r.withheld]
    return [
        ArtifactVerified(s.digest, s.verified, s.uri, s.size, (), _check_again(s, c.now, c.check_every)),
        *(ArtifactReleased(s.digest, r.model_id, r.number, s.uri, s.verified, s.size) for r in again),
    ]


def _expired(s: ArtifactState) -> list[ArtifactEvent]:
    return [ArtifactExpired(s.digest, s.generation, _ended_versions(s, s.generation))]


def _known(s: ArtifactState, model_id: str, number: int, revision: int) -> bool:
    ref = s.references.get(key_of(model_id, number))
    return ref is not None and revision <= ref.revision


def _live(s: ArtifactState) -> list[Reference]:
    return sorted((r for r in s.references.values() if r.live), key=lambda r: (r.model_id, r.number))


def _ended_versions(s: ArtifactState, generation: int) -> tuple[VersionRef, ...]:
    ended = (
        VersionRef(r.model_id, r.number)
        for r in s.references.values()
        if r.ended and r.generation <= generation
    )
    return tuple(sorted(ended, key=lambda v: (v.model_id, v.number)))


def _check_now(s: ArtifactState) -> list[ArtifactEvent]:
    return [CheckAsked(s.digest, s.verified)] if s.verified and not s.check_asked else []


def _check_again(s: ArtifactState, now: datetime, every: timedelta) -> datetime | None:
    return now + every if any(r.serves for r in _live(s)) else None


def _must_be_expired(generation: int, s: ArtifactState) -> None:
    if generation > s.expired:
        raise RuleBroken(
            "artifact_in_use",
            f"Generation {generation} has not expired: nothing of it may be deleted.",
            generation=generation,
        )
