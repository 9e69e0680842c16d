"""Named statements on the read models, and functions that run them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from services.approval.domain.promotion import CommandStreams, streams_of
from shared.deciding.access import namespace_of

Version = tuple[str, int]
"""A model's id and a number."""


# Which of the texts $1 are names of policies, environments and namespaces.
KNOWN_NAMES = """
SELECT name FROM policies WHERE name = ANY($1::text[])
UNION SELECT name FROM proposals WHERE name = ANY($1::text[])
UNION SELECT name FROM environments WHERE name = ANY($1::text[])
UNION SELECT namespace FROM environments WHERE namespace = ANY($1::text[])
"""

# Every command about a version reads all policies.
POLICY_NAMES = "SELECT name FROM policies UNION SELECT name FROM proposals"

# Policies as they are now, with the revision that is proposed. A new policy may be proposed only.
_POLICIES = """
SELECT name, coalesce(p.revision, 0) AS revision, coalesce(p.digest, '') AS digest,
  coalesce(p.policy, '{}') AS policy, coalesce(p.active, false) AS active, p.published_at,
  coalesce(p.published_by, '') AS published_by, CASE WHEN q.revision IS NOT NULL THEN jsonb_build_object(
    'revision', q.revision, 'digest', q.digest, 'policy', q.policy, 'weaker', q.weaker,
    'proposed_at', q.proposed_at, 'proposed_by', q.proposed_by) END AS proposal
FROM policies p FULL JOIN proposals q USING (name)
"""

# A page of the policies, by name, after $1.
POLICIES_PAGE = _POLICIES + "WHERE name > $1 ORDER BY name LIMIT $2"

# One policy.
POLICY_NOW = _POLICIES + "WHERE name = $1"

# All policies that are published.
POLICIES_PUBLISHED = "SELECT name, revision, policy FROM policies ORDER BY name"

# The descriptions that models have, with the first models that have each.
SUBJECTS = """
SELECT regexp_replace(model, '[.]?[^.]*$', '') AS namespace, kind, tier, tags, count(*) AS models,
  (array_agg(model ORDER BY model))[1:20] AS first_models
FROM models GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4::text LIMIT 5000
"""

# Open reviews with what a policy is selected by.
OPEN_REVIEWS = """
SELECT r.review_id, r.model, r.number, r.needs, r.roles, r.machines, r.dependent_because, r.sign_in,
  r.evidence,
  regexp_replace(m.model, '[.]?[^.]*$', '') AS namespace, m.kind, m.tier, m.tags
FROM reviews r JOIN models m USING (model_id) WHERE r.state = 'open'
ORDER BY r.opened_at, r.review_id LIMIT 1000
"""

# A policy as of a revision, which a past decision may have been made by.
POLICY_AT = """
SELECT name, revision, digest, policy, active, published_at, published_by, NULL::jsonb AS proposal
FROM policy_revisions WHERE name = $1 AND revision = $2
"""

# A model by its id or by any name it ever had.
MODEL = """
SELECT m.model_id, m.model FROM models m
WHERE m.model_id = coalesce((SELECT n.model_id FROM names n WHERE n.name = $1), $1)
"""

# A version with the state of its bytes, in the registry's stage. After a rollback an archived version is in
# Production again; no event of the version reports that, so the champions are read.
VERSION = """
SELECT v.model_id, v.number, v.semver, v.artifact_digest, coalesce(a.state, '') AS artifact, v.withdrawn,
  v.retired, CASE
  WHEN v.retired AND v.stage <> 'Rejected' THEN 'Archived'
  WHEN v.stage = 'Archived' AND NOT v.withdrawn AND EXISTS (SELECT FROM champions c
    WHERE c.model_id = v.model_id AND c.number = v.number AND c.production) THEN 'Production'
  ELSE v.stage END AS stage
FROM versions v
LEFT JOIN artifacts a ON a.model_id = v.model_id AND a.number = v.number AND a.digest = v.artifact_digest
WHERE v.model_id = $1 AND v.number = $2
"""

# The latest verdict of each stage.
GATES_OF = """
SELECT stage, passed, results, policy, evidence_digest, evidence, promotion_id, evaluated_at FROM gates
WHERE model_id = $1 AND number = $2 ORDER BY stage DESC
"""

# A version's promotions, oldest first.
PROMOTIONS_OF = """
SELECT promotion_id, environment, requester, reason, state, reasons, approvers, conditions, override,
  requested_at, decided_at
FROM promotions WHERE model_id = $1 AND number = $2 ORDER BY requested_at, promotion_id
"""

# A promotion, with the model's name as it is now.
PROMOTION = """
SELECT p.*, coalesce(m.model, '') AS model FROM promotions p LEFT JOIN models m USING (model_id)
WHERE p.promotion_id = $1
"""

