"""Read the parameters of a query as the route's model describes them."""

from __future__ import annotations

from functools import cache
from typing import get_origin

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from shared.http.problems import of_shape


def parsed(model: type[BaseModel], request: Request) -> BaseModel:
    """Return the parameters. Raise Problem 422 with every error."""
    given = request.query_params
    lists = {name: given.getlist(name) for name in _lists(model) if name in given}
    try:
        return model.model_validate({**dict(given), **lists})
    except ValidationError as wrong:
        raise of_shape(wrong, "query") from wrong


@cache
def _lists(model: type[BaseModel]) -> frozenset[str]:
    """Return the parameters that may be repeated; of all others the last one counts."""
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is list
    )
