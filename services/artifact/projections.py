"""Map each stored event to changes of rows. A live commit and a rebuild apply the same changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from services.artifact.domain import artifact_events as a
from services.artifact.domain import noted, upload
from services.artifact.domain.artifact_state import key_of
from services.artifact.tables import ARTIFACTS, REFERENCES, UPLOADS
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Noted, Recorded
from shared.log.due_work import DUE

VERIFY, CHECK, DELETE, DISCARD, UPLOAD = "verify", "check", "delete", "discard", "upload"
"""Kinds of due work: verify claims, check again, delete expired bytes, discard copies, end uploads."""


def project(r: Recorded) -> Iterable[Change]:
    """Return the row changes of one event."""
    if isinstance(
        r.event, upload.UploadOpened | upload.FileAdded | upload.UploadExpired | upload.UploadDeleted
    ):
        return _upload(r)
    hex_ = r.stream.removeprefix("artifact-")
    first = [_row(hex_, r)] if r.revision == 1 else []
    return [*first, *_artifact(hex_, r)]


def _row(hex_: str, r: Recorded) -> Put:
    none = dict.fromkeys(("generation", "verified", "quarantined", "expired", "deleted"), 0)
    return Put(ARTIFACTS, {"hex": hex_, **none, "first_at": r.recorded_at})


def _artifact(hex_: str, r: Recorded) -> Iterator[Change]:
    artifact = {"hex": hex_}
    match r.event:
        case Noted():
            yield from _noted(hex_, r)
        case a.ArtifactReceived() as e:
            yield Patch(ARTIFACTS, artifact, {"generation": e.generation})
            yield _reference(r, status="received", generation=e.generation, proven=e.proven)
            yield _due(
                VERIFY,
                key_of(e.model_id, e.number),
                r.recorded_at,
                r,
                {"model_id": e.model_id, "number": e.number, "generation": e.generation},
            )
        case a.ArtifactVerified() as e:
            found = {
                "verified": e.generation,
                "quarantined": 0,
                "uri": e.uri,
                "size": e.size,
                "checked_at": r.recorded_at,
            }
            yield Patch(ARTIFACTS, artifact, found | ({"files": e.files} if e.files else {}))
            yield _due(CHECK, hex_, e.check_again_at, r) if e.check_again_at else _drop(CHECK, hex_)
        case a.ArtifactReleased() as e:
            yield _reference(r, status="available", generation=e.generation, detail=None, proven=True)
            yield _drop(VERIFY, key_of(e.model_id, e.number))
        case a.ArtifactMismatched() as e:
            yield _reference(r, status="mismatched", generation=0, detail=e.detail)
            yield _drop(VERIFY, key_of(e.model_id, e.number))
            if e.generation:
                yield _discard(hex_, e.generation, r)
        case a.ArtifactQuarantined() as e:
            yield _reference(r, status="quarantined", detail=e.detail)
            yield _drop(VERIFY, key_of(e.model_id, e.number))
            if e.generation:
                yield Patch(ARTIFACTS, artifact, {"verified": 0, "quarantined": e.generation})
                yield _drop(CHECK, hex_)
        case a.ArtifactRecalled() as e:
            yield _reference(r, withdrawn=True, detail=e.reason)
            yield _drop(VERIFY, key_of(e.model_id, e.number))
        case a.CheckAsked():
            yield _due(CHECK, hex_, r.recorded_at, r)
        case _:
            yield from _ending(hex_, r)


def _ending(hex_: str, r: Recorded) -> Iterator[Change]:
    artifact = {"hex": hex_}
    match r.event:
        case a.ArtifactExpired() as e:
            yield Patch(
                ARTIFACTS,
                artifact,
                {
                    "expired": e.generation,
                    "deleted": 0,
                    "verified": 0,
                    "quarantined": 0,
                    "uri": None,
                    "delete_at": None,
                },
            )
            yield _drop(CHECK, hex_)
            yield _due(
                DELETE,
                f"{hex_}/{e.generation}",
                r.recorded_at,
                r,
                {"hex": hex_, "generation": e.generation, "tagged": False},
            )
        case a.ExpiryTagged() as e:
            yield Patch(ARTIFACTS, artifact, {"delete_at": e.delete_at})
            yield _due(
                DELETE,
                f"{hex_}/{e.generation}",
                e.delete_at,
                r,
                {"hex": hex_, "generation": e.generation, "tagged": True},
            )
        case a.ArtifactDeleted() as e:
            yield Patch(ARTIFACTS, artifact, {"deleted": e.generation})
            yield from (_drop(DELETE, f"{hex_}/{generation}") for generation in e.settled)
        case a.CopyLeft() as e:
            yield _discard(hex_, e.generation, r)
        case a.CopyDiscarded() as e:
            yield _drop(DISCARD, f"{hex_}/{e.generation}")


def _noted(hex_: str, r: Recorded) -> Iterator[Change]:
    source, data = r.event.source.type, r.event.data
    if source in {noted.REGISTERED, noted.DRAFT_REGISTERED}:
        claimed = data["artifact"]
        row = {
            "model_id": data["model_id"],
            "number": data["number"],
            "hex": hex_,
            "model": data["model"],
            "status": "noted",
            "withdrawn": False,
            "rejected": False,
            "location": claimed["location"],
            "generation": 0,
            "files": claimed["files"],
            "noted_at": r.recorded_at,
            "changed_at": r.recorded_at,
            "proven": False,
        }
        yield Put(REFERENCES, row)
    elif source == noted.REINSTATED:
        key = {"model_id": data["model_id"], "number": data["number"]}
        yield Patch(REFERENCES, key, {"withdrawn": False, "detail": None, "changed_at": r.recorded_at})
    elif source in {noted.RETIRED, noted.REJECTED}:
        key = {"model_id": data["model_id"], "number": data["number"]}
        ending = {"status": "ended"} if source == noted.RETIRED else {"rejected": True}
        yield Patch(REFERENCES, key, {**ending, "changed_at": r.recorded_at})
        yield _drop(VERIFY, key_of(**key))


def _upload(r: Recorded) -> Iterator[Change]:
    match r.event:
        case upload.UploadOpened() as e:
            row = {
                "upload_id": e.upload_id,
                "subject": e.subject,
                "state": "open",
                "opened_at": r.recorded_at,
                "expires_at": e.expires_at,
            }
            yield Put(UPLOADS, row)
            yield _due(UPLOAD, e.upload_id, e.expires_at, r, {"expired": False})
        case upload.UploadExpired() as e:
            yield Patch(UPLOADS, {"upload_id": e.upload_id}, {"state": "expired"})
            yield _due(UPLOAD, e.upload_id, r.recorded_at, r, {"expired": True})
        case upload.UploadDeleted() as e:
            yield Patch(UPLOADS, {"upload_id": e.upload_id}, {"state": "deleted"})
            yield _drop(UPLOAD, e.upload_id)


def _discard(hex_: str, generation: int, r: Recorded) -> Put:
    return _due(DISCARD, f"{hex_}/{generation}", r.recorded_at, r, {"hex": hex_, "generation": generation})


def _reference(r: Recorded, **columns: Any) -> Patch:
    return Patch(
        REFERENCES,
        {"model_id": r.event.model_id, "number": r.event.number},
        {**columns, "changed_at": r.recorded_at},
    )


def _due(kind: str, key: str, at: datetime, r: Recorded, data: dict[str, Any] | None = None) -> Put:
    """Return a row of due work. `caused` names the event that requested it, for the chain of causes."""
    caused = {"correlation_id": r.correlation_id, "causation_id": str(r.event_id), "trace": r.trace}
    return Put(DUE, {"kind": kind, "key": key, "due_at": at, "data": {**(data or {}), "caused": caused}})


def _drop(kind: str, key: str) -> Drop:
    return Drop(DUE, {"kind": kind, "key": key})
