"""What the API reads.

Read models by their views only (a rebuild swaps what they show); a version's document from the log itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from services.registry import tables
from services.registry.domain.registration.metadata import Metadata
from services.registry.projections import project
from services.registry.stored_events import EVENTS
from shared.deciding.changes import Put
from shared.deciding.events import Recorded, encode

# A model by any name it ever had, or by its id.
FIND_NAMES = """
SELECT wanted.reference, m.model_id, m.namespace
FROM unnest($1::text[]) AS wanted(reference)
LEFT JOIN names n ON n.name = wanted.reference
JOIN models m ON m.model_id = coalesce(n.model_id, wanted.reference)
"""

# The number behind a semantic version.
FIND_NUMBER = "SELECT number FROM versions WHERE model_id = $1 AND semver = $2"

# The number behind an alias, or the champion of an environment (which wins: no alias may have an
# environment's name).
FIND_ALIAS = """
SELECT champion FROM rollouts WHERE model_id = $1 AND environment = $2
UNION ALL SELECT number FROM aliases WHERE model_id = $1 AND alias = $2 LIMIT 1
"""

# Many aliases at once: the hot path of every load.
RESOLVE = """
SELECT wanted.model AS asked_model, wanted.alias AS asked_alias, m.namespace, m.model_id, m.name AS model, v.number, v.semver, v.stage,
       v.artifact_digest, v.artifact_state, v.recalled, v.retired IS NOT NULL AS retired,
       greatest(coalesce(r.revision, a.revision), v.revision) AS revision
FROM unnest($1::text[], $2::text[]) AS wanted(model, alias)
LEFT JOIN names n ON n.name = wanted.model
JOIN models m ON m.model_id = coalesce(n.model_id, wanted.model)
LEFT JOIN rollouts r ON r.model_id = m.model_id AND r.environment = wanted.alias
LEFT JOIN aliases a ON a.model_id = m.model_id AND a.alias = wanted.alias
JOIN versions v ON v.model_id = m.model_id AND v.number = coalesce(r.champion, a.number)
"""

MODEL = """
SELECT m.*, newest.number AS newest, newest.semver AS newest_semver, r.champion AS production
FROM models m
LEFT JOIN LATERAL (SELECT number, semver FROM versions v WHERE v.model_id = m.model_id ORDER BY number DESC LIMIT 1) AS newest ON true
LEFT JOIN rollouts r ON r.model_id = m.model_id AND r.environment = 'production'
"""

ONE_MODEL = MODEL + "WHERE m.model_id = $1"

# By name; `$2` limits it to namespaces (and what they contain) unless it is null.
MODELS = (
    MODEL
    + """
WHERE m.name > $1
  AND log.covers($2::text[], m.name)
  AND ($3::text IS NULL OR m.kind = $3) AND ($4::text IS NULL OR m.owner = $4) AND ($5::text IS NULL OR m.tier = $5)
  AND ($6::text IS NULL OR position(lower($6) in lower(m.name)) > 0)
ORDER BY m.name LIMIT $7
"""
)

# Newest first, without the large parts.
VERSIONS = """
SELECT v.model_id, m.name AS model, v.number, v.semver, v.stage, v.artifact_digest, v.artifact_state, v.creator, v.registered_at, v.registered_by,
       v.correlation_id, v.gates->'passed' AS gates_passed, v.missing, v.reasons, v.bump->>'level' AS bump_level, v.bump->>'rule' AS bump_rule,
       v.held, v.recalled, v.retired, v.revision
FROM versions v JOIN models m USING (model_id)
WHERE v.model_id = $1 AND v.number < $2
  AND ($3::text IS NULL OR v.stage = $3) AND ($4::text IS NULL OR v.artifact_digest = $4) AND ($5::text IS NULL OR v.correlation_id = $5)
ORDER BY v.number DESC LIMIT $6
"""

# What was trained on a data set (by its name or its digest), and where it serves. Reads all versions: it is
# asked when something is wrong, not all day.
TRAINED_ON = """
SELECT v.model_id, m.name AS model, v.number, v.semver, v.stage, v.dataset_name, v.dataset_digest, v.registered_at, v.recalled,
       v.retired IS NOT NULL AS retired,
       coalesce((SELECT jsonb_agg(jsonb_build_object('environment', r.environment, 'percent', x->'percent', 'role', x->'role') ORDER BY r.environment)
                 FROM rollouts r CROSS JOIN LATERAL jsonb_array_elements(r.entries) AS x
                 WHERE r.model_id = v.model_id AND (x->>'number')::int = v.number), '[]') AS rollouts
