"""The rows of descriptions, tags, notes and corrections."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.registry.domain.model import events as e
from services.registry.serving.projections import patch_version, revise_version
from services.registry.tables import CORRECTIONS, NOTES
from shared.deciding.changes import Change, Put
from shared.deciding.events import Recorded


def remarked(
    r: Recorded, event: e.VersionDescribed | e.NoteAdded | e.NoteCorrected | e.MetadataCorrected
) -> Iterable[Change]:
    """Return the new text of a note, or what is stated of a version now and was before."""
    patch = patch_version
    match event:
        case e.NoteAdded() | e.NoteCorrected():
            row = {**_key(r, event.number), "note": event.note, "text": event.text, "by": event.by}
            return (
                Put(NOTES, {**row, "at": r.recorded_at, "reason": r.reason}),
                revise_version(r, event.number),
            )
        case e.VersionDescribed():
            changes: list[tuple[str, Any, Any]] = [
                ("description", event.previous_description, event.description),
                ("tags", event.previous_tags, event.tags),
            ]
            now: dict[str, Any] = {"description": event.description or None, "tags": event.tags or None}
            if event.description == event.previous_description:
                patch = revise_version
        case e.MetadataCorrected():
            changes = [(change.field, change.before, change.after) for change in event.changes]
            now = {"corrected": event.corrected}
    kept = [_correction(r, event.number, *change) for change in changes if change[1] != change[2]]
    return (*kept, patch(r, event.number, **now))


def _key(r: Recorded, number: int) -> dict[str, Any]:
    return {"model_id": r.stream.removeprefix("model-"), "number": number, "revision": r.revision}


def _correction(r: Recorded, number: int, field: str, before: Any, after: Any) -> Put:
    row = {**_key(r, number), "field": field, "before": before, "after": after}
    return Put(CORRECTIONS, {**row, "by": r.actor.subject, "at": r.recorded_at, "reason": r.reason})
