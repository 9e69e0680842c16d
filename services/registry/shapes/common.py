"""Shapes that several endpoints share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shared.http.moments import Moment
from shared.http.routes import Body

LARGEST = 2**31 - 1
"""The largest version number."""

RequiredText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
"""A reason that is required and not blank: auditors read it."""


AS_OF = "RFC 3339, or a day: its end in UTC, now for today; as it is now if left out"


class OptionalReason(Body):
    """An optional reason."""

    reason: str = Field(default="", max_length=2_000)


class RequiredReason(Body):
    """Why. The audit trail stores it permanently."""

    reason: RequiredText


class AsOfQuery(Body):
    """`as_of`: the answer as it was then; a day is its end in UTC. Without it the answer is of now."""

    as_of: Moment | None = Field(default=None, description=AS_OF)
