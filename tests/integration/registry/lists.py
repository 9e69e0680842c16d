"""Statements of lists of models and versions, with their values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.registry import queries
from services.registry.search import queries as search
from services.registry.shapes.common import LARGEST


def of_all(*readable: str, **wanted: Any) -> tuple[str, tuple[Any, ...]]:
    after = (datetime.max.replace(tzinfo=UTC), "", LARGEST)
    statement, values = search.of_all(search.Wanted(**wanted), after, 50, list(readable) or None)
    return statement, tuple(values)


def models_of(*readable: str, search: str | None = None, **filters: Any) -> tuple[str, tuple[Any, ...]]:
    statement, values = queries.list_models_sql(list(readable) or None, search, filters)
    return statement, ("", list(readable) or None, 50, *values)
