"""What was made from what, and on which data. Each walk uses an index at every step.

A walk visits each version once, so that it ends at any depth; one that counts generations stops after
DEEPEST.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from services.registry.readable import FEW, mine

DEEPEST = 100
"""The number of generations that a lineage shows."""
MOST_SHOWN = 5_000
"""The number of versions that a lineage shows in each direction."""

# A reason is stored, published and shown to every reader of the model `{own}`, so it names only versions that
# all of them may see: those in its namespace.
_SHOWN = """CASE WHEN log.covers(ARRAY[{own}.namespace], a.name) THEN a.name || ' ' || r.number
        ELSE 'a version of another namespace' END"""

# The withdrawn versions that the version `v` of the model `m` was made from, at any distance, in words. Most
# versions have no parent, and cost one look into an index.
WITHDRAWN_ANCESTORS = f"""
CASE WHEN EXISTS (SELECT FROM children c WHERE c.child_model_id = v.model_id AND c.child_number = v.number)
THEN (
    WITH RECURSIVE up(model_id, number) AS (
        SELECT c.model_id, c.number FROM children c
        WHERE c.child_model_id = v.model_id AND c.child_number = v.number
      UNION
        SELECT c.model_id, c.number FROM up
        JOIN children c ON c.child_model_id = up.model_id AND c.child_number = up.number
    )
    SELECT coalesce(jsonb_agg('was made from ' || {_SHOWN.format(own="m")} || ', which is withdrawn'
        ORDER BY a.name, r.number), '[]')
    FROM up JOIN versions r ON r.model_id = up.model_id AND r.number = up.number AND r.withdrawn IS NOT NULL
    JOIN models a ON a.model_id = r.model_id
) ELSE '[]' END AS withdrawn_ancestors"""

WITHDRAWN_ANCESTORS_OF = f"""
SELECT ARRAY(SELECT jsonb_array_elements_text(found.withdrawn_ancestors)) FROM (
    SELECT {WITHDRAWN_ANCESTORS} FROM versions v JOIN models m USING (model_id)
    WHERE v.model_id = $1 AND v.number = $2
) AS found
"""

# The promoted versions of a model that share a data set with a withdrawn version, or were made from one; and
# why.
DOUBTS = f"""
WITH RECURSIVE ancestors(number, model_id, ancestor) AS (
    SELECT c.child_number, c.model_id, c.number FROM children c
    JOIN versions v ON v.model_id = c.child_model_id AND v.number = c.child_number
    WHERE c.child_model_id = $1 AND v.promoted IS NOT NULL
  UNION
    SELECT a.number, c.model_id, c.number FROM ancestors a
    JOIN children c ON c.child_model_id = a.model_id AND c.child_number = a.ancestor
)
SELECT DISTINCT ON (number) number, why FROM (
    SELECT v.number,
        'was trained on the same data as ' || {_SHOWN.format(own="own")} || ', which is withdrawn' AS why
    FROM models own JOIN versions v USING (model_id)
    JOIN versions r ON r.dataset_digest = v.dataset_digest AND r.withdrawn IS NOT NULL
    JOIN models a ON a.model_id = r.model_id
    WHERE own.model_id = $1 AND v.promoted IS NOT NULL AND v.dataset_digest <> ''
      AND (r.model_id, r.number) <> (v.model_id, v.number)
  UNION ALL
    SELECT x.number, 'was made from ' || {_SHOWN.format(own="own")} || ', which is withdrawn'
    FROM models own, ancestors x
    JOIN versions r ON r.model_id = x.model_id AND r.number = x.ancestor AND r.withdrawn IS NOT NULL
    JOIN models a ON a.model_id = r.model_id
    WHERE own.model_id = $1
) AS doubt ORDER BY number, why
"""

# The open promotions of the versions that were made from a version, at any distance.
OPEN_BELOW = """
WITH RECURSIVE down(model_id, number) AS (
    SELECT c.child_model_id, c.child_number FROM children c WHERE c.model_id = $1 AND c.number = $2
  UNION
    SELECT c.child_model_id, c.child_number FROM down
    JOIN children c ON c.model_id = down.model_id AND c.number = down.number
)
SELECT p.model_id, p.number, p.promotion_id FROM down JOIN promotions p USING (model_id, number)
WHERE p.state = 'open' ORDER BY p.model_id, p.number, p.promotion_id
"""

# A version in a lineage, with where it serves and served. A parent elsewhere has no row of its own.
_NODE = """
SELECT t.model_id, coalesce(m.name, t.model_id) AS model, t.number, v.semver, v.stage, t.relation, t.digest,
    t.generation, v.dataset_name, v.dataset_digest, v.registered_at, v.withdrawn,
    v.retired IS NOT NULL AS retired, m.model_id IS NULL OR log.covers($3::text[], m.name) AS visible,
    coalesce((SELECT jsonb_agg(jsonb_build_object('environment', s.environment, 'since', s.since,
        'until', s.until) ORDER BY s.since) FROM served s
        WHERE s.model_id = t.model_id AND s.number = t.number), '[]') AS served,
    coalesce((SELECT jsonb_agg(jsonb_build_object('environment', o.environment, 'percent', x->'percent',
        'role', x->'role') ORDER BY o.environment)
        FROM rollouts o CROSS JOIN LATERAL jsonb_array_elements(o.entries) AS x
        WHERE o.model_id = t.model_id AND (x->>'number')::int = t.number), '[]') AS rollouts
FROM (SELECT DISTINCT ON (model_id, number) * FROM (SELECT * FROM tree LIMIT $4) AS first
    ORDER BY model_id, number, generation) AS t
