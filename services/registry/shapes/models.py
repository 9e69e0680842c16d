"""Shapes of models."""

from __future__ import annotations

from pydantic import field_validator

from services.registry.domain.model.metadata import Kind, Tier
from services.registry.inbound import Label, ModelFacts, Name, TagChanges, Text
from shared.http.routes import Body


class NewModel(ModelFacts):
    """A model without versions; publishing a version makes its model, too."""

    name: Name


class ModelChanges(Body):
    """A JSON merge patch (RFC 7396): only what is given changes.

    In `tags`, a text adds a tag or changes its value, and null removes it; other tags stay. `tags` null
    removes all tags, `description` null or "" clears it.
    """

    name: Name | None = None
    owner: Label | None = None
    description: Text | None = None
    tags: TagChanges | None = None
    tier: Tier | None = None

    @field_validator("name", "owner", "tier", mode="before")
    @classmethod
    def _stays(cls, value: object) -> object:
        if value is None:
            raise ValueError("every model has one: give a new value, or leave the field out")
        return value

    def new_tags(self) -> dict[str, str] | None:
        """Return the tags that replace all, None when they stay or change one by one."""
        return {} if "tags" in self.model_fields_set and self.tags is None else None

    def new_description(self) -> str | None:
        """Return the new description, None when it stays."""
        return self.description or "" if "description" in self.model_fields_set else None


class ModelAnswer(Body):
    """A model. `revision` is its ETag; `production` the champion's number there."""

    model_id: str
    model: str
    namespace: str
    kind: Kind
    owner: str
    tier: Tier
    description: str
    tags: dict[str, str]
    registered_at: str
    registered_by: str
    newest: int | None
    newest_semver: str | None
    production: int | None
    revision: int


class Models(Body):
    """`too_long`, of a list as of a moment: the models then with too many events to show what they were."""

    items: list[ModelAnswer]
    too_long: list[str]
    next_page_token: str