FROM versions v JOIN models m USING (model_id)
WHERE $1 IN (v.dataset_name, v.dataset_digest) AND (v.model_id, v.number) > ($2, $3)
  AND log.covers($4::text[], m.name)
ORDER BY v.model_id, v.number LIMIT $5
"""

# One version with everything around it, in one round trip.
VERSION = """
SELECT v.*, m.name AS model, m.kind, e.bytes AS stored,
       coalesce((SELECT jsonb_agg(jsonb_build_object('name', e.name, 'value', e.value, 'dataset_digest', e.dataset_digest,
                 'dataset_name', e.dataset_name, 'definition', e.definition, 'higher_is_better', e.higher_is_better, 'primary', e.primary_metric,
                 'independent', e.independent, 'by', e.measured_by, 'recorded_at', e.recorded_at) ORDER BY e.revision)
                 FROM evaluations e WHERE e.model_id = v.model_id AND e.number = v.number), '[]') AS evaluations,
       coalesce((SELECT jsonb_agg(a.alias ORDER BY a.alias) FROM aliases a WHERE a.model_id = v.model_id AND a.number = v.number), '[]') AS aliases,
       coalesce((SELECT jsonb_agg(jsonb_build_object('environment', r.environment, 'percent', x->'percent', 'role', x->'role') ORDER BY r.environment)
                 FROM rollouts r CROSS JOIN LATERAL jsonb_array_elements(r.entries) AS x
                 WHERE r.model_id = v.model_id AND (x->>'number')::int = v.number), '[]') AS rollouts,
       coalesce((SELECT jsonb_agg(jsonb_build_object('promotion_id', p.promotion_id, 'environment', p.environment, 'state', p.state,
                 'requester', p.requester, 'requested_at', p.requested_at, 'reason', p.reason, 'reasons', p.reasons, 'approvers', p.approvers,
                 'closed_at', p.closed_at) ORDER BY p.requested_at)
                 FROM promotions p WHERE p.model_id = v.model_id AND p.number = v.number), '[]') AS promotions
FROM versions v JOIN models m USING (model_id)
JOIN log.events_registry e ON e.service = 'registry' AND e.stream = 'model-' || v.model_id AND e.revision = v.document
WHERE v.model_id = $1 AND v.number = $2
"""

# A version's document, from the log itself.
DOCUMENT = """
SELECT v.number, v.semver, e.bytes AS stored
FROM versions v JOIN log.events_registry e ON e.service = 'registry' AND e.stream = 'model-' || v.model_id AND e.revision = v.document
WHERE v.model_id = $1 AND v.number = $2
"""

# What a promotion that was asked for again is already: open, or granted (or closed just now).
PROMOTION = """
SELECT promotion_id, digest, state FROM promotions
WHERE model_id = $1 AND number = $2 AND environment = $3
ORDER BY state = 'open' DESC, state = 'promoted' DESC, requested_at DESC LIMIT 1
"""
SAME_VERSION = "SELECT number FROM versions WHERE model_id = $1 AND identity = $2 ORDER BY semver IS NULL, number DESC LIMIT 1"

ALIASES = "SELECT alias, number, semver, protected, set_at, set_by, revision FROM aliases WHERE model_id = $1 ORDER BY alias"
ALIAS = "SELECT alias, number, semver, protected, set_at, set_by, revision FROM aliases WHERE model_id = $1 AND alias = $2"
ROLLOUT = "SELECT r.*, m.name AS model FROM rollouts r JOIN models m USING (model_id) WHERE r.model_id = $1 AND r.environment = $2"
ROLLOUTS = "SELECT r.*, m.name AS model FROM rollouts r JOIN models m USING (model_id) WHERE r.model_id = $1 ORDER BY r.environment"

# Newest first. Names of models that never came into being are there, too, so the namespace is taken from the
# name.
REFUSALS = """
SELECT stream, revision, model, number, problems, proof, artifact_digest, creator, refused_at, refused_of, correlation_id
FROM refusals
WHERE (refused_at, stream, revision) < ($1, $2, $3)
  AND log.covers($4::text[], model)
  AND ($5::text IS NULL OR model = $5) AND ($6::text IS NULL OR correlation_id = $6)
