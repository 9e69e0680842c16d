"""What clients of MLflow see of models and versions, and their searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from services.registry.shapes.labels import Condition, Order, Search
from shared.deciding.events import encode

# The mode of the namespace of the model `m`: its own, else that of the nearest one above it.
_MODE = """
LEFT JOIN LATERAL (SELECT x.mode FROM mlflow_modes x
    WHERE x.namespace = '*' OR m.namespace = x.namespace OR starts_with(m.namespace, x.namespace || '.')
    ORDER BY x.namespace = '*', length(x.namespace) DESC LIMIT 1) AS chosen ON true
"""
_GOVERNED = "coalesce(chosen.mode, 'governed')"

# One mode for a namespace that need not have any model.
MODE_OF = f"""
SELECT m.namespace, {_GOVERNED} AS mode FROM (SELECT $1::text AS namespace) AS m {_MODE}
"""

# The state of a version `v` of a model `m`. It is another one whenever what these clients see of the version
# has changed: its last event, the last one that changed other versions as well, the last change of a mode.
_STATE = """v.revision, coalesce(m.shown_revision, 0) AS shown_revision,
    coalesce((SELECT max(x.revision) FROM mlflow_modes x), 0) AS mode_revision"""

# The versions (model_id, number) of `wanted` as these clients see them. They are looked up one by one: a join
# may read all versions of a long model.
_VERSIONS = f"""
SELECT {{more}} v.model_id, m.name AS model, m.namespace, {_GOVERNED} AS mode, v.number, v.semver, v.stage,
    CASE WHEN {_GOVERNED} = 'labels' THEN v.label
        WHEN serving.champion = v.number THEN 'Production'
        WHEN v.stage IN ('Validated', 'Production') THEN 'Staging'
        WHEN v.stage IN ('Archived', 'Rejected') THEN 'Archived' ELSE 'None' END AS label,
    v.description, v.tags, v.creator, v.registered_at, v.registered_by, v.changed_at, v.artifact_digest,
    v.artifact_state, v.artifact_detail, v.missing, v.reasons, v.external, v.withdrawn,
    v.gates->'passed' AS gates_passed,
    coalesce(m.hidden, false) OR coalesce(v.hidden, false) OR v.retired IS NOT NULL AS hidden,
    ARRAY(SELECT a.alias FROM aliases a
        WHERE a.model_id = v.model_id AND a.number = v.number ORDER BY a.alias) AS aliases,
    ARRAY(SELECT r.environment FROM rollouts r
        WHERE r.model_id = v.model_id AND r.champion = v.number ORDER BY r.environment) AS environments,
    ARRAY(SELECT a.alias FROM label_aliases a
        WHERE a.model_id = v.model_id AND a.number = v.number ORDER BY a.alias) AS label_aliases,
    ARRAY(SELECT p.promotion_id FROM promotions p WHERE p.model_id = v.model_id AND p.number = v.number
        AND p.state = 'open' ORDER BY p.requested_at) AS open_promotions
FROM {{wanted}} CROSS JOIN LATERAL (SELECT x.* FROM versions x
    WHERE x.model_id = wanted.model_id AND x.number = wanted.number LIMIT 1) AS v
