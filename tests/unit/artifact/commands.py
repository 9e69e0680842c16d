"""Commands of artifact as the tests use them, and the states that they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from hashlib import sha256
from typing import Any

import msgspec

from regista.wire.digests import FileEntry, manifest_digest
from services.artifact.domain import noted
from services.artifact.domain.artifact import decide
from services.artifact.domain.artifact_commands import (
    NoteEnded,
    NotePromotion,
    NoteRecalled,
    NoteRegistered,
    NoteReinstated,
    NoteServing,
    RecordVerified,
)
from services.artifact.domain.artifact_state import ArtifactState, evolve
from services.artifact.domain.manifest import Limits, claim
from services.artifact.domain.noted import Message
from services.artifact.domain.possession import Proof
from shared.deciding.events import Source

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
FILES = (
    FileEntry("model.onnx", 5, sha256(b"hello").hexdigest()),
    FileEntry("config/labels.json", 2, sha256(b"{}").hexdigest()),
)
DIGEST = manifest_digest(FILES)
OWN = Proof(own=True, complete=True)
"""The makers uploaded all the files themselves."""
UPLOAD = "6f1f5a3e-0c67-4f0e-9a53-7a6f0c0f3b11"


def message(type_: str, data: Any, revision: int) -> Message:
    return Message(
        Source("registry", f"model-{data.model_id}", revision, type_, f"event-{revision}"), "00" * 32, data
    )


def registered(
    number: int = 1,
    *,
    model: str = "m1",
    revision: int | None = None,
    files: Sequence[FileEntry] = FILES,
    digest: str = DIGEST,
    limits: Limits | None = None,
    proof: Proof = OWN,
    type_: str = noted.REGISTERED,
) -> NoteRegistered:
    data = noted.VersionRegistered(
        model, f"team.{model}", number, noted.ClaimedArtifact(digest, tuple(files), UPLOAD)
    )
    claimed = claim(model, f"team.{model}", number, digest, files, UPLOAD, limits or Limits())
    return NoteRegistered(message(type_, data, revision or 10 * number), claimed, proof)


def retired(number: int = 1, *, model: str = "m1", revision: int = 1000) -> NoteEnded:
    return NoteEnded(
        message(noted.RETIRED, noted.VersionEnded(model, f"team.{model}", number, DIGEST), revision),
        model,
        number,
    )


def rejected(number: int = 1, *, model: str = "m1", revision: int = 900) -> NoteEnded:
    return NoteEnded(
        message(noted.REJECTED, noted.VersionEnded(model, f"team.{model}", number), revision), model, number
    )


def promotion(number: int = 1, *, model: str = "m1", revision: int = 250) -> NotePromotion:
    return NotePromotion(
        message(noted.PROMOTION_REQUESTED, noted.PromotionRequested(model, number), revision), model, number
    )


def reinstated(number: int = 1, *, model: str = "m1", revision: int = 600) -> NoteReinstated:
    data = noted.VersionRecalled(model, f"team.{model}", number, "a mistake", DIGEST)
    return NoteReinstated(message(noted.REINSTATED, data, revision), DIGEST, model, number)


def recalled(number: int = 1, *, model: str = "m1", revision: int = 500) -> NoteRecalled:
    data = noted.VersionRecalled(model, f"team.{model}", number, "poisoned data", DIGEST)
    return NoteRecalled(message(noted.RECALLED, data, revision), DIGEST, model, number, "poisoned data")


def rollout(
    *entries: int, previous: Sequence[int] = (), model: str = "m1", revision: int = 300
) -> NoteServing:
    data = noted.RolloutChanged(
        model,
        f"team.{model}",
        "production",
        tuple(map(noted.Entry, entries)),
        tuple(map(noted.Entry, previous)),
    )
    return NoteServing(message(noted.ROLLOUT_CHANGED, data, revision), model, data.numbers)


def verified(number: int = 1, generation: int = 1, *, model: str = "m1") -> RecordVerified:
    return RecordVerified(
        model, number, generation, DIGEST, f"s3://regista/verified/x/g{generation}", FILES, DAY, NOW
    )


def state_after(*commands: Any) -> ArtifactState:
    """The state after these commands were decided one after the other."""
    return reduce(
        lambda state, command: reduce(evolve, decide(command, state), state), commands, ArtifactState()
    )


def names(events: Sequence[Any]) -> list[str]:
    return [type(e).__name__ for e in events]


def stored(event: Any) -> Any:
    """The event as it comes back from the log."""
    return msgspec.json.decode(msgspec.json.encode(event), type=type(event))
