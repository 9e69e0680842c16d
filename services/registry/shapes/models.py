"""Shapes of models."""

from __future__ import annotations

from services.registry.domain.model.metadata import Kind, Tier
from services.registry.inbound import Label, ModelFacts, Name, Tags, Text
from shared.http.routes import Body


class NewModel(ModelFacts):
    """A model without versions; publishing a version makes its model, too."""

    name: Name


class ModelChanges(Body):
    """Only what is given changes."""

    name: Name | None = None
    owner: Label | None = None
    description: Text | None = None
    tags: Tags | None = None
    tier: Tier | None = None


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
    items: list[ModelAnswer]
    next_page_token: str