JOIN models m ON m.model_id = v.model_id
LEFT JOIN rollouts serving ON serving.model_id = v.model_id AND serving.environment = 'production'
{_MODE}
"""
# Many versions by (model id, number).
_WANTED = "unnest($1::text[], $2::int[]) AS wanted(model_id, number)"
VERSIONS = _VERSIONS.format(more="", wanted=_WANTED)
# The same with their states, which come first.
VERSIONS_IN_STATE = _VERSIONS.format(more=f"{_STATE},", wanted=_WANTED)

# The newest version of each stage and label of some models, and those that serve in production: as many rows
# however many versions there are.
_NEWEST = """(SELECT found.number FROM (SELECT x.{column} AS kind, x.number FROM versions x
    WHERE x.model_id = o.model_id AND (x.{column}, x.number) <= (kind.value, 2147483647)
    AND x.hidden IS NOT TRUE AND x.retired IS NULL ORDER BY x.{column} DESC, x.number DESC LIMIT 1
) AS found WHERE found.kind = kind.value)"""
NEWEST = _VERSIONS.format(
    more="",
    wanted=f"""(
    SELECT o.model_id, found.number FROM unnest($1::text[]) AS o(model_id) CROSS JOIN LATERAL (
        SELECT r.champion AS number FROM rollouts r
            WHERE r.model_id = o.model_id AND r.environment = 'production'
        UNION SELECT {_NEWEST.format(column="stage")} FROM
            unnest(ARRAY['Draft', 'Staging', 'Validated', 'Production', 'Archived', 'Rejected'])
                AS kind(value)
        UNION SELECT {_NEWEST.format(column="label")} FROM
            unnest(ARRAY['None', 'Staging', 'Production', 'Archived']) AS kind(value)
    ) AS found) AS wanted""",
)

_MODELS = f"""
SELECT m.model_id, m.name AS model, m.namespace, {_GOVERNED} AS mode, m.description, m.tags, m.owner, m.tier,
    coalesce(m.shown_at, m.registered_at) AS registered_at, m.registered_by,
    greatest(m.changed_at, newest.registered_at) AS changed_at,
    coalesce(m.hidden, false) AS hidden,
    coalesce((SELECT jsonb_object_agg(a.alias, a.number) FROM aliases a
        WHERE a.model_id = m.model_id), '{{{{}}}}') AS aliases,
    coalesce((SELECT jsonb_object_agg(r.environment, r.champion) FROM rollouts r
        WHERE r.model_id = m.model_id AND r.champion > 0), '{{{{}}}}') AS environments,
    coalesce((SELECT jsonb_object_agg(a.alias, a.number) FROM label_aliases a
        WHERE a.model_id = m.model_id), '{{{{}}}}') AS label_aliases
FROM models m {_MODE}
LEFT JOIN LATERAL (SELECT x.registered_at FROM versions x WHERE x.model_id = m.model_id
    ORDER BY x.number DESC LIMIT 1) AS newest ON true
WHERE {{conditions}} {{order}}
"""
# Many models by id.
MODELS = _MODELS.format(conditions="m.model_id = ANY($1::text[])", order="")

# The name of a model, and whether it or its version of that number (0 for none) is hidden from these clients.
SHOWN = """
SELECT m.name, coalesce(m.hidden, false) OR coalesce(v.hidden, false) OR v.retired IS NOT NULL AS hidden
FROM models m LEFT JOIN versions v ON v.model_id = m.model_id AND v.number = $2 WHERE m.model_id = $1
"""

# The number that an alias of a model has for these clients: an environment wins over an alias. `champion` is
# the one in production unless an alias has that name.
ALIAS = f"""
SELECT CASE WHEN {_GOVERNED} = 'labels' THEN l.number
    ELSE coalesce(nullif(r.champion, 0), a.number, nullif(p.champion, 0)) END AS number
