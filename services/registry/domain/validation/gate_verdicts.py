"""Validate a version whose gates and artifact passed; reject it when its bytes can never be right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain import noted
from services.registry.domain.model import past
from services.registry.domain.model.events import VersionRejected, VersionValidated
from services.registry.domain.model.fold import MODEL, evolve
from services.registry.domain.model.state import Events, ModelState, require_model, stream_of
from shared.deciding.decider import Joint, Streams
from shared.deciding.events import Noted

VALIDATED = "Validated"


@dataclass(frozen=True, slots=True)
class NoteGates:
    """approval evaluated the automated gates of a version."""

    model_id: str
    note: Noted


@dataclass(frozen=True, slots=True)
class NoteArtifact:
    """artifact reported on the bytes of a version, or on the end of the bytes of a digest."""

    model_id: str
    note: Noted


def note_gates(command: NoteGates, streams: Streams) -> Events:
    """Note the newest verdict for Validated. Validate the version when it passes and the bytes are good.

    A verdict for another stage, an older one, or one about a retired version changes nothing: no note is
    stored.
    """
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    verdict: noted.GatesEvaluated = noted.read(command.note)
    version = state.versions.get(verdict.number)
    if (
        verdict.stage != VALIDATED
        or version is None
        or version.retired
        or command.note.source.revision <= version.gates
    ):
        return {}
    events = [command.note, *_validated(evolve(state, command.note), verdict.number)]
    return {stream_of(command.model_id): events}


def note_artifact(command: NoteArtifact, streams: Streams) -> Events:
    """Note the newest report.

    Reject the version when its bytes can never be good; validate it when the gates wait for good bytes.
    """
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    report: noted.ArtifactReport | noted.ArtifactEnded = noted.read(command.note)
    if isinstance(report, noted.ArtifactEnded):
        return {stream_of(command.model_id): [command.note]}
    version = state.versions.get(report.number)
    if (
        version is None
        or version.retired
        or command.note.source.revision <= version.artifact
        or _is_about_other_bytes(command.model_id, state, report, streams)
    ):
        return {}
    events: list[Any] = [command.note, *_validated(evolve(state, command.note), report.number)]
    if noted.is_final(command.note.source.type, report) and version.stage in {"Staging", VALIDATED}:
        why = (report.detail or "the stored bytes do not hash to the registered digest").rstrip(".")
        found = f"; all files together hash to {report.found}" if report.found else ""
        reasons = (f"artifact: {why}{found}",)
        events.append(VersionRejected(state.model, report.number, version.semver, reasons))
    return {stream_of(command.model_id): events}


def _is_about_other_bytes(
    model_id: str, state: ModelState, report: noted.ArtifactReport, streams: Streams
) -> bool:
    return past.artifact_digest(past.document(model_id, state, report.number, streams)) != report.digest


def _validated(state: ModelState, number: int) -> list[VersionValidated]:
    """Return the validation when it is due.

    Verdicts and reports arrive in any order, so every arrival checks.
    """
    version = state.versions[number]
    ready = version.stage == "Staging" and not version.recalled and version.gates_passed and version.released
    return [VersionValidated(state.model, number, version.semver)] if ready else []


def _document_reported_on(command: NoteArtifact, streams: Streams) -> set[past.Position]:
    report = noted.read(command.note)
    if not isinstance(report, noted.ArtifactReport):
        return set()
    state = streams.state(MODEL, stream_of(command.model_id))
    return past.documents_of(command.model_id, state, [report.number])


DECIDERS: Mapping[type, Joint[Any]] = {
    NoteGates: Joint(note_gates),
    NoteArtifact: Joint(note_artifact, _document_reported_on),
}
