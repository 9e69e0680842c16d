"""Shapes of searches: what versions and models are searched for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, cast

import msgspec
from pydantic import Field

from services.registry.domain.model.state import Stage
from services.registry.search.queries import Comparison, MetricCondition, Wanted
from services.registry.shapes.common import AS_OF
from shared.deciding.decider import Unprocessable
from shared.http.moments import Moment
from shared.http.routes import PageQuery

Aware: Any = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone, in a page token."""
Conditions = Annotated[list[Annotated[str, Field(min_length=1, max_length=700)]], Field(max_length=20)]
TAG = "NAME=VALUE, or NAME for any value; may be repeated, all must match"
METRIC = "NAME, one of > >= < <= =, and a number, such as auc>0.9; may be repeated, all must match"
_METRIC = re.compile(r"([^<>=]{1,200}?)\s*(>=|<=|=|>|<)\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)", re.ASCII)


def tags_of(conditions: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return the tags that are wanted, with None for any value. Raise Unprocessable for a missing name."""
    found = []
    for condition in conditions:
        name, sign, value = condition.partition("=")
        if not name:
            raise Unprocessable("invalid_tag", f"{condition!r:.120} names no tag: write NAME=VALUE or NAME.")
        found.append((name, value if sign else None))
    return found


def _metric(condition: str) -> MetricCondition:
    found = _METRIC.fullmatch(condition.strip())
    try:
        value = float(found[3]) if found else math.nan
    except ValueError:
        value = math.nan
    if found is None or not math.isfinite(value):
        raise Unprocessable(
            "invalid_metric_condition",
            f"{condition!r:.120} is no condition on a metric: write a name, one of > >= < <= =, and a "
            "number, for example auc>0.9.",
        )
    return MetricCondition(found[1], cast("Comparison", found[2]), value)


class VersionQuery(PageQuery):
    """All that is given must hold. `until` includes the day that it names; days are in UTC."""

    stage: Stage | None = None
    artifact_digest: str | None = Field(default=None, max_length=100)
    correlation_id: str | None = Field(default=None, max_length=200)
    created_by: str | None = Field(default=None, max_length=500, description="the creator, as it was given")
    dataset: str | None = Field(
        default=None, max_length=500, description="the training data: its digest (sha256:…), or its name"
    )
    tag: Conditions = Field(default_factory=list, description=TAG)
    metric: Conditions = Field(default_factory=list, description=METRIC)
    since: Moment | None = Field(default=None, description="RFC 3339, or a day: from its beginning in UTC")
    until: Moment | None = Field(default=None, description="RFC 3339, or a day: up to its end in UTC")

    def wanted(self) -> Wanted:
        """Return the conditions. Raise Unprocessable for one that cannot be read."""
        return Wanted(
            stage=self.stage,
            artifact_digest=self.artifact_digest,
            correlation_id=self.correlation_id,
            creator=self.created_by,
            dataset=self.dataset,
            since=_beginning(self.since),
            until=_end(self.until),
            tags=tags_of(self.tag),
            metrics=[_metric(condition) for condition in self.metric],
        )


class VersionsOfModelQuery(VersionQuery):
    """`as_of`: the versions that there were then, as they were; no other condition goes with it."""

    as_of: Moment | None = Field(default=None, description=AS_OF)


def _beginning(moment: datetime | date | None) -> datetime | None:
    """Return the first moment that is wanted; None for one before all times in UTC."""
    if isinstance(moment, datetime):
        with suppress(OverflowError):
            return moment.astimezone(UTC)
        return None
    return None if moment is None else datetime.combine(moment, time.min, UTC)


def _end(moment: datetime | date | None) -> datetime | None:
    """Return the first moment after those that are wanted; None for one after all times in UTC."""
    with suppress(OverflowError):
        if isinstance(moment, datetime):
            return moment.astimezone(UTC) + timedelta(microseconds=1)
        if moment is not None:
            return datetime.combine(moment + timedelta(days=1), time.min, UTC)
    return None


class ModelQuery(PageQuery):
    """`search`: part of the name."""

    kind: str | None = Field(default=None, max_length=20)
    owner: str | None = Field(default=None, max_length=500)
    tier: str | None = Field(default=None, max_length=10)
    search: str | None = Field(default=None, max_length=200)
    tag: Conditions = Field(default_factory=list, description=TAG)
    as_of: Moment | None = Field(default=None, description=AS_OF)

    @property
    def filters(self) -> bool:
        """Return whether there is any condition."""
        return any((self.kind, self.owner, self.tier, self.search, self.tag))

    def wanted_tags(self) -> dict[str, Any]:
        """Return the filters of tags: those with a value, and the names of those with any."""
        tags = tags_of(self.tag)
        return {
            "tags": {name: value for name, value in tags if value is not None},
            "tag_names": [name for name, value in tags if value is None],
        }
