"""Notes: texts about a version, each with its author and time. A correction keeps the text before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import NoteAdded, NoteCorrected
from services.registry.domain.model.fold import MODEL, text_digest
from services.registry.domain.model.state import Events, require_version, stream_of
from shared.deciding.decider import Forbidden, Joint, NotFound, RuleBroken, Streams

MOST_NOTES = 100
MOST_CORRECTIONS = 20
"""Of one version, and of one note."""


@dataclass(frozen=True, slots=True)
class AddNote:
    """`by` is the author. `own_only`: the author may note something about own versions only."""

    model_id: str
    number: int
    text: str
    by: str
    own_only: bool = False


@dataclass(frozen=True, slots=True)
class CorrectNote:
    """Replace the text of a note by its author. The earlier texts stay."""

    model_id: str
    number: int
    note: int
    text: str
    by: str


def add(command: AddNote, streams: Streams) -> Events:
    """Add the note."""
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number)
    if command.own_only:
        past.check_own(command.by, command.model_id, state, command.number, streams)
    notes = state.notes.get(command.number, ())
    if len(notes) >= MOST_NOTES:
        raise RuleBroken(
            "too_many_notes",
            f"{state.model} version {command.number} has {MOST_NOTES} notes, the most that it takes: keep "
            "further texts elsewhere, and put their link into the description.",
        )
    added = NoteAdded(state.model, command.number, version.semver, len(notes) + 1, command.text, command.by)
    return {stream_of(command.model_id): [added]}


def correct(command: CorrectNote, streams: Streams) -> Events:
    """Correct the note; nothing when it has this text already."""
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number)
    notes = state.notes.get(command.number, ())
    if not 1 <= command.note <= len(notes):
        raise NotFound(
            "unknown_note",
            f"{state.model} version {command.number} has no note {command.note}: see its notes.",
        )
    found = notes[command.note - 1]
    if found.by != command.by:
        raise Forbidden(
            "not_your_note",
            f"{found.by} wrote note {command.note}, and only the author corrects a note: add a note of your "
            "own.",
        )
    if found.digest == text_digest(command.text):
        return {}
    if found.corrections >= MOST_CORRECTIONS:
        raise RuleBroken(
            "too_many_corrections",
            f"Note {command.note} was corrected {MOST_CORRECTIONS} times: add another note.",
        )
    event = NoteCorrected(state.model, command.number, version.semver, command.note, command.text, command.by)
    return {stream_of(command.model_id): [event]}


def _document(command: AddNote, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    return past.documents_of(command.model_id, state, [command.number] if command.own_only else [])


DECIDERS: Mapping[type, Joint[Any]] = {AddNote: Joint(add, _document), CorrectNote: Joint(correct)}