# The promotions of the given versions that an assessment may change: open ones, and those that are over but
# have an open review.
OPEN_PROMOTIONS = """
SELECT p.model_id, p.number, p.promotion_id FROM unnest($1::text[], $2::int[]) v(model_id, number)
JOIN promotions p ON p.model_id = v.model_id AND p.number = v.number
LEFT JOIN reviews r ON r.review_id = p.promotion_id
WHERE p.state = 'open' OR r.state = 'open'
"""

# The versions whose gates are open: of one model, or of all.
OPEN_VERSIONS = """
SELECT model_id, number FROM versions
WHERE stage = 'Staging' AND NOT withdrawn AND NOT retired AND ($1::text IS NULL OR model_id = $1)
UNION SELECT model_id, number FROM promotions WHERE state = 'open' AND ($1::text IS NULL OR model_id = $1)
ORDER BY model_id, number
"""

# A page of reviews, oldest first, of the namespaces that the caller may read ($3 null: all). $2 is the id of
# a model or any name it ever had. The evidence is large, so only a single review has it.
REVIEWS_PAGE = """
SELECT r.review_id, r.revision, r.state, r.model_id, coalesce(m.model, r.model) AS model, r.number, r.semver,
  r.environment, r.production, r.serve, r.needs, r.approvers, r.roles, r.excluded, r.seal, r.sealed_digest,
  r.policy, r.evidence_digest, r.results, r.opened_at, r.expires_at, r.requester, r.due_at, r.overdue_since,
  r.machines, r.dependent_because, (SELECT coalesce(jsonb_agg(e.by), '[]') FROM review_entries e
    WHERE e.review_id = r.review_id AND e.kind = 'OverrideUsed') AS overrode
FROM reviews r LEFT JOIN models m USING (model_id)
WHERE ($1::text IS NULL OR r.state = $1 OR ($1 = 'pending' AND r.state IN ('open', 'overridden')))
  AND ($2::text IS NULL OR r.model_id = coalesce((SELECT n.model_id FROM names n WHERE n.name = $2), $2))
  AND log.covers($3::text[], r.model)
  AND ($4::timestamptz IS NULL OR (r.opened_at, r.review_id) > ($4, $5))
  AND ($7::text IS NULL OR starts_with(r.review_id, $7))
ORDER BY r.opened_at, r.review_id LIMIT $6
"""

# How many reviews wait for people, over all models: for metrics. After an override a review is owed.
WAITING_REVIEWS = """
SELECT count(*) FILTER (WHERE state = 'open') AS open,
  count(*) FILTER (WHERE state = 'overridden') AS after_review,
  count(*) FILTER (WHERE state = 'overridden' AND due_at < now()) AS overdue_after_review
FROM reviews WHERE state IN ('open', 'overridden')
"""

# One review with its evidence, under the model's name as it is now; with the request, and the training of the
# version and of the champion.
REVIEW = """
SELECT r.*, coalesce(m.model, r.model) AS current, coalesce(p.reason, '') AS reason, p.requested_at,
  coalesce(p.requester, '') AS requested_by, coalesce(v.bump, '') AS bump, v.training, v.signature,
  c.training AS champion_training, coalesce(v.semver, r.semver) AS version_semver
FROM reviews r LEFT JOIN models m USING (model_id)
LEFT JOIN promotions p ON p.promotion_id = r.review_id
LEFT JOIN versions v ON v.model_id = r.model_id AND v.number = r.number
LEFT JOIN versions c ON c.model_id = r.model_id
  AND c.number = (r.evidence -> 'champion' ->> 'number')::int
WHERE r.review_id = $1
"""

# Who made the version of a promotion, and who requested it.
MAKERS = """
SELECT coalesce(v.makers, '[]') AS makers, p.requester FROM promotions p
LEFT JOIN versions v ON v.model_id = p.model_id AND v.number = p.number WHERE p.promotion_id = $1
"""

# What people wrote and did in a review, in order.
ENTRIES = """
SELECT revision, kind, by, name, text, conditions, justified, at FROM review_entries
WHERE review_id = $1 ORDER BY revision
"""


async def streams_for(
    pool: asyncpg.Pool, model_id: str, number: int, promotion_ids: Iterable[str] = ()
) -> CommandStreams:
    """Return the streams that a command about this version needs, by the read models.

    `promotion_ids`: promotions that the command is about.
    """
    version = (model_id, number)
    return (await streams_for_all(pool, {version: promotion_ids}))[version]


async def streams_for_all(
    pool: asyncpg.Pool, versions: Mapping[Version, Iterable[str]]
) -> dict[Version, CommandStreams]:
    """Return the same for many versions, each with its command's promotions, in two queries."""
    names = [r["name"] for r in await pool.fetch(POLICY_NAMES)]
    wanted = {version: set(promotion_ids) for version, promotion_ids in versions.items()}
    for r in await pool.fetch(
        OPEN_PROMOTIONS, [model_id for model_id, _ in wanted], [number for _, number in wanted]
    ):
        wanted[r["model_id"], r["number"]].add(r["promotion_id"])
    return {version: streams_of(*version, ids, names) for version, ids in wanted.items()}


