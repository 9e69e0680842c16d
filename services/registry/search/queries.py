"""Queries of measurements and of versions by what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from services.registry.readable import FEW, mine
from shared.deciding.events import encode

Comparison = Literal[">", ">=", "<", "<=", "="]

# The primary metric of the version `v`, as approval decides it: the metric that is marked primary, or the
# only one. Of its values the newest independent one is shown, else the newest claim.
PRIMARY_METRIC = """
LEFT JOIN LATERAL (
    SELECT jsonb_build_object('name', m.name, 'value', m.value, 'dataset_name', m.dataset_name,
        'dataset_digest', m.dataset_digest, 'higher_is_better', m.higher_is_better,
        'independent', m.independent) AS primary_metric
    FROM measurements m
    WHERE m.model_id = v.model_id AND m.number = v.number AND m.name = (
        SELECT CASE WHEN count(DISTINCT x.name) FILTER (WHERE x.primary_metric) = 1
                THEN min(x.name) FILTER (WHERE x.primary_metric)
            WHEN NOT bool_or(x.primary_metric) AND count(DISTINCT x.name) = 1 THEN min(x.name) END
        FROM measurements x WHERE x.model_id = v.model_id AND x.number = v.number)
    ORDER BY m.independent DESC, m.revision DESC, m.dataset_digest, m.definition LIMIT 1
) AS best ON true
"""

# The values that count of the metrics of some versions, by the place of the version: the newest independent
# one, else the newest claim.
MEASURED = """
SELECT DISTINCT ON (wanted.place, m.name, m.dataset_digest, m.definition) wanted.place::int - 1 AS version,
    m.name, m.value, m.dataset_digest, m.dataset_name, m.definition, m.higher_is_better
FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS wanted(model_id, number, place)
JOIN measurements m USING (model_id, number)
ORDER BY wanted.place, m.name, m.dataset_digest, m.definition, m.independent DESC, m.revision DESC
"""

_COLUMNS = """
v.model_id, m.name AS model, v.number, v.semver, v.stage, v.artifact_digest, v.artifact_state,
    v.description, v.tags, v.creator, v.registered_at, v.registered_by, v.correlation_id,
    v.gates->'passed' AS gates_passed, v.missing, v.reasons, v.bump_level, v.bump_rule, v.legal_hold,
    v.withdrawn, v.withdrawal_proposed, v.retired, v.revision, v.dataset_name, v.dataset_digest,
    v.imported_from, best.primary_metric
"""

# The page of versions `v` with everything that a list shows. Only those of the page are looked up.
_PAGE = f"""
SELECT {_COLUMNS}
FROM ({{page}}) AS v JOIN models m USING (model_id) {PRIMARY_METRIC}
ORDER BY {{order}}
"""

# A page of a model's versions, the newest first.
_OF_MODEL = """
SELECT v.* FROM versions v WHERE v.model_id = $1 AND v.number < $2 {conditions}
ORDER BY v.number DESC LIMIT $3
"""

_NEWEST_FIRST = "v.registered_at DESC, v.model_id DESC, v.number DESC"
_AFTER = "(v.registered_at, v.model_id, v.number) < ($1, $2, $3)"
_FOUND_ARE_FEW = f"(SELECT count(*) FROM found) <= {FEW}"
_MINE_ARE_FEW = f"(SELECT count(*) FROM mine) <= {FEW}"

# A page of the versions of all models, the newest first: by the index of a condition that few versions meet,
# or of the order.
_OF_ALL = f"""
SELECT v.* FROM versions v WHERE {_AFTER} {{conditions}} ORDER BY {_NEWEST_FIRST} LIMIT $4
"""

# The same for a caller who may read some models only, so that foreign versions are not read first. FOUND are
# the versions that meet the conditions, MINE the models that the caller may read. Where one of them has few
# rows, the page is made from these: from each model, its newest versions. Else such versions are frequent,
# and met soon on the way through the order.
_OF_SOME = f"""
WITH {{mine}}, found AS MATERIALIZED ({{found}})
SELECT * FROM (
    (SELECT v.* FROM found JOIN versions v USING (model_id, number) JOIN models m USING (model_id)
    WHERE {{are_few}} AND {_AFTER} AND log.covers($5::text[], m.name)
    ORDER BY {_NEWEST_FIRST} LIMIT $4)
  UNION ALL
    (SELECT v.* FROM mine CROSS JOIN LATERAL (
        SELECT v.* FROM versions v WHERE v.model_id = mine.model_id AND {_AFTER} {{conditions}}
        ORDER BY v.registered_at DESC, v.number DESC LIMIT $4) AS v
    WHERE NOT {{are_few}} AND {_MINE_ARE_FEW}
    ORDER BY {_NEWEST_FIRST} LIMIT $4)
  UNION ALL
    (SELECT v.* FROM versions v JOIN models m USING (model_id)
    WHERE NOT {{are_few}} AND NOT {_MINE_ARE_FEW} AND {_AFTER}
        AND log.covers($5::text[], m.name) {{conditions}}
    ORDER BY {_NEWEST_FIRST} LIMIT $4)
) AS v ORDER BY {_NEWEST_FIRST} LIMIT $4
"""
_FOUND = f"SELECT v.model_id, v.number FROM versions v WHERE true {{conditions}} LIMIT {FEW + 1}"
_NOT_COUNTED = "SELECT ''::text AS model_id, 0 AS number WHERE false"


@dataclass(frozen=True, slots=True)
class MetricCondition:
    """A condition that a measurement of the metric meets."""

    name: str
    comparison: Comparison
    value: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What versions are searched for; all of it holds for each that is found.

    `tags`: by name, None for any value. `dataset`: the name or the digest of the training data.
    """

    stage: str | None = None
    artifact_digest: str | None = None
    correlation_id: str | None = None
    creator: str | None = None
    dataset: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tags: Sequence[tuple[str, str | None]] = ()
    metrics: Sequence[MetricCondition] = ()

    @property
    def filters(self) -> bool:
        """Return whether there is any condition."""
        return any(getattr(self, condition.name) for condition in fields(self))

    @property
    def is_selective(self) -> bool:
        """Return whether an index of a condition leads to few versions."""
        exact = (self.artifact_digest, self.correlation_id, self.creator, self.dataset)
        return any(exact) or bool(self.tags) or bool(self.metrics)


