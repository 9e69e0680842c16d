"""What a decision about a version rests on: its document, its evaluations, the champion it is measured against. And the digest of all that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from regista.wire.digests import digest
from services.registry.domain.model.events import Champion, Evaluation
from services.registry.domain.model.state import ModelState, VersionState, stream_of
from services.registry.domain.registration.metadata import Metadata
from shared.deciding.access import normalized_name
from shared.deciding.decider import Streams

PRODUCTION = "production"
"""The environment whose champion new versions are compared with."""

MOST_BYTES = 1024 * 1024
"""What an event may hold: above it the relay and the readers of the topic could not carry it."""
MOST_SHOWN = 50
"""Evaluations that a champion is shown with: the newest, primary ones before others."""

Place = tuple[str, int]


def document_at(model_id: str, version: VersionState) -> Place:
    """Where the document of a version stands in the log."""
    return stream_of(model_id), version.document


def documents_of(model_id: str, state: ModelState, numbers: Iterable[int]) -> set[Place]:
    """What to recall for the documents of these versions; numbers the model does not have are left out."""
    return {
        document_at(model_id, version)
        for number in numbers
        if (version := state.versions.get(number)) is not None
    }


def evidence_at(model_id: str, state: ModelState, number: int) -> set[Place]:
    """What to recall for a version's document and all its evaluations."""
    refs = state.evaluations.get(number, ())
    return documents_of(model_id, state, [number]) | {(stream_of(model_id), ref.revision) for ref in refs}


def document(model_id: str, state: ModelState, number: int, streams: Streams) -> Metadata:
    """The recalled document of a version."""
    metadata: Metadata = streams.past[document_at(model_id, state.versions[number])].metadata
    return metadata


def makers(model_id: str, state: ModelState, number: int, streams: Streams) -> frozenset[str]:
    """Whoever had a hand in a version, as names are compared: its creator, the person a pipeline acted for, and all who told anything of it."""
    event = streams.past[document_at(model_id, state.versions[number])]
    training = event.metadata.training
    return frozenset(
        normalized_name(name)
        for name in (training.creator, training.on_behalf_of, *event.contributors)
        if name
    )


def artifact_digest(metadata: Metadata) -> str:
    """Empty for a draft without bytes."""
    return metadata.artifact.digest if metadata.artifact else ""


def evaluations(model_id: str, state: ModelState, number: int, streams: Streams) -> tuple[Evaluation, ...]:
    """All evaluations of a version: what its producer claimed at training, then what was recorded since."""
    training = document(model_id, state, number, streams).training
    claimed = tuple(
        Evaluation(
            m.name,
            m.value,
            m.dataset_digest,
            m.dataset_name,
            m.definition,
            m.higher_is_better,
            m.primary,
            by=training.creator or "",
        )
        for m in training.metrics
    )
    recorded = (
        streams.past[stream_of(model_id), ref.revision].evaluation
        for ref in state.evaluations.get(number, ())
    )
    return (*claimed, *recorded)


def champion_number(state: ModelState, environment: str) -> int:
    """The champion's number in an environment, 0 for none."""
    rollout = state.rollouts.get(environment)
    return rollout.champion.number if rollout and rollout.champion else 0


def champion_at(model_id: str, state: ModelState, environment: str) -> set[Place]:
    """What to recall for `champion` of this environment."""
    number = champion_number(state, environment)
    return evidence_at(model_id, state, number) if number else set()


def champion(model_id: str, state: ModelState, number: int, streams: Streams) -> Champion | None:
    """A version as champion, with what others compare themselves with; None for number 0."""
    if not number:
        return None
    metadata, measured = (
        document(model_id, state, number, streams),
        evaluations(model_id, state, number, streams),
    )
    shown = sorted(sorted(range(len(measured)), key=lambda n: (measured[n].primary, n))[-MOST_SHOWN:])
    return Champion(
        number,
        state.versions[number].semver,
        artifact_digest(metadata),
        metadata.signature,
        tuple(measured[n] for n in shown),
    )


def evidence(
    model_id: str, state: ModelState, number: int, environment: str, streams: Streams, against: Any
) -> dict[str, Any]:
    """All that a promotion is decided on, as plain JSON values. `against` is the champion, as plain values, or None.

    The name is not part of it (a rename changes nothing), nor is where the bytes lay (their digest is).
    """
    metadata = document(model_id, state, number, streams)
    plain = msgspec.to_builtins(metadata)
    told: dict[str, Any] = {
        "model_id": model_id,
        "number": number,
        "semver": state.versions[number].semver,
        "environment": environment,
        "kind": state.kind,
        "tier": state.tier,
        "tags": dict(sorted(state.tags.items())),
        "artifact": {"digest": artifact_digest(metadata)},
        "training": plain["training"],
        "signature": plain["signature"],
        "parents": plain["parents"],
        "evaluations": msgspec.to_builtins(evaluations(model_id, state, number, streams)),
        "champion": against,
    }
    return told


def evidence_digest(told: dict[str, Any]) -> str:
    """RFC 8785 digest: whoever holds the evidence computes the same."""
    return digest(told)
