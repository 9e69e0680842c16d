"""Shapes of rollouts and of routing."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.registry.domain.model.events import Role
from services.registry.shapes.common import LARGEST, OptionalReason, RequiredReason
from shared.http.routes import Body


class NewEntry(Body):
    number: int = Field(ge=1, le=LARGEST)
    percent: int = Field(ge=0, le=100)
    role: Role


FROM_NUMBER = Field(default=None, ge=0, le=LARGEST)
"""The champion that the caller saw, 0 for none. The request is refused as stale when another one serves."""


class NewRollout(OptionalReason):
    """The whole rollout: one champion, percentages that add up to 100.

    `from_number`: the champion that you saw, 0 for none.
    """

    from_number: int | None = FROM_NUMBER
    entries: Annotated[list[NewEntry], Field(min_length=1, max_length=20)]


class Rollback(RequiredReason):
    """Without `to_number` a rollback ends a split, or goes to what served before.

    `even_if_incompatible` accepts a target whose schema breaks today's callers. `from_number`: the
    champion that you saw. `dry_run`: return the rollout as it would be, and change nothing.
    """

    to_number: int | None = Field(default=None, ge=1, le=LARGEST)
    from_number: int | None = FROM_NUMBER
    even_if_incompatible: bool = False
    dry_run: bool = False


class Stop(RequiredReason):
    """Take every version out of the rollout. `from_number`: the champion that you saw."""

    from_number: int | None = FROM_NUMBER


class RouteQuery(Body):
    """Requests with the same `key` (a user, for example) go to the same version while the rollout stays."""

    environment: str = Field(default="production", max_length=40)
    key: str = Field(default="", max_length=500)


class SkippedAnswer(Body):
    number: int
    why: str


class PreviousEntry(Body):
    number: int
    semver: str
    percent: int
    role: Role


class EntryAnswer(PreviousEntry):
    """A version that serves, with its `percent` of the requests.

    `withdrawn`: why it must not be loaded. `conditions`: those of its approvals. `grant_withdrawn`: the
    override that let it serve was not justified.
    """

    withdrawn: str | None
    conditions: list[str]
    grant_withdrawn: bool


class RolloutAnswer(Body):
    """Which versions serve; `champion` 0 and no `entries` when the rollout is stopped.

    `previous`: the entries before the last change. `skipped`: what the rollback that led here skipped;
    `warning`: what is doubtful about its target. `revision` is the ETag. With `dry_run` nothing was changed:
    `revision` is that of the present rollout.
    """

    model_id: str
    model: str
    environment: str
    production: bool
    champion: int
    entries: list[EntryAnswer]
    previous: list[PreviousEntry]
    rolled_back_from: int | None
    skipped: list[SkippedAnswer] | None
    warning: str
    changed_at: str
    changed_by: str
    reason: str
    revision: int
    dry_run: bool = False


class Rollouts(Body):
    items: list[RolloutAnswer]


class RouteAnswer(Body):
    """`conditions`: those under which the version was approved."""

    model_id: str
    model: str
    environment: str
    number: int
    semver: str
    conditions: list[str]
    role: Role