async def open_versions(pool: asyncpg.Pool, model_id: str | None = None) -> list[Version]:
    """Return the versions whose gates are open."""
    return [(r["model_id"], r["number"]) for r in await pool.fetch(OPEN_VERSIONS, model_id)]


async def policy(pool: asyncpg.Pool, name: str, revision: int | None = None) -> dict[str, Any] | None:
    """Return a policy as it is now, or as of a revision."""
    if revision is None:
        row = await pool.fetchrow(POLICY_NOW, name)
    else:
        row = await pool.fetchrow(POLICY_AT, name, revision)
    return dict(row) if row else None


async def subjects(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    """Return the descriptions that models have."""
    return [dict(r) for r in await pool.fetch(SUBJECTS)]


async def open_reviews(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    """Return the open reviews, oldest first, with what selects their policy."""
    return [dict(r) for r in await pool.fetch(OPEN_REVIEWS)]


# The names of all declared environments, and of those that promotions were to.
ENVIRONMENTS = "SELECT name FROM environments UNION SELECT environment FROM promotions"


async def environments(pool: asyncpg.Pool) -> list[str]:
    """Return the environments that a policy may select; none while no declaration was noted."""
    if not await pool.fetchval("SELECT EXISTS (SELECT FROM environments)"):
        return []
    return sorted(row[0] for row in await pool.fetch(ENVIRONMENTS))


async def published_policies(pool: asyncpg.Pool) -> list[dict[str, Any]]:
    """Return the policies that are published, by name."""
    return [dict(r) for r in await pool.fetch(POLICIES_PUBLISHED)]


async def policy_names(pool: asyncpg.Pool) -> list[str]:
    """Return the names of all policies, published or proposed."""
    return [r["name"] for r in await pool.fetch(POLICY_NAMES)]


async def policies(pool: asyncpg.Pool, after: str, limit: int) -> list[dict[str, Any]]:
    """Return a page of the policies, by name."""
    return [dict(r) for r in await pool.fetch(POLICIES_PAGE, after, limit)]


async def find_model(pool: asyncpg.Pool, reference: str) -> dict[str, Any] | None:
    """Return a model by its id or its name."""
    row = await pool.fetchrow(MODEL, reference)
    return dict(row) if row else None


async def gates_of(pool: asyncpg.Pool, model: Mapping[str, Any], number: int) -> dict[str, Any] | None:
    """Return a version with the latest verdicts of its gates and its promotions."""
    version = await pool.fetchrow(VERSION, model["model_id"], number)
    if version is None:
        return None
    gates = [dict(r) for r in await pool.fetch(GATES_OF, model["model_id"], number)]
    promotions = [dict(r) for r in await pool.fetch(PROMOTIONS_OF, model["model_id"], number)]
    waits_for = [] if version["artifact"] else ["artifact"]
    return {
        "model": model["model"],
        **dict(version),
        "waits_for": waits_for,
        "gates": gates,
        "promotions": promotions,
    }


async def promotion(pool: asyncpg.Pool, promotion_id: str) -> dict[str, Any] | None:
    row = await pool.fetchrow(PROMOTION, promotion_id)
    return dict(row) if row else None


async def makers(pool: asyncpg.Pool, promotion_id: str) -> list[str]:
    """Return who made the version of a promotion, and who requested it."""
    row = await pool.fetchrow(MAKERS, promotion_id)
    return [*msgspec.json.decode(row["makers"], type=list[str]), row["requester"]] if row else []


async def review(pool: asyncpg.Pool, review_id: str) -> dict[str, Any] | None:
    """Return a review with its evidence and its entries."""
    row = await pool.fetchrow(REVIEW, review_id)
    if row is None:
        return None
    found = dict(row)
    found["model"] = found.pop("current")
    return {**found, "entries": [dict(e) for e in await pool.fetch(ENTRIES, review_id)]}


async def reviews(
    pool: asyncpg.Pool,
    state: str | None,
    model: str | None,
    namespaces: list[str] | None,
    after: Sequence[Any] | None,
    limit: int,
    id_prefix: str | None = None,
) -> list[dict[str, Any]]:
    """Return a page of reviews.

    `namespaces`: None for all. `after`: (opened_at, review_id) of the last one seen. `id_prefix`: only
    reviews whose id begins so.
    """
    page = (*(after or (None, "")), limit)
    return [dict(r) for r in await pool.fetch(REVIEWS_PAGE, state, model, namespaces, *page, id_prefix)]


def namespace(row: Mapping[str, Any]) -> str:
    """Return the namespace of the row's model."""
    return namespace_of(row["model"])