FROM models m {_MODE}
LEFT JOIN rollouts r ON r.model_id = m.model_id AND r.environment = $2
LEFT JOIN aliases a ON a.model_id = m.model_id AND a.alias = $2
LEFT JOIN label_aliases l ON l.model_id = m.model_id AND l.alias = $2
LEFT JOIN rollouts p ON p.model_id = m.model_id AND p.environment = 'production' AND $2 = 'champion'
WHERE m.model_id = $1
"""

_OF_VERSIONS = {
    "name": "m.name",
    "version_number": "v.number",
    "run_id": "v.run_id",
    "source_path": "v.external->>'uri'",
    "creation_timestamp": "v.registered_at",
    "last_updated_timestamp": "v.changed_at",
}
_OF_MODELS = {
    "name": "m.name",
    "creation_timestamp": "coalesce(m.shown_at, m.registered_at)",
    "last_updated_timestamp": "greatest(m.changed_at, newest.registered_at)",
}
_PROMPT = "mlflow.prompt.is_prompt"
NARROW = frozenset({"=", "LIKE", "ILIKE", "IN"})
"""Comparisons that few rows may meet."""
MOST_NAMED = 100
"""The most models that a search of versions looks for by their ids."""


class _Statement:
    """The conditions of a search and their values."""

    def __init__(self, search: Search, columns: Mapping[str, str], tags: str) -> None:
        self.values: list[Any] = []
        self._columns, self._tags = columns, tags
        prompt = f"coalesce({tags}->>'{_PROMPT}', 'false')"
        self.conditions = [f"lower({prompt}) {'=' if search.prompts else '<>'} 'true'"]
        if search.prompts:
            self.conditions.append(f"{tags} ? '{_PROMPT}'")
        if search.namespace:
            space = self.value("text", search.namespace)
            self.conditions.append(f"(m.namespace = {space} OR starts_with(m.namespace, {space} || '.'))")
        self.conditions += [self.condition(one) for one in search.conditions]

    def value(self, type_: str, value: object) -> str:
        """Add a value; return what stands for it in the statement."""
        self.values.append(value)
        return f"${len(self.values)}::{type_}"

    def condition(self, one: Condition) -> str:
        if one.tag is not None:
            return self._of_tag(one.tag, one)
        left = self._columns[one.field]
        if one.field == "version_number":
            return f"{left} {one.comparison} {self.value('bigint', int(one.values[0]))}"
        return self._compared(left, one)

    def _of_tag(self, tag: str, one: Condition) -> str:
        """Return a condition on a tag, where possible one that finds versions by the index of their tags."""
        if one.comparison == "=":
            return f"{self._tags} @> {self.value('text', encode({tag: one.values[0]}).decode())}::jsonb"
        key = self.value("text", tag)
        found = self._compared(f"{self._tags}->>{key}", one)
        return f"{self._tags} ? {key} AND {found}" if one.comparison in NARROW else found

    def _compared(self, left: str, one: Condition) -> str:
        if one.comparison in {"IN", "NOT IN"}:
            one_of = "= ANY" if one.comparison == "IN" else "<> ALL"
            return f"{left} {one_of}({self.value('text[]', one.values)})"
        return f"{left} {one.comparison} {self.value('text', one.values[0])}"

    def limited(self, orders: Sequence[Order], search: Search) -> str:
        """Return the order and the limits of the page."""
        keys = [f"{self._columns[o.field]} {'DESC' if o.descending else 'ASC'}" for o in orders]
        page = f"LIMIT {self.value('int', search.limit)} OFFSET {self.value('bigint', search.offset)}"
        return f"ORDER BY {', '.join(keys)} {page}"


def models_sql(search: Search, readable: Sequence[str] | None) -> tuple[str, list[Any]]:
    """Return the statement of a page of models, and its values."""
    found = _Statement(search, _OF_MODELS, "m.tags")
    found.conditions.append("m.hidden IS NOT TRUE")
    found.conditions.append(f"log.covers({found.value('text[]', readable)}, m.name)")
    orders = _with(search.order, Order(field="name"))
    where = " AND ".join(found.conditions)
    return _MODELS.format(conditions=where, order=found.limited(orders, search)), found.values


def named_sql(conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
    """Return the statement of the ids of models whose names meet the conditions, and its values.

    One more than MOST_NAMED states that there are too many.
    """
    found = _Statement(Search(), _OF_MODELS, "m.tags")
    named = " AND ".join(found.condition(one) for one in conditions)
    return f"SELECT m.model_id FROM models m WHERE {named} LIMIT {MOST_NAMED + 1}", found.values


def versions_sql(
    search: Search, readable: Sequence[str] | None, models: Sequence[str] | None = None
) -> tuple[str, list[Any]]:
    """Return the statement of a page of versions, and its values. It gives states, model ids and numbers.

    `models` are the ids of the models that the search names: PostgreSQL estimates how many versions have an
    id, and not how many have a name. VERSIONS_IN_STATE reads what is not known of the page; it is planned
    once, because planning it takes as long as reading.
    """
    found = _Statement(search, _OF_VERSIONS, "v.tags")
    found.conditions += ["v.hidden IS NOT TRUE", "v.retired IS NULL", "m.hidden IS NOT TRUE"]
    if models is not None and len(models) == 1:
        found.conditions.append(f"v.model_id = {found.value('text', models[0])}")
    elif models is not None:
        found.conditions.append(f"v.model_id = ANY({found.value('text[]', models)})")
    found.conditions.append(f"log.covers({found.value('text[]', readable)}, m.name)")
    default = [Order(field="last_updated_timestamp", descending=True)]
    orders = _with(
        search.order or default, Order(field="name"), Order(field="version_number", descending=True)
    )
    where = " AND ".join(found.conditions)
    page = f"SELECT {_STATE}, v.model_id, v.number FROM"
    if orders[0].field == "name" and all(one.field == "name" and not one.tag for one in search.conditions):
        # one model after the other until the page is full: a sort would read every version
        of_model = found.limited(orders[1:], search.model_copy(update=_first(search)))
        versions = f"SELECT v.* FROM versions v WHERE v.model_id = m.model_id AND {where} {of_model}"
        page = f"{page} models m CROSS JOIN LATERAL ({versions}) AS v"
    else:
        page = f"{page} versions v JOIN models m USING (model_id) WHERE {where}"
    return f"{page} {found.limited(orders, search)}", found.values


def _first(search: Search) -> dict[str, int]:
    """Return the limits of all that comes before the end of the page."""
    return {"offset": 0, "limit": search.offset + search.limit}


def _with(given: Sequence[Order], *ties: Order) -> list[Order]:
    """Return the orders, with those that break ties after them."""
    named = {order.field for order in given}
    return [*given, *(tie for tie in ties if tie.field not in named)]


Newest = Mapping[str, list[dict[str, Any]]]
"""The newest version of each stage that MLflow's clients see, by model."""


