"""Shapes of descriptions, tags, notes and corrections of versions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from services.registry.inbound import Shape, Tags, Text
from services.registry.shapes.common import OptionalReason, RequiredReason, RequiredText
from shared.http.routes import Body, PageQuery

TagNames = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=100)]


class VersionDescription(OptionalReason):
    """What is given changes. `description` "" removes it; `set_tags` adds tags or changes their values."""

    description: Text | None = None
    set_tags: Tags = Field(default_factory=dict)
    remove_tags: TagNames = Field(default_factory=list)


class VersionCorrection(RequiredReason):
    """Corrections of metadata that no decision is bound to.

    `fields`: new values by path: `training.run_url`, `training.code.repository`, `training.framework.name`,
    `training.framework.version`; null removes one. Description and tags are as in `:describe`.
    """

    fields: dict[Annotated[str, Field(max_length=100)], Text | None] = Field(
        default_factory=dict, max_length=20
    )
    description: Text | None = None
    set_tags: Tags = Field(default_factory=dict)
    remove_tags: TagNames = Field(default_factory=list)


class NewNote(Body):
    text: RequiredText


class NoteCorrection(Body):
    """The note's text from now on. The earlier text stays."""

    text: RequiredText
    reason: str = Field(default="", max_length=2_000)


class NotesQuery(PageQuery):
    pass


class EarlierText(Shape):
    text: str
    at: str


class NoteAnswer(Shape):
    """A note: who wrote it and when. `corrected_at`: when the author corrected it last."""

    note: int
    text: str
    by: str
    at: str
    corrected_at: str | None


class NoteWithEarlier(NoteAnswer):
    """`earlier`: the texts that a correction replaced, the oldest first."""

    earlier: list[EarlierText]


class Notes(Shape):
    items: list[NoteWithEarlier]
    next_page_token: str


class CorrectionAnswer(Shape):
    """What was changed of a version's description, tags or metadata, by whom, when and why."""

    field: str
    before: Any
    after: Any
    by: str
    at: str
    reason: str
