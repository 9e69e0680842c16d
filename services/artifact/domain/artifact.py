"""Decide who may use the bytes of an artifact, and when they are deleted.

Each claim is judged for its own version, so a forged claim harms no other version of the same digest. A
version that claims verified bytes is released immediately when its makers have shown that they have the bytes
or may read them. Bytes are deleted only when no version refers to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from services.artifact.domain.artifact_commands import (
    ArtifactCommand,
    CheckResult,
    DeletionResult,
    NoteEnded,
    NotePromotion,
    NoteRecalled,
    NoteRegistered,
    NoteServing,
    Notice,
    RecordDamaged,
    RecordDeleted,
    RecordDiscarded,
    RecordIntact,
    RecordMismatched,
    RecordTagged,
    RecordVerified,
    RequestCheck,
)
from services.artifact.domain.artifact_events import (
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactExpired,
    ArtifactMismatched,
    ArtifactQuarantined,
    ArtifactRecalled,
    ArtifactReceived,
    ArtifactReleased,
    ArtifactVerified,
    CheckAsked,
    CopyDiscarded,
    CopyLeft,
    ExpiryTagged,
    VersionRef,
)
from services.artifact.domain.artifact_state import ArtifactState, evolve
from services.artifact.domain.manifest import Claim
from services.artifact.domain.possession import UNPROVEN, Proof
from shared.deciding.decider import Decider, RuleBroken


def decide(c: ArtifactCommand, s: ArtifactState) -> Sequence[ArtifactEvent]:
    """Return the events of `artifact-<hex>` that follow from a command."""
    match c:
        case NoteRegistered() | NoteEnded() | NoteRecalled() | NoteServing() | NotePromotion():
            return _notice(c, s)
        case RequestCheck():
            return _check_now(s) if c.generation == s.verified else []
        case RecordVerified() | RecordMismatched() | RecordIntact() | RecordDamaged():
            return _check_result(c, s)
        case RecordTagged() | RecordDeleted() | RecordDiscarded():
            return _deletion_result(c, s)
        case _:
            assert_never(c)


ARTIFACT: Decider[ArtifactCommand, ArtifactEvent, ArtifactState] = Decider(
    "artifact", ArtifactState(), evolve, decide=decide
)


def _notice(c: Notice, s: ArtifactState) -> list[ArtifactEvent]:
    match c:
        case NoteRegistered():
            return _registered(c, s)
        case NoteEnded():
            return _ended(c, s)
        case NoteRecalled():
            return _recalled(c, s)
        case NoteServing():
            refs = (s.reference(c.model_id, number) for number in c.numbers)
            news = any(ref and ref.live and not ref.serves for ref in refs)
            return [c.message.as_noted(), *_check_now(s)] if news else []
        case NotePromotion():
            ref = s.reference(c.model_id, c.number)
            news = bool(s.verified and ref and ref.live and c.message.source.revision > ref.promotion)
            return [c.message.as_noted(), *_check_now(s)] if news else []


def _registered(c: NoteRegistered, s: ArtifactState) -> list[ArtifactEvent]:
    claim = c.claim
    if _is_noted(s, claim.model_id, claim.number, c.message.source.revision):
        return []
    before = s.reference(claim.model_id, claim.number)
    if before and before.recall > c.message.source.revision:
        reason = "It was recalled before its registration arrived here."
        return [
            c.message.as_noted(),
            _recall_of(claim.digest, claim.model_id, claim.number, reason, s),
        ]
    return [c.message.as_noted(), _judged(claim, c.proof, s)]


def _judged(claim: Claim, proof: Proof, s: ArtifactState) -> ArtifactEvent:
    digest, model_id, number = claim.digest, claim.model_id, claim.number
    if not claim.found:
        return ArtifactMismatched(digest, "", model_id, number, 0, claim.problem)
    if claim.found != digest:
        detail = (
            f"The files named have the digest {claim.found}: claim this digest, or upload the files claimed."
        )
        return ArtifactMismatched(digest, claim.found, model_id, number, 0, detail)
    if claim.problem:
        return ArtifactQuarantined(digest, model_id, number, 0, claim.problem)
    if s.verified and proof.proven:
        return ArtifactReleased(digest, model_id, number, s.uri, s.verified, s.size)
    if not proof.own:
        return ArtifactMismatched(digest, "", model_id, number, 0, UNPROVEN)
    generation, size = s.generation + 1, claim.size
    return ArtifactReceived(
        digest, generation, model_id, claim.model, number, claim.location, size, proof.proven
    )


def _ended(c: NoteEnded, s: ArtifactState) -> list[ArtifactEvent]:
    if _is_noted(s, c.model_id, c.number, c.message.source.revision):
        return []
    noted = c.message.as_noted()
    after = evolve(s, noted)
    if not s.attempts or after.live_references():
        return [noted]
    versions = _ended_versions(after, after.generation)
    return [noted, ArtifactExpired(after.digest, after.generation, versions)]


def _recalled(c: NoteRecalled, s: ArtifactState) -> list[ArtifactEvent]:
    ref = s.reference(c.model_id, c.number)
    if ref and (ref.recalled or not ref.live or c.message.source.revision <= max(ref.revision, ref.recall)):
        return []
    return [c.message.as_noted(), _recall_of(c.digest, c.model_id, c.number, c.reason, s)]


def _recall_of(digest: str, model_id: str, number: int, reason: str, s: ArtifactState) -> ArtifactRecalled:
    others = tuple(
        VersionRef(r.model_id, r.number)
        for r in s.live_references()
        if (r.model_id, r.number) != (model_id, number) and not r.recalled
    )
    return ArtifactRecalled(digest, model_id, number, reason, others)


def _check_result(c: CheckResult, s: ArtifactState) -> list[ArtifactEvent]:
    match c:
        case RecordVerified():
            return _verified(c, s)
        case RecordMismatched():
            ref = s.reference(c.model_id, c.number)
            awaited = ref and ref.status == "received" and ref.generation == c.generation
            if not awaited or c.generation in {s.verified, s.quarantined}:
                return []
            return [ArtifactMismatched(c.digest, "", c.model_id, c.number, c.generation, c.detail)]
        case RecordIntact():
            return _intact(c, s)
        case RecordDamaged():
            if c.generation != s.verified:
                return []
            return [
                ArtifactQuarantined(s.digest, r.model_id, r.number, c.generation, c.detail)
                for r in s.live_references()
            ]


def _verified(c: RecordVerified, s: ArtifactState) -> list[ArtifactEvent]:
    if c.generation > s.generation or c.generation in {s.verified, s.quarantined}:
        return []
    own = s.reference(c.model_id, c.number)
    awaited = own is not None and own.status == "received" and own.generation == c.generation
    if s.verified or c.generation <= s.expired or c.generation in s.failed:
        # The copy is no longer needed: its objects are deleted. It proved that its version has the bytes.
        left: list[ArtifactEvent] = (
            [] if s.failed.get(c.generation) is False else [CopyLeft(c.digest, c.generation)]
        )
        if not (left and s.verified and own and awaited and own.live and not own.withheld):
            return left
        return [*left, ArtifactReleased(s.digest, own.model_id, own.number, s.uri, s.verified, s.size)]
    size = sum(f.size for f in c.files)
    check_again_at = _next_check(s, c.now, c.check_every)
    waiting = [
        r
        for r in s.live_references()
        if r.status in {"received", "quarantined"} and not r.withheld and (r.proven or (r is own and awaited))
    ]
    return [
        ArtifactVerified(c.digest, c.generation, c.uri, size, c.files, check_again_at),
        *(ArtifactReleased(c.digest, r.model_id, r.number, c.uri, c.generation, size) for r in waiting),
    ]


def _intact(c: RecordIntact, s: ArtifactState) -> list[ArtifactEvent]:
    if c.generation != s.verified:
        return []
    check_again_at = _next_check(s, c.now, c.check_every)
    serving = [r for r in s.live_references() if r.serves and r.status == "released" and not r.withheld]
    return [
        ArtifactVerified(s.digest, s.verified, s.uri, s.size, (), check_again_at),
        *(ArtifactReleased(s.digest, r.model_id, r.number, s.uri, s.verified, s.size) for r in serving),
    ]


def _deletion_result(c: DeletionResult, s: ArtifactState) -> list[ArtifactEvent]:
    match c:
        case RecordTagged():
            _require_expired(c.generation, s)
            untagged = s.pending.get(c.generation) is False
            return [ExpiryTagged(s.digest, c.generation, c.now + c.delete_after)] if untagged else []
        case RecordDeleted():
            _require_expired(c.generation, s)
            settled = tuple(sorted(g for g in s.pending if g <= c.generation))
            versions = _ended_versions(s, c.generation)
            return [ArtifactDeleted(s.digest, c.generation, settled, versions)] if settled else []
        case RecordDiscarded():
            return [CopyDiscarded(s.digest, c.generation)] if s.failed.get(c.generation) is False else []


def _is_noted(s: ArtifactState, model_id: str, number: int, revision: int) -> bool:
    ref = s.reference(model_id, number)
    return ref is not None and revision <= ref.revision


def _ended_versions(s: ArtifactState, generation: int) -> tuple[VersionRef, ...]:
    ended = (
        VersionRef(r.model_id, r.number)
        for r in s.references.values()
        if r.ended and r.generation <= generation
    )
    return tuple(sorted(ended, key=lambda v: (v.model_id, v.number)))


def _check_now(s: ArtifactState) -> list[ArtifactEvent]:
    return [CheckAsked(s.digest, s.verified)] if s.verified and not s.check_requested else []


def _next_check(s: ArtifactState, now: datetime, every: timedelta) -> datetime | None:
    return now + every if any(r.serves for r in s.live_references()) else None


def _require_expired(generation: int, s: ArtifactState) -> None:
    if generation > s.expired:
        raise RuleBroken(
            "artifact_in_use",
            f"Generation {generation} has not expired: retire its versions before it is deleted.",
            generation=generation,
        )