async def versions(
    pool: asyncpg.Pool, wanted: Sequence[tuple[str, int]]
) -> Mapping[tuple[str, int], dict[str, Any]]:
    """Return versions as these clients see them, by (model id, number)."""
    return by_number(await pool.fetch(VERSIONS, *columns_of(wanted)))


def columns_of(wanted: Iterable[Sequence[Any]]) -> tuple[list[str], list[int]]:
    """Return the values of VERSIONS for these (model id, number)."""
    pairs = list(wanted)
    return [model for model, _ in pairs], [number for _, number in pairs]


def by_number(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the rows of VERSIONS by (model id, number)."""
    return {(row["model_id"], row["number"]): dict(row) for row in rows}


async def models(pool: asyncpg.Pool, wanted: Sequence[str]) -> Mapping[str, dict[str, Any]]:
    """Return models as these clients see them, by id."""
    rows = await pool.fetch(MODELS, list(wanted))
    found = await newest(pool, wanted)
    return {row["model_id"]: {**row, "newest": found.get(row["model_id"], [])} for row in rows}


async def newest(pool: asyncpg.Pool, wanted: Sequence[str]) -> Newest:
    return newest_of_each(await pool.fetch(NEWEST, list(wanted)) if wanted else ())


def newest_of_each(rows: Iterable[Mapping[str, Any]]) -> Newest:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in sorted((row for row in rows if not row["hidden"]), key=lambda row: row["number"]):
        found.setdefault(row["model_id"], {})[row["label"]] = dict(row)
    return {model: list(by_label.values()) for model, by_label in found.items()}
