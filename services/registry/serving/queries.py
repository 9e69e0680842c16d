"""What the API reads of environments and rollouts. Read models are read through their views."""

from __future__ import annotations

from collections.abc import Sequence

from services.registry.readable import FEW, IN_ORDER, union

# Who serves. `withdrawn` of each entry states why its version must not be loaded; `conditions` are those of
# its approvals, and `grant_withdrawn` ones serve by an override that was not justified. Versions are looked
# up one by one: a join may read all versions of a long model.
_ROLLOUT = """
SELECT r.model_id, m.name AS model, r.environment, r.production, r.champion, r.previous, r.rolled_back_from,
    r.skipped,
    r.warning, r.changed_at, r.changed_by, r.reason, r.revision, false AS dry_run,
    coalesce((SELECT jsonb_agg(x.entry || jsonb_build_object('withdrawn', v.withdrawn,
            'conditions', coalesce((SELECT p.conditions FROM promotions p WHERE p.model_id = r.model_id
                AND p.number = (x.entry->>'number')::int AND p.environment = r.environment
                AND p.state = 'promoted' ORDER BY p.closed_at DESC LIMIT 1), '[]'),
            'grant_withdrawn', coalesce((SELECT
                bool_or(p.state = 'withdrawn') AND NOT bool_or(p.state = 'promoted')
                FROM promotions p WHERE p.model_id = r.model_id AND p.environment = r.environment
                AND p.number = (x.entry->>'number')::int), false)) ORDER BY x.place)
        FROM jsonb_array_elements(r.entries) WITH ORDINALITY AS x(entry, place) LEFT JOIN LATERAL (
            SELECT w.withdrawn FROM versions w
            WHERE w.model_id = r.model_id AND w.number = (x.entry->>'number')::int LIMIT 1) AS v ON true),
        '[]') AS entries
FROM rollouts r JOIN models m USING (model_id) """
_OF_MODEL = _ROLLOUT + "WHERE r.model_id = $1"
ROLLOUT = _OF_MODEL + " AND r.environment = $2"
ROLLOUTS = _OF_MODEL + " ORDER BY r.environment"

# A rollout that an alias of a model names and that is stopped, with the model's namespace.
STOPPED = """
SELECT m.namespace, m.name AS model FROM models m
LEFT JOIN names n ON n.name = $1
JOIN rollouts r ON r.model_id = m.model_id AND r.environment = $2 AND r.champion = 0
WHERE m.model_id = coalesce(n.model_id, $1)
"""

# A page of what serves where, by model and environment, of the namespaces $3 (null: all). Stopped rollouts
# are shown only when $7 is true. FOUND are the rollouts that the filters leave: where they are few, the page
# is made from them, else in the order of names, where they are met soon.
_WANTED = """($4::text IS NULL OR r.environment = $4) AND ($5::bool IS NULL OR r.production = $5)
  AND ($6::text IS NULL OR r.model_id = $6) AND ($7::bool OR r.champion > 0)"""
_NEXT = f"""{IN_ORDER} >= $1 AND ({IN_ORDER} > $1 OR r.environment > $2)"""
_SERVING = f"""
WITH found AS MATERIALIZED (
    SELECT r.model_id, r.environment FROM rollouts r WHERE {_WANTED} LIMIT {FEW + 1}
), page AS (
    (SELECT r.model_id, r.environment FROM found r JOIN models m USING (model_id)
    WHERE (SELECT count(*) FROM found) <= {FEW} AND {_NEXT} AND log.covers($3::text[], m.name)
    ORDER BY {IN_ORDER}, r.environment LIMIT $8)
  UNION ALL {{in_order}}
)
{_ROLLOUT} JOIN page USING (model_id, environment) ORDER BY {IN_ORDER}, r.environment LIMIT $8
"""
_PAGE_IN_ORDER = f"""
SELECT r.model_id, r.environment FROM models m JOIN rollouts r USING (model_id)
WHERE (SELECT count(*) FROM found) > {FEW} AND {_NEXT} AND {{readable}} AND {_WANTED}
ORDER BY {IN_ORDER}, r.environment LIMIT $8
"""


def serving_sql(readable: Sequence[str] | None) -> str:
    """Return the statement of a page of what serves where."""
    return _SERVING.format(in_order=union(_PAGE_IN_ORDER, readable, "$3"))


# The environments that hold in one of the namespaces ($1; null: all) or were declared in one, and hold in
# namespace $2 (null: any); a page by namespace, place and name.
_ENVIRONMENT = """
SELECT CASE WHEN e.namespace = '' THEN e.name ELSE e.namespace || '.' || e.name END AS environment,
    e.namespace, e.name, e.production, e.place AS order, e.description, e.retired, e.changed_at, e.changed_by,
    e.revision
FROM environments e
"""
LIST_ENVIRONMENTS = (
    _ENVIRONMENT
    + """
WHERE (e.namespace, e.place, e.name) > ($1, $2, $3) AND (NOT e.retired OR $4::bool)
  AND ($5::text[] IS NULL OR e.namespace = '' OR log.covers($5::text[], e.namespace || '.')
    OR EXISTS (SELECT FROM unnest($5::text[]) AS n WHERE starts_with(n, e.namespace || '.')))
  AND ($6::text IS NULL OR e.namespace = '' OR e.namespace = $6 OR starts_with($6, e.namespace || '.'))
ORDER BY e.namespace, e.place, e.name LIMIT $7
"""
)
ENVIRONMENT = _ENVIRONMENT + " WHERE e.namespace = $1 AND e.name = $2"

# The names of the environments that models of a namespace may use.
NAMES_FOR = """
SELECT name FROM environments
WHERE NOT retired AND (namespace = '' OR namespace = $1 OR starts_with($1, namespace || '.'))
"""

# The names that may follow a model's @: its environments and its aliases.
NAMES_OF_MODEL = NAMES_FOR + "UNION SELECT alias FROM aliases WHERE model_id = $2"

# The models that use an environment: versions serve there, or are to be promoted there. At most twenty.
USED_BY = """
SELECT m.name FROM models m
WHERE ($1 = '' OR m.namespace = $1 OR starts_with(m.namespace, $1 || '.')) AND (
  EXISTS (SELECT FROM rollouts r WHERE r.model_id = m.model_id AND r.environment = $2 AND r.champion > 0)
  OR EXISTS (SELECT FROM promotions p
    WHERE p.model_id = m.model_id AND p.environment = $2 AND p.state = 'open'))
ORDER BY m.name LIMIT 20
"""

# The environments in which versions serve or served.
USED = "SELECT DISTINCT environment FROM rollouts ORDER BY environment"
