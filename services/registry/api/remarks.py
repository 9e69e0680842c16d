"""Description, tags, notes and corrections of versions."""

from __future__ import annotations

from typing import Any

from services.registry.api.calls import model_of, number_of, own_role, small_number, submit
from services.registry.api.versions import answer_version
from services.registry.domain.remarks.correction import EditVersion
from services.registry.domain.remarks.notes import AddNote, CorrectNote
from services.registry.look_ups import ModelRef
from services.registry.remarks import queries
from services.registry.shapes.remarks import (
    NewNote,
    NoteCorrection,
    Notes,
    NotesQuery,
    NoteWithEarlier,
    VersionCorrection,
    VersionDescription,
)
from services.registry.shapes.versions import VersionAnswer
from shared.deciding.access import ANY_ROLE
from shared.deciding.decider import NotFound
from shared.http.routes import Call, Reply, Route


async def describe_version(call: Call[VersionDescription]) -> Reply:
    return await _edit(call, {})


async def correct_version(call: Call[VersionCorrection]) -> Reply:
    """Correct the version. What stood before stays in the log and in the answer."""
    return await _edit(call, call.body.fields)


async def _edit(
    call: Call[VersionDescription] | Call[VersionCorrection], fields: dict[str, str | None]
) -> Reply:
    model = await model_of(call)
    number = await number_of(call, model)
    await submit_edit(call, model, number, fields)
    return await answer_version(call, model, number)


async def submit_edit(
    call: Call[VersionDescription] | Call[VersionCorrection],
    model: ModelRef,
    number: int,
    fields: dict[str, str | None],
) -> None:
    """Submit the description, tags and corrected `fields` of a version."""
    body = call.body
    role, own_only = own_role(call, model, "engineer")
    command = EditVersion(
        model.model_id,
        number,
        call.actor.subject,
        body.description,
        body.set_tags,
        tuple(body.remove_tags),
        fields,
        own_only=own_only,
        expected=call.if_match,
    )
    await submit(call, model, command, role=role, reason=body.reason)


async def list_notes(call: Call[None, NotesQuery]) -> dict[str, Any]:
    model, q = await model_of(call), call.query
    number = await number_of(call, model)
    after = q.after(int) or (0,)
    rows = await call.app.list_rows(queries.LIST_NOTES, model.model_id, number, *after, q.page_size)
    return {"items": [dict(row) for row in rows], "next_page_token": q.next_token(rows, "note")}


async def add_note(call: Call[NewNote]) -> Reply:
    model = await model_of(call)
    number = await number_of(call, model)
    role, own_only = own_role(call, model, "engineer", "approver", "auditor")
    command = AddNote(model.model_id, number, call.body.text, call.actor.subject, own_only=own_only)
    outcome = await submit(call, model, command, role=role)
    (added,) = outcome.events
    return await _answer_note(call, model, number, added.event.note, 201)


async def correct_note(call: Call[NoteCorrection]) -> Reply:
    model = await model_of(call)
    number, note = await number_of(call, model), _note(call.path["note"])
    command = CorrectNote(model.model_id, number, note, call.body.text, call.actor.subject)
    await submit(call, model, command, role=ANY_ROLE, reason=call.body.reason)
    return await _answer_note(call, model, number, note)


def _note(text: str) -> int:
    number = small_number(text)
    if number is None:
        raise NotFound("unknown_note", f"{text!r:.80} is no number of a note: see the version's notes.")
    return number


async def _answer_note(call: Call[Any], model: ModelRef, number: int, note: int, status: int = 200) -> Reply:
    (row,) = await call.app.list_rows(queries.LIST_NOTES, model.model_id, number, note - 1, 1)
    return Reply(dict(row), status)


_ONE = "/v1/models/{model}/versions/{version}"
ROUTES = (
    Route(
        "POST",
        _ONE + ":describe",
        describe_version,
        "Change description and tags of a version",
        body=VersionDescription,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + ":correct",
        correct_version,
        "Correct metadata that no decision is bound to",
        body=VersionCorrection,
        response=VersionAnswer,
        tags=["versions"],
    ),
    Route(
        "GET",
        _ONE + "/notes",
        list_notes,
        "The notes of a version, the oldest first",
        query=NotesQuery,
        response=Notes,
        tags=["versions"],
    ),
    Route(
        "POST",
        _ONE + "/notes",
        add_note,
        "Add a note to a version",
        body=NewNote,
        response=NoteWithEarlier,
        status=201,
        tags=["versions"],
    ),
    Route(
        "PUT",
        _ONE + "/notes/{note}",
        correct_note,
        "Correct an own note; the earlier text stays",
        body=NoteCorrection,
        response=NoteWithEarlier,
        tags=["versions"],
    ),
)
