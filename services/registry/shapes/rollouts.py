"""Shapes of rollouts and of routing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from services.registry.domain.model.events import Role
from services.registry.shapes.common import LARGEST, OptionalReason, RequiredReason
from shared.http.routes import Body


class NewEntry(Body):
    number: int = Field(ge=1, le=LARGEST)
    percent: int = Field(ge=0, le=100)
    role: Role


class NewRollout(OptionalReason):
    """The whole rollout: one champion, percentages that add up to 100."""

    entries: Annotated[list[NewEntry], Field(min_length=1, max_length=20)]


class Rollback(RequiredReason):
    """Without `to_number` the rollback goes to what served before.

    `even_if_incompatible` accepts a target whose signature breaks today's callers.
    """

    to_number: int | None = Field(default=None, ge=1, le=LARGEST)
    even_if_incompatible: bool = False


class RouteQuery(Body):
    """Requests with the same `key` (a user, for example) go to the same version while the rollout stays."""

    environment: str = Field(default="production", max_length=40)
    key: str = Field(default="", max_length=500)


class SkippedAnswer(Body):
    number: int
    why: str


class RolloutAnswer(Body):
    """Which versions serve. `skipped`: what the rollback that led here skipped. `revision` is the ETag."""

    model_id: str
    model: str
    environment: str
    champion: int
    entries: list[dict[str, Any]]
    previous: list[dict[str, Any]]
    rolled_back_from: int | None
    skipped: list[SkippedAnswer] | None
    changed_at: str
    changed_by: str
    reason: str
    revision: int


class Rollouts(Body):
    items: list[RolloutAnswer]


class RouteAnswer(Body):
    model_id: str
    model: str
    environment: str
    number: int
    semver: str
    role: Role
