"""Shapes of comparisons of several versions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from services.registry.domain.model.state import Stage
from services.registry.domain.versioning.comparison import Part
from services.registry.inbound import Shape
from shared.http.routes import Body


class ComparisonQuery(Body):
    """Two to ten versions, each as MODEL@VERSION: a number, a semantic version, an alias, an environment."""

    version: Annotated[
        list[Annotated[str, Field(min_length=3, max_length=320)]], Field(min_length=2, max_length=10)
    ]


class ComparedVersion(Shape):
    model_id: str
    model: str
    number: int
    semver: str
    stage: Stage
    artifact_digest: str | None


class ComparisonRow(Shape):
    """A value for each version, in the order of `versions`; null where it has none.

    `on`: the data that a metric was measured on. `best`: the places of the best values, where all versions
    measured it on the same data by the same definition. `noise`: a configuration value that does not count.
    """

    part: Part
    name: str
    values: list[Any]
    on: str
    best: list[int]
    noise: bool


class ComparisonAnswer(Shape):
    """Metrics, then configuration values that differ, data, other training facts, schema, and sizes."""

    versions: list[ComparedVersion]
    rows: list[ComparisonRow]