class _Conditions:
    """Conditions on the version `v`, each by an index of its own, and their values."""

    def __init__(self, first: int) -> None:
        self._first = first
        self.values: list[Any] = []
        self.sql: list[str] = []

    def add(self, condition: str, *values: Any) -> None:
        """Add a condition; `{}` stands for each value."""
        numbers = range(self._first + len(self.values), self._first + len(self.values) + len(values))
        self.sql.append("AND " + condition.format(*(f"${n}" for n in numbers)))
        self.values += values

    def __str__(self) -> str:
        return " ".join(self.sql)


def _conditions(wanted: Wanted, first: int, *, of_model: bool) -> _Conditions:
    found = _Conditions(first)
    for column in ("stage", "artifact_digest", "correlation_id", "creator"):
        if (value := getattr(wanted, column)) is not None:
            found.add(f"v.{column} = {{}}", value)
    if wanted.dataset is not None:
        column = "dataset_digest" if wanted.dataset.startswith("sha256:") else "dataset_name"
        found.add(f"v.{column} = {{}}", wanted.dataset)
    if exact := {name: value for name, value in wanted.tags if value is not None}:
        found.add("v.tags @> {}::text::jsonb", encode(exact).decode())
    if names := [name for name, value in wanted.tags if value is None]:
        found.add("v.tags ?& {}::text[]", names)
    for one in wanted.metrics:
        found.add(
            "(v.model_id, v.number) IN (SELECT x.model_id, x.number FROM measurements x "
            f"WHERE {'x.model_id = $1 AND ' if of_model else ''}x.name = {{}} "
            f"AND x.value {one.comparison} {{}})",
            one.name,
            one.value,
        )
    _add_times(found, wanted, of_model=of_model)
    return found


def _add_times(found: _Conditions, wanted: Wanted, *, of_model: bool) -> None:
    """Add the period. In a model, numbers rise with time, so that the index of the order serves it.

    Over all models, the page begins below its end.
    """
    if not of_model:
        if wanted.since is not None:
            found.add("v.registered_at >= {}", wanted.since)
        return
    edge = (
        "v.number {} (SELECT x.number FROM versions x WHERE x.model_id = $1 AND x.registered_at {} {{}}"
        " ORDER BY x.registered_at {}, x.number {} LIMIT 1)"
    )
    if wanted.since is not None:
        found.add(edge.format(">=", ">=", "ASC", "ASC"), wanted.since)
    if wanted.until is not None:
        found.add(edge.format("<=", "<", "DESC", "DESC"), wanted.until)


def of_model(wanted: Wanted, model_id: str, before: int, limit: int) -> tuple[str, list[Any]]:
    """Return the statement of a page of a model's versions below the number `before`, and its values."""
    conditions = _conditions(wanted, 4, of_model=True)
    page = _OF_MODEL.format(conditions=conditions)
    return _PAGE.format(page=page, order="v.number DESC"), [model_id, before, limit, *conditions.values]


def of_all(
    wanted: Wanted, after: tuple[datetime, str, int], limit: int, readable: Sequence[str] | None
) -> tuple[str, list[Any]]:
    """Return the statement of a page of versions of all readable models, and its values.

    `readable`: the namespaces that the caller may read; None for all.
    """
    conditions = _conditions(wanted, 5 if readable is None else 6, of_model=False)
    below = after if wanted.until is None else min(after, (wanted.until, "", 0))
    if readable is None:
        page, values = _OF_ALL.format(conditions=conditions), [*below, limit, *conditions.values]
    else:
        found, few = (
            (_FOUND.format(conditions=conditions), _FOUND_ARE_FEW)
            if wanted.is_selective
            else (_NOT_COUNTED, "false")
        )
        page = _OF_SOME.format(
            mine=mine(readable, "$5"),
            conditions=conditions,
            found=found,
            are_few=few,
        )
        values = [*below, limit, readable, *conditions.values]
    return _PAGE.format(page=page, order=_NEWEST_FIRST), values
