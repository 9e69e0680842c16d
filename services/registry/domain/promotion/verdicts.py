"""What others found out about a version, and what follows: Validated, Rejected, recalled, held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain import noted
from services.registry.domain.model.events import (
    Evaluation,
    EvaluationRecorded,
    LegalHoldPlaced,
    LegalHoldReleased,
    PromotionRefused,
    VersionRecalled,
    VersionRejected,
    VersionValidated,
)
from services.registry.domain.model.fold import evaluation_digest, evolve, measures
from services.registry.domain.model.state import (
    Events,
    ModelState,
    known,
    needed_by,
    stream_of,
    usable,
    version_of,
)
from services.registry.domain.promotion import evidence
from services.registry.domain.serving.rollout import ended
from shared.deciding.access import normalized_name
from shared.deciding.decider import Joint, RuleBroken, Streams
from shared.deciding.events import Noted

MOST_EVALUATIONS = 200


@dataclass(frozen=True, slots=True)
class NoteGates:
    """approval evaluated the automated gates of a version."""

    model_id: str
    note: Noted


@dataclass(frozen=True, slots=True)
class NoteArtifact:
    """artifact said something about the bytes of a version, or about the bytes of a digest."""

    model_id: str
    note: Noted


@dataclass(frozen=True, slots=True)
class RecordEvaluation:
    model_id: str
    number: int
    evaluation: Evaluation
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class RejectVersion:
    model_id: str
    number: int
    reason: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class RecallVersion:
    model_id: str
    number: int
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class PlaceLegalHold:
    model_id: str
    number: int
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseLegalHold:
    model_id: str
    number: int
    expected: int | None = None


def _state(model_id: str, streams: Streams) -> ModelState:
    state: ModelState = streams.states[stream_of(model_id)]
    return state


def note_gates(command: NoteGates, streams: Streams) -> Events:
    """Noted unless something newer was; the version is Validated when the gates pass on good bytes."""
    state = _state(command.model_id, streams)
    told: noted.GatesEvaluated = noted.read(command.note)
    version = known(state).versions.get(told.number)
    if version is None or command.note.source.revision <= version.gates:
        return {}
    events = [command.note, *_validated(evolve(state, command.note), told.number)]
    return {stream_of(command.model_id): events}


def note_artifact(command: NoteArtifact, streams: Streams) -> Events:
    """Noted unless something newer was.

    What can never become good rejects the version; good bytes may be what its gates waited for.
    """
    state = known(_state(command.model_id, streams))
    told: noted.ArtifactNews | noted.ArtifactEnded = noted.read(command.note)
    if isinstance(told, noted.ArtifactEnded):
        return {stream_of(command.model_id): [command.note]}
    version = state.versions.get(told.number)
    if (
        version is None
        or version.retired
        or command.note.source.revision <= version.artifact
        or _other_bytes(command.model_id, state, told, streams)
    ):
        return {}
    events: list[Any] = [command.note, *_validated(evolve(state, command.note), told.number)]
    if _never_good(command.note.source.type, told) and version.stage in {"Staging", "Validated"}:
        why = (told.detail or "the stored bytes do not hash to the registered digest").rstrip(".")
        found = f"; all files together hash to {told.found}" if told.found else ""
        events.append(VersionRejected(state.model, told.number, version.semver, (f"artifact: {why}{found}",)))
    return {stream_of(command.model_id): events}


def _never_good(type_: str, told: noted.ArtifactNews) -> bool:
    return type_ == noted.ARTIFACT_MISMATCHED or (
        type_ == noted.ARTIFACT_QUARANTINED and told.generation == 0
    )


def _other_bytes(model_id: str, state: ModelState, told: noted.ArtifactNews, streams: Streams) -> bool:
    return evidence.artifact_digest(evidence.document(model_id, state, told.number, streams)) != told.digest


def _validated(state: ModelState, number: int) -> list[VersionValidated]:
    """Evaluated again at every arrival: gates and bytes are noted in whatever order they come."""
    version = state.versions[number]
    ready = version.stage == "Staging" and not version.recalled and version.gates_passed and version.released
    return [VersionValidated(state.model, number, version.semver)] if ready else []


def record_evaluation(command: RecordEvaluation, streams: Streams) -> Events:
    """One more figure; the newest one about the same, again, is nothing new.

    Nobody is independent of what they made.
    """
    state = _state(command.model_id, streams)
    version = usable(state, command.number, command.expected)
    if command.evaluation.independent and normalized_name(command.evaluation.by) in evidence.makers(
        command.model_id, state, command.number, streams
    ):
        raise RuleBroken(
            "not_independent",
            f"{command.evaluation.by} made this version: record the evaluation as claimed, or have somebody else measure.",
        )
    known_refs = state.evaluations.get(command.number, ())
    newest = next((ref for ref in reversed(known_refs) if ref.about == measures(command.evaluation)), None)
    if newest is not None and newest.digest == evaluation_digest(command.evaluation):
        return {}
    if len(known_refs) >= MOST_EVALUATIONS:
        raise RuleBroken(
            "too_many_evaluations",
            f"A version takes {MOST_EVALUATIONS} evaluations: summarise before you record.",
        )
    return {
        stream_of(command.model_id): [
            EvaluationRecorded(state.model, command.number, version.semver, command.evaluation)
        ]
    }


def reject(command: RejectVersion, streams: Streams) -> Events:
    """A person's decision, which ends its open promotions.

    What is or was in Production is recalled instead; what somebody needs stays.
    """
    state = _state(command.model_id, streams)
    version = version_of(state, command.number, command.expected)
    if version.stage == "Rejected":
        return {}
    if version.retired or version.stage in {"Production", "Archived"}:
        raise RuleBroken(
            "not_rejectable",
            f"{state.model} version {command.number} is {version.stage}: recall it instead, and roll back where it serves.",
        )
    if needed := needed_by(state, command.number):
        why = "; ".join(needed)
        raise RuleBroken(
            "version_protected",
            f"{state.model} version {command.number} stays while {why}: end that first.",
            protections=needed,
        )
    why_ended = (
        f"the version is rejected: {command.reason}" if command.reason else "the version is rejected",
    )
    promotions = [
        PromotionRefused(state.model, command.number, version.semver, id_, p.environment, why_ended)
        for id_, p in sorted(state.promotions.items())
        if p.number == command.number
    ]
    rejected = VersionRejected(state.model, command.number, version.semver, (command.reason or "rejected",))
    return {stream_of(command.model_id): [*promotions, rejected]}


def recall_version(command: RecallVersion, streams: Streams) -> Events:
    """Never to be used again, wherever it is; where it serves, a rollback takes it out, and where it does not, Production ends here."""
    state = _state(command.model_id, streams)
    version = version_of(state, command.number, command.expected)
    if version.recalled or version.retired:
        return {}
    digest = evidence.artifact_digest(evidence.document(command.model_id, state, command.number, streams))
    recalled = VersionRecalled(state.model, command.number, version.semver, digest)
    return {stream_of(command.model_id): [recalled, *ended(evolve(state, recalled), [command.number])]}


def hold(command: PlaceLegalHold, streams: Streams) -> Events:
    state = _state(command.model_id, streams)
    version = version_of(state, command.number, command.expected)
    if version.retired:
        raise RuleBroken(
            "version_retired",
            f"{state.model} version {command.number} is retired: there is nothing left to hold.",
        )
    return (
        {}
        if version.held
        else {stream_of(command.model_id): [LegalHoldPlaced(state.model, command.number, version.semver)]}
    )


def release_hold(command: ReleaseLegalHold, streams: Streams) -> Events:
    state = _state(command.model_id, streams)
    version = version_of(state, command.number, command.expected)
    return (
        {stream_of(command.model_id): [LegalHoldReleased(state.model, command.number, version.semver)]}
        if version.held
        else {}
    )


def _own_document(
    command: RecallVersion | RecordEvaluation | NoteArtifact, streams: Streams
) -> set[evidence.Place]:
    told = noted.read(command.note) if isinstance(command, NoteArtifact) else command
    return evidence.documents_of(
        command.model_id, _state(command.model_id, streams), [getattr(told, "number", 0)]
    )


DECIDERS: Mapping[type, Joint[Any]] = {
    NoteGates: Joint(note_gates),
    NoteArtifact: Joint(note_artifact, _own_document),
    RecordEvaluation: Joint(record_evaluation, _own_document),
    RejectVersion: Joint(reject),
    RecallVersion: Joint(recall_version, _own_document),
    PlaceLegalHold: Joint(hold),
    ReleaseLegalHold: Joint(release_hold),
}
