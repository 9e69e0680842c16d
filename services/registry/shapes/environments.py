"""Shapes of environments, and of what serves where."""

from __future__ import annotations

from pydantic import Field

from services.registry.domain.serving.environment import LAST
from services.registry.shapes.common import RequiredReason
from services.registry.shapes.rollouts import RolloutAnswer
from shared.http.routes import Body, PageQuery


class NewEnvironment(Body):
    """`name`: `[namespace.]name`. Models of the namespace, and of those below it, may serve there.

    `production` never changes. `order`: its place in lists, the lowest first.
    """

    name: str = Field(max_length=250)
    production: bool
    order: int = Field(default=50, ge=0, le=LAST)
    description: str = Field(default="", max_length=2_000)


class EnvironmentChanges(Body):
    """What is given changes. Whether an environment is production never does."""

    order: int | None = Field(default=None, ge=0, le=LAST)
    description: str | None = Field(default=None, max_length=2_000)


class RetireReason(RequiredReason):
    """Why. An environment that is in use is not retired."""


class EnvironmentsQuery(PageQuery):
    """`namespace`: only what models of it may use. `retired`: show retired ones, too."""

    namespace: str | None = Field(default=None, max_length=200)
    retired: bool = False


class EnvironmentAnswer(Body):
    """`environment` is the full name; models call it `name`. `revision` is the ETag."""

    environment: str
    namespace: str
    name: str
    production: bool
    order: int
    description: str
    retired: bool
    changed_at: str
    changed_by: str
    revision: int


class Environments(Body):
    items: list[EnvironmentAnswer]
    next_page_token: str


class ServingQuery(PageQuery):
    """All filters are optional. `namespace`: its models and those below. `stopped`: stopped rollouts, too."""

    environment: str | None = Field(default=None, max_length=40)
    production: bool | None = None
    model: str | None = Field(default=None, max_length=210)
    namespace: str | None = Field(default=None, max_length=200)
    stopped: bool = False


class Serving(Body):
    """The rollouts of all models that the caller may read, by model and environment."""

    items: list[RolloutAnswer]
    next_page_token: str