ORDER BY refused_at DESC, stream DESC, revision DESC LIMIT $7
"""

# What became of a message: the version or draft it made …
PUBLISHED = """
SELECT v.model_id, m.name AS model, m.namespace, v.number, v.semver, v.stage
FROM versions v JOIN models m USING (model_id) WHERE v.message_id = $1 ORDER BY v.registered_at DESC LIMIT 1
"""
# … its refusal …
REFUSED = (
    "SELECT model, problems, refused_of FROM refusals WHERE message_id = $1 ORDER BY refused_at DESC LIMIT 1"
)
# … or nothing new, when its cause is known and left no event: then the version with the same bytes was meant.
KNOWN_CAUSE = "SELECT EXISTS (SELECT FROM registry.inbox WHERE source = $1 AND id = $2)"
SAME_BYTES = """
SELECT v.model_id, m.name AS model, m.namespace, v.number, v.semver, v.stage
FROM versions v JOIN models m USING (model_id)
WHERE v.model_id = $1 AND v.artifact_digest = $2 AND v.semver IS NOT NULL ORDER BY v.number DESC LIMIT 1
"""

_IDENTITY = """
SELECT i.subject, i.kind, coalesce(n.name, '') AS name, i.name_erased_at, i.created_at, i.created_by,
       coalesce((SELECT jsonb_agg(jsonb_build_object('key_id', k.key_id, 'algorithm', k.algorithm, 'issued_at', k.issued_at,
                 'expires_at', k.expires_at, 'revoked_at', least(k.revoked_at, k.compromised_at), 'compromised', k.compromised_at IS NOT NULL)
                 ORDER BY k.issued_at, k.key_id)
                 FROM identity_keys k WHERE k.subject = i.subject), '[]') AS keys,
       coalesce((SELECT jsonb_agg(jsonb_build_object('role', r.role, 'namespace', r.namespace) ORDER BY r.role, r.namespace)
                 FROM identity_roles r WHERE r.subject = i.subject), '[]') AS roles
FROM identities i LEFT JOIN directory.names n USING (subject)
"""
IDENTITIES = _IDENTITY + "WHERE i.subject > $1 ORDER BY i.subject LIMIT $2"
IDENTITY = _IDENTITY + "WHERE i.subject = $1"

# Which event last spoke of somebody's name, and whether it erased it.
NAMING = "SELECT name_revision, name_erased_at FROM identities WHERE subject = $1"

# Whose name was erased in the log and is still in the directory.
UNFORGOTTEN = """
SELECT i.subject, i.name_revision FROM identities i JOIN directory.names n USING (subject)
WHERE i.name_erased_at IS NOT NULL AND n.revision < i.name_revision
"""


def born(recorded: Recorded) -> dict[str, Any]:
    """The row of VERSION for a version that this event just made: nothing is around it yet."""
    (row,) = (change.row for change in project(recorded) if isinstance(change, Put))
    around: dict[str, Any] = {"evaluations": [], "aliases": [], "rollouts": [], "promotions": []}
    columns: dict[str, Any] = {column.name: None for column in tables.VERSIONS.columns}
    return {**columns, **around, **row, "model": recorded.event.model, "kind": recorded.event.kind}


def document(stored: bytes) -> Metadata:
    """The metadata in a stored event, of whatever schema it was stored with."""
    metadata: Metadata = EVENTS.recorded("registry", stored).event.metadata
    return metadata


async def resolve(
    pool: asyncpg.Pool, wanted: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], tuple[str, bytes, int]]:
    """(namespace, JSON, revision) by (model, alias) as they were asked for; what names nothing is left out."""
    found = {}
    for row in await pool.fetch(RESOLVE, [model for model, _ in wanted], [alias for _, alias in wanted]):
        body = encode(
            {
                "model_id": row["model_id"],
                "model": row["model"],
                "alias": row["asked_alias"],
                "number": row["number"],
                "semver": row["semver"],
                "stage": row["stage"],
                "artifact_digest": row["artifact_digest"],
                "artifact_state": row["artifact_state"],
                "recalled": row["recalled"],
                "retired": row["retired"],
            }
        )
        found[row["asked_model"], row["asked_alias"]] = (row["namespace"], body, row["revision"])
    return found
