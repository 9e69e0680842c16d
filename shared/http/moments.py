"""Parameters that name a time, or a day in UTC."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from pydantic import AwareDatetime, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

_FORM = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d.*(?:[Zz]|[+-]\d\d:?\d\d))?", re.ASCII)
"""A day, or a time with a zone. pydantic would also take seconds since 1970, and midnight without a zone."""


def _checked(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Return the time or day; one error stands for those of each form."""
    if not isinstance(value, str) or _FORM.fullmatch(value):
        with contextlib.suppress(ValidationError):
            return check(value)
    raise PydanticCustomError(
        "moment",
        "Must be a day, for example 2026-03-01, or a time with a zone, for example 2026-03-01T12:00:00Z",
    )


Moment = Annotated[AwareDatetime | date, WrapValidator(_checked)]
"""RFC 3339, or a day, which is that day in UTC."""


def end(moment: datetime | date | None, now: datetime) -> datetime:
    """Return the moment, or the end of the day in UTC but not later than `now`; `now` for None."""
    if moment is None or isinstance(moment, datetime):
        return moment or now
    beginning = datetime.combine(moment, time.min, UTC)
    return min(datetime.combine(moment, time.max, UTC), max(now, beginning))