LEFT JOIN versions v ON v.model_id = t.model_id AND v.number = t.number
LEFT JOIN models m ON m.model_id = t.model_id
ORDER BY t.generation, model, t.number
"""

# Up or down the table of children, as far as it was at the moment $5 for the forms with THEN.
_WALK = f"""
WITH RECURSIVE tree(model_id, number, generation, relation, digest) AS (
    SELECT {{columns}}, 1, c.relation, c.digest
    FROM unnest($1::text[], $2::int[]) AS root(model_id, number)
    JOIN children c ON {{root}} {{then}}
  UNION
    SELECT {{columns}}, tree.generation + 1, c.relation, c.digest FROM tree
    JOIN children c ON {{step}} {{then}}
    WHERE tree.generation < {DEEPEST}
)
{_NODE}
"""


def _walk(columns: str, joined: str, then: str = "") -> str:
    return _WALK.format(columns=columns, root=joined.format("root"), step=joined.format("tree"), then=then)


_UP = ("c.model_id, c.number", "c.child_model_id = {0}.model_id AND c.child_number = {0}.number")
_DOWN = ("c.child_model_id, c.child_number", "c.model_id = {0}.model_id AND c.number = {0}.number")
_UNTIL = "AND c.since <= $5"

# What versions were made from, the nearest first.
ANCESTORS, ANCESTORS_THEN = _walk(*_UP), _walk(*_UP, _UNTIL)

# What was made from versions, the nearest first.
DESCENDANTS, DESCENDANTS_THEN = _walk(*_DOWN), _walk(*_DOWN, _UNTIL)

# One branch of a page of versions that used a data set: each column has an index in the order of the page.
# The model is looked up for each row, not joined: a join may begin with all models.
_BRANCH = """
(SELECT d.model_id, d.number, '{use}' AS use FROM {table} d
 WHERE d.{column} = $1 AND (d.model_id, d.number) > ($2, $3)
   AND (SELECT log.covers($4::text[], m.name) FROM models m WHERE m.model_id = d.model_id)
 ORDER BY d.model_id, d.number LIMIT $5)
"""
# The same for a caller who may read few models: each of them is looked up, and no foreign version is read.
_BRANCH_OF_FEW = f"""
(SELECT d.* FROM ({{branch}}) AS d WHERE (SELECT count(*) FROM mine) > {FEW})
UNION ALL
(SELECT d.model_id, d.number, '{{use}}' AS use FROM mine CROSS JOIN LATERAL (
    SELECT d.model_id, d.number FROM {{table}} d WHERE d.{{column}} = $1 AND d.model_id = mine.model_id
        AND (d.model_id, d.number) > ($2, $3) ORDER BY d.number LIMIT $5) AS d
 WHERE (SELECT count(*) FROM mine) <= {FEW} ORDER BY d.model_id, d.number LIMIT $5)
"""
_TRAINED_ON = """
{mine} SELECT model_id, number, max(use) AS use FROM ({branches}) AS found
GROUP BY model_id, number ORDER BY model_id, number LIMIT $5
"""
_USES = tuple(
    {"table": table, "column": column, "use": use}
    for table, use in (("versions", "training"), ("evaluation_data", "evaluation"))
    for column in ("dataset_name", "dataset_digest")
)


def trained_on_sql(readable: Sequence[str] | None) -> str:
    """Return the statement of a page of versions that were trained or evaluated on a data set.

    It is named by its name or its digest.
    """
    branches = [_BRANCH.format_map(use) for use in _USES]
    if readable is None:
        return _TRAINED_ON.format(mine="", branches=" UNION ALL ".join(branches))
    few = (_BRANCH_OF_FEW.format(branch=branch, **use) for branch, use in zip(branches, _USES, strict=True))
    return _TRAINED_ON.format(mine=f"WITH {mine(readable, '$4')}", branches=" UNION ALL ".join(few))


# Versions with where they serve and served, in the form of a lineage.
VERSIONS = f"""
WITH tree(model_id, number, generation, relation, digest) AS (
    SELECT root.model_id, root.number, 0, NULL::text, '' FROM unnest($1::text[], $2::int[])
    AS root(model_id, number)
)
{_NODE}
"""

Pair = tuple[str, int]
"""(model id, number)."""


async def doubts(pool: asyncpg.Pool, model_id: str) -> dict[int, str]:
    """Return why promoted versions are doubtful: they share data or parents with a withdrawn one."""
    rows = await pool.fetch(DOUBTS, model_id)
    return {row["number"]: row["why"] for row in rows}


async def recalled_ancestors(pool: asyncpg.Pool, model_id: str, number: int) -> tuple[str, ...]:
    """Return which withdrawn versions a version was made from, at any distance, in words."""
    return tuple(await pool.fetchval(WITHDRAWN_ANCESTORS_OF, model_id, number) or ())


async def open_below(pool: asyncpg.Pool, model_id: str, number: int) -> list[tuple[str, int, str]]:
    """Return (model id, number, promotion id) of the open promotions of what was made from a version."""
    return [tuple(row) for row in await pool.fetch(OPEN_BELOW, model_id, number)]


async def walk(
    pool: asyncpg.Pool,
    statement: str,
    roots: Sequence[Pair],
    readable: Sequence[str] | None,
    *then: datetime,
) -> list[asyncpg.Record]:
    """Return the versions of ANCESTORS, DESCENDANTS or VERSIONS of some versions.

    `readable` are the namespaces that the caller may read, None for all. `then` is the moment for the
    statements with THEN.
    """
    models, numbers = [model_id for model_id, _ in roots], [number for _, number in roots]
    found: list[asyncpg.Record] = await pool.fetch(statement, models, numbers, readable, MOST_SHOWN, *then)
    return found
