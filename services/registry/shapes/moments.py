"""Shapes of the moments at which something happened to a model."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from shared.http.moments import Moment
from shared.http.routes import Body


class MomentsQuery(Body):
    at: Moment | None = Field(
        default=None, description="the moment whose neighbours are shown; RFC 3339, or a day: its end in UTC"
    )


class MomentOfModel(Body):
    """What happened at a moment. Several events of one moment are shown by the first."""

    at: datetime
    type: str
    by: str
    number: int | None
    environment: str | None


class MomentsOfModel(Body):
    """The moments of a model, the oldest first; without `complete` some of many, at even distances.

    `before` and `after` are the moments next to `at`, in any case.
    """

    model_id: str
    at: datetime
    items: list[MomentOfModel]
    before: MomentOfModel | None
    after: MomentOfModel | None
    complete: bool
