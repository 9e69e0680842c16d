"""Past events that decisions load: the document of a version, its evaluations, and the champion as it is now.

The state holds only where these events are, because documents are too large to keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from regista.wire.limits import EVENT_BYTES
from services.registry.domain.model.events import (
    Champion,
    Evaluation,
    EvaluationRecorded,
    MetadataAdded,
    MetadataCorrected,
    VersionRegistered,
)
from services.registry.domain.model.metadata import Metadata, callers_signature, corrected
from services.registry.domain.model.state import ModelState, VersionState, stream_of
from shared.deciding.decider import Forbidden, Streams

PRODUCTION = "production"
"""The environment that the registry declares at its first start; new versions are compared with its
champion."""

MOST_BYTES = EVENT_BYTES
"""The largest event. The relay and the readers of the topic cannot carry a larger one."""
MOST_SHOWN = 50
"""The number of evaluations that a champion is shown with: primary ones first, then the newest."""

Position = tuple[str, int]
"""Where a past event is: (stream, revision)."""


def document_at(model_id: str, version: VersionState) -> Position:
    """Return where the document of a version is in the log."""
    return stream_of(model_id), version.document


def documents_of(model_id: str, state: ModelState, numbers: Iterable[int]) -> set[Position]:
    """Return where the documents of these versions and their corrections are.

    Numbers that the model does not have are left out.
    """
    found = set()
    for number in numbers:
        if (version := state.versions.get(number)) is not None:
            found.add(document_at(model_id, version))
            if number in state.corrections:
                found.add((stream_of(model_id), state.corrections[number]))
    return found


def evidence_at(model_id: str, state: ModelState, number: int) -> set[Position]:
    """Return where the document of a version and all its evaluations are."""
    refs = state.evaluations.get(number, ())
    return documents_of(model_id, state, [number]) | {(stream_of(model_id), ref.revision) for ref in refs}


def champion_at(model_id: str, state: ModelState, environment: str) -> set[Position]:
    """Return where the document and the evaluations of the environment's champion are."""
    number = champion_number(state, environment)
    return evidence_at(model_id, state, number) if number else set()


def document_event(
    model_id: str, state: ModelState, number: int, streams: Streams
) -> VersionRegistered | MetadataAdded:
    """Return the loaded event that holds the document of a version."""
    event = streams.past[document_at(model_id, state.versions[number])]
    return cast("VersionRegistered | MetadataAdded", event)


def document(model_id: str, state: ModelState, number: int, streams: Streams) -> Metadata:
    """Return the loaded document of a version, with its corrections."""
    metadata = document_event(model_id, state, number, streams).metadata
    return corrected(metadata, corrections(model_id, state, number, streams))


def corrections(model_id: str, state: ModelState, number: int, streams: Streams) -> Mapping[str, str | None]:
    """Return the loaded corrections of a version's metadata, by path."""
    if number not in state.corrections:
        return {}
    event = streams.past[stream_of(model_id), state.corrections[number]]
    return cast("MetadataCorrected", event).corrected


def publishers(model_id: str, state: ModelState, number: int, streams: Streams) -> frozenset[str]:
    """Return the subjects that sent the version or a part of its metadata."""
    return frozenset(document_event(model_id, state, number, streams).contributors)


def check_own(by: str, model_id: str, state: ModelState, number: int, streams: Streams) -> None:
    """Raise Forbidden unless `by` published the version."""
    if by not in publishers(model_id, state, number, streams):
        raise Forbidden(
            "not_your_version",
            f"{by} did not publish {state.model} version {number}, and the role publisher allows this for "
            "own versions only: ask an engineer.",
            number=number,
        )


def makers(model_id: str, state: ModelState, number: int, streams: Streams) -> tuple[str, ...]:
    """Return everyone who contributed to a version, by subject or by name."""
    return makers_of(document_event(model_id, state, number, streams))


def makers_of(event: VersionRegistered | MetadataAdded) -> tuple[str, ...]:
    """Return the creator, the person a pipeline acted for, all contributors, and who started their jobs."""
    training = event.metadata.training
    named = (training.creator, training.on_behalf_of, *event.contributors, *event.started_by)
    return tuple(dict.fromkeys(name for name in named if name))


def artifact_digest(metadata: Metadata) -> str:
    """Return the digest of the artifact, or "" for a draft without bytes."""
    return metadata.artifact.digest if metadata.artifact else ""


def evaluations(model_id: str, state: ModelState, number: int, streams: Streams) -> tuple[Evaluation, ...]:
    """Return all evaluations of a version: those claimed at training, then those recorded since."""
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
    events = (
        cast("EvaluationRecorded", streams.past[stream_of(model_id), ref.revision])
        for ref in state.evaluations.get(number, ())
    )
    return (*claimed, *(event.evaluation for event in events))


def champion_number(state: ModelState, environment: str) -> int:
    """Return the number of the environment's champion, 0 for none."""
    rollout = state.rollouts.get(environment)
    return rollout.champion.number if rollout and rollout.champion else 0


def champion(model_id: str, state: ModelState, number: int, streams: Streams) -> Champion | None:
    """Return a version as champion, with what others are compared with; None for number 0."""
    if not number:
        return None
    metadata = document(model_id, state, number, streams)
    measured = evaluations(model_id, state, number, streams)
    shown = sorted(sorted(range(len(measured)), key=lambda n: (measured[n].primary, n))[-MOST_SHOWN:])
    return Champion(
        number,
        state.versions[number].semver,
        artifact_digest(metadata),
        callers_signature(metadata),
        tuple(measured[n] for n in shown),
    )
