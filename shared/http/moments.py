"""The type of parameters that name a time, or a day in UTC."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError


def _checked(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Return the time or day; one error stands for those of each form."""
    try:
        return check(value)
    except ValidationError:
        raise PydanticCustomError(
            "moment",
            "Must be a day, for example 2026-03-01, or a time with a zone, for example 2026-03-01T12:00:00Z",
        ) from None


Moment = Annotated[AwareDatetime | date, WrapValidator(_checked)]
"""RFC 3339, or a day, which is that day in UTC."""
