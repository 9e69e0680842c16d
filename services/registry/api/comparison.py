"""Compare several versions, also of different models."""

from __future__ import annotations

from typing import Any

import asyncpg

from services.registry import queries
from services.registry.api.calls import number_of, parts, readable
from services.registry.domain.model.metadata import corrected
from services.registry.domain.versioning.comparison import Measured, compare
from services.registry.search.queries import MEASURED
from services.registry.shapes.comparison import ComparisonAnswer, ComparisonQuery
from shared.deciding.decider import NotFound, Unprocessable
from shared.http.routes import Call, Route


async def compare_versions(call: Call[None, ComparisonQuery]) -> dict[str, Any]:
    """Return the versions beside each other. Metrics count only on the same data by the same definition."""
    call.require_any_role()
    found = [await _version(call, reference) for reference in call.query.version]
    documents = [corrected(queries.document(row["stored"]), queries.corrections_of(row)) for row in found]
    measured = await call.app.pool.fetch(
        MEASURED, [row["model_id"] for row in found], [row["number"] for row in found]
    )
    names = ("model_id", "model", "number", "stage", "artifact_digest")
    return {
        "versions": [{name: row[name] for name in names} | {"semver": row["semver"] or ""} for row in found],
        "rows": compare(documents, [Measured(**row) for row in measured], parts(call).bump_policy.noise),
    }


async def _version(call: Call[Any, Any], reference: str) -> asyncpg.Record:
    """Return the row of the version that `MODEL@VERSION` names."""
    name, _, version = reference.rpartition("@")
    if not name or not version:
        raise Unprocessable(
            "no_reference",
            f"{reference!r:.120} names no version: write MODEL@VERSION, for example churn@3 or churn@latest.",
        )
    model = await readable(call, name)
    exact = version[0].isascii() and version[0].isdecimal()
    number = await number_of(call, model, version if exact else f"@{version}")
    row = await parts(call).versions.get((model.model_id, number))
    if row is None:
        raise NotFound("unknown_version", f"{name:.210} has no version {number}: see its list of versions.")
    return row


ROUTES = (
    Route(
        "GET",
        "/v1/compare",
        compare_versions,
        "Several versions beside each other",
        query=ComparisonQuery,
        response=ComparisonAnswer,
        tags=["versions"],
    ),
)
