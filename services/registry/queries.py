"""What the API reads: documents from the log, the rest from read models.

Read models are read through their views, because a rebuild swaps the tables behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import asyncpg
import msgspec

from services.registry import tables
from services.registry.domain.model.events import MetadataAdded, VersionRegistered
from services.registry.domain.model.metadata import Metadata
from services.registry.domain.model.state import LATEST
from services.registry.lineage.queries import WITHDRAWN_ANCESTORS
from services.registry.projections import project
from services.registry.readable import FEW, IN_ORDER, union
from services.registry.remarks import queries as remarks
from services.registry.stored_events import EVENTS
from shared.deciding.access import ROLES
from shared.deciding.changes import Put
from shared.deciding.events import Recorded, encode

# Models by any name they ever had, or by id.
FIND_MODELS = """
SELECT wanted.reference, m.model_id, m.namespace
FROM unnest($1::text[]) AS wanted(reference)
LEFT JOIN names n ON n.name = wanted.reference
JOIN models m ON m.model_id = coalesce(n.model_id, wanted.reference)
"""

# How many versions are in each stage, over all models: for metrics.
VERSIONS_BY_STAGE = "SELECT stage, count(*) AS versions FROM versions GROUP BY stage"

# The number of a semantic version.
FIND_NUMBER = "SELECT number FROM versions WHERE model_id = $1 AND semver = $2"

# The newest version of the model {model_id} that may be used, where @latest is wanted.
_LATEST = f"""
LEFT JOIN LATERAL (SELECT x.number FROM versions x WHERE {{wanted}} AND x.model_id = {{model_id}}
    AND {tables.USABLE} ORDER BY x.number DESC LIMIT 1) AS latest ON true
"""

# The numbers of many references in one statement: a semantic version, or @ with an alias, an environment or
# `latest`. An environment wins over an alias; no alias may have an environment's name, and none is `latest`.
FIND_NUMBERS = f"""
SELECT wanted.model_id, wanted.reference,
    coalesce(v.number, nullif(r.champion, 0), a.number, latest.number) AS number
FROM unnest($1::text[], $2::text[]) AS wanted(model_id, reference)
LEFT JOIN LATERAL (SELECT number FROM versions WHERE model_id = wanted.model_id
    AND semver = wanted.reference LIMIT 1) AS v ON true
LEFT JOIN rollouts r ON r.model_id = wanted.model_id AND wanted.reference LIKE '@%'
    AND r.environment = substr(wanted.reference, 2)
LEFT JOIN aliases a ON a.model_id = wanted.model_id AND wanted.reference LIKE '@%'
    AND a.alias = substr(wanted.reference, 2)
{_LATEST.format(wanted="wanted.reference = '@latest'", model_id="wanted.model_id")}
"""

# Many aliases in one statement: every load of a model resolves one.
RESOLVE = f"""
SELECT wanted.model AS wanted_model, wanted.alias AS wanted_alias, m.namespace, m.model_id, m.name AS model,
    v.number, v.semver, v.stage,
       v.artifact_digest, v.artifact_state, v.withdrawn, v.retired IS NOT NULL AS retired,
       {WITHDRAWN_ANCESTORS},
       greatest(coalesce(r.revision, a.revision), v.revision) AS revision
FROM unnest($1::text[], $2::text[]) AS wanted(model, alias)
LEFT JOIN names n ON n.name = wanted.model
JOIN models m ON m.model_id = coalesce(n.model_id, wanted.model)
LEFT JOIN rollouts r ON r.model_id = m.model_id AND r.environment = wanted.alias
LEFT JOIN aliases a ON a.model_id = m.model_id AND a.alias = wanted.alias
{_LATEST.format(wanted="wanted.alias = 'latest'", model_id="m.model_id")}
JOIN versions v ON v.model_id = m.model_id AND v.number = coalesce(r.champion, a.number, latest.number)
"""

_MODEL = """
SELECT m.*, newest.number AS newest, newest.semver AS newest_semver, nullif(r.champion, 0) AS production
FROM {models}
LEFT JOIN LATERAL (SELECT number, semver FROM versions v WHERE v.model_id = m.model_id
    ORDER BY number DESC LIMIT 1) AS newest ON true
LEFT JOIN rollouts r ON r.model_id = m.model_id AND r.environment = 'production'
"""

# Many models by id.
MODELS = _MODEL.format(models="unnest($1::text[]) AS wanted(model_id) JOIN models m USING (model_id)")

# A page of models, by name. Each filter that is given becomes a condition, so that its index serves it.
_PAGE_OF_MODELS = f"""
SELECT m.* FROM models m WHERE {IN_ORDER} > $1 AND {{readable}} {{filters}} ORDER BY {IN_ORDER} LIMIT $3
"""
_MODEL_FILTERS = {
    "kind": "m.kind = {}",
    "owner": "m.owner = {}",
    "tier": "m.tier = {}",
    "tags": "m.tags @> {}::text::jsonb",
    "tag_names": "m.tags ?& {}::text[]",
}
# By bytes, which takes half the time: names are ASCII.
_CONTAINS = """position(lower({text}) in lower(n.name COLLATE "C")) > 0"""

# A search finds old names, too. FOUND are the models of which a name contains the text: where they are few,
# the page is made from them, else in the order of names, where they are met soon.
_SEARCHED_MODELS = f"""
WITH found AS MATERIALIZED (SELECT n.model_id FROM names n WHERE {_CONTAINS} LIMIT {FEW + 1})
(SELECT m.* FROM models m
    WHERE (SELECT count(*) FROM found) <= {FEW} AND m.model_id = ANY(ARRAY(SELECT model_id FROM found))
        AND {IN_ORDER} > $1 AND log.covers($2::text[], m.name) {{filters}} ORDER BY {IN_ORDER} LIMIT $3)
UNION ALL (SELECT m.* FROM ({{page}}) AS m WHERE (SELECT count(*) FROM found) > {FEW})
"""
# Not EXISTS, which PostgreSQL may plan as a join with all names.
_NAMED = f""" AND (SELECT bool_or({_CONTAINS}) FROM names n WHERE n.model_id = m.model_id)"""

_ROLLOUTS_OF_VERSION = """coalesce((
    SELECT jsonb_agg(jsonb_build_object('environment', r.environment, 'percent', x->'percent', 'role',
        x->'role') ORDER BY r.environment)
    FROM rollouts r CROSS JOIN LATERAL jsonb_array_elements(r.entries) AS x
    WHERE r.model_id = v.model_id AND (x->>'number')::int = v.number), '[]') AS rollouts"""

# The versions of one step of withdrawal, and where they serve: those that were trained on a data set …
_WITHDRAWN = f"""
SELECT v.model_id, m.name AS model, m.namespace, v.number, v.semver, v.stage, v.withdrawn,
    v.retired IS NOT NULL AS retired, v.withdrawal_proposed->>'by' AS proposed_by,
    coalesce((v.gates->'policy'->>'two_to_recall')::bool, false) AS two_to_recall, {_ROLLOUTS_OF_VERSION}
FROM versions v JOIN models m USING (model_id)
WHERE log.covers($2::text[], m.name) AND """
_IN_ORDER = " ORDER BY m.name, v.number LIMIT $3"
TO_WITHDRAW = _WITHDRAWN + "(v.dataset_name = $1 OR v.dataset_digest = $1)" + _IN_ORDER
# … or that are withdrawn by the step.
TO_REINSTATE = _WITHDRAWN + "v.withdrawal_id = $1 AND v.withdrawn IS NOT NULL" + _IN_ORDER

# The event that holds a version's document.
_DOCUMENT_EVENT = """
CROSS JOIN LATERAL (
    SELECT e.bytes AS stored FROM log.events_registry e
    WHERE e.service = 'registry' AND e.stream = 'model-' || v.model_id AND e.revision = v.document
        LIMIT 1) AS event
"""

# Many versions with everything around them, in one round trip.
VERSIONS = f"""
SELECT v.*, m.name AS model, m.kind, event.stored, {_ROLLOUTS_OF_VERSION}, {WITHDRAWN_ANCESTORS},
       {remarks.OF_VERSION},
       coalesce((SELECT jsonb_agg(jsonb_build_object('name', e.name, 'value', e.value, 'dataset_digest',
           e.dataset_digest,
                 'dataset_name', e.dataset_name, 'definition', e.definition, 'higher_is_better',
                     e.higher_is_better, 'primary', e.primary_metric,
                 'independent', e.independent, 'by', e.measured_by, 'recorded_at', e.recorded_at)
                     ORDER BY e.revision)
                 FROM evaluations e WHERE e.model_id = v.model_id AND e.number = v.number), '[]')
                     AS evaluations,
       coalesce((SELECT jsonb_agg(a.alias ORDER BY a.alias) FROM aliases a WHERE a.model_id = v.model_id
           AND a.number = v.number), '[]') AS aliases,
       coalesce((SELECT jsonb_agg(jsonb_build_object('promotion_id', p.promotion_id, 'environment',
           p.environment, 'state', p.state,
                 'requester', p.requester, 'requested_at', p.requested_at, 'reason', p.reason, 'reasons',
                     p.reasons, 'approvers', p.approvers, 'conditions', p.conditions, 'serve', p.serve,
                     'production', p.production,
                 'closed_at', p.closed_at) ORDER BY p.requested_at)
                 FROM promotions p WHERE p.model_id = v.model_id AND p.number = v.number), '[]') AS promotions
FROM unnest($1::text[], $2::int[]) AS wanted(model_id, number)
JOIN versions v USING (model_id, number) JOIN models m USING (model_id)
{_DOCUMENT_EVENT}
"""

# A version's document, from the log.
DOCUMENT = f"""
SELECT v.number, v.semver, v.corrected, event.stored FROM versions v {_DOCUMENT_EVENT} WHERE v.model_id = $1
    AND v.number = $2
"""

# The promotion that a repeated request is about: the open one, else the granted one, else the newest.
PROMOTION = """
SELECT promotion_id, digest, state, serve, requester AS requested_by, reason FROM promotions
WHERE model_id = $1 AND number = $2 AND environment = $3
ORDER BY state = 'open' DESC, state = 'promoted' DESC, requested_at DESC LIMIT 1
"""
SAME_VERSION = """
SELECT number FROM versions WHERE model_id = $1 AND (identity = ANY($2) OR import_key = ANY($2))
ORDER BY semver IS NULL, number DESC LIMIT 1
"""

ALIASES = """
SELECT alias, number, semver, protected, set_at, set_by, revision FROM aliases WHERE model_id = $1
"""
ALIAS = ALIASES + " AND alias = $2"
ALIASES += " ORDER BY alias"

# Which of the texts $1 are names of environments, aliases, namespaces and roles.
KNOWN_NAMES = f"""
SELECT name FROM environments WHERE name = ANY($1::text[])
UNION SELECT namespace || '.' || name FROM environments WHERE namespace || '.' || name = ANY($1::text[])
UNION SELECT alias FROM aliases WHERE alias = ANY($1::text[])
UNION SELECT namespace FROM identity_roles WHERE namespace = ANY($1::text[])
UNION SELECT word FROM unnest($1::text[]) AS word WHERE word IN {(*ROLES, LATEST)}
"""

# A page of refusals, the newest first. A refused registration may have made no model, so the namespace is
# taken from the name. $5 is the id of a model, or any name it ever had.
REFUSALS = """
SELECT stream, revision, model, number, problems, proof, artifact_digest, creator, refused_at, refused_of,
    correlation_id
FROM refusals
WHERE (refused_at, stream, revision) < ($1, $2, $3)
  AND log.covers($4::text[], model)
  AND ($5::text IS NULL OR model = $5
    OR stream = 'model-' || coalesce((SELECT n.model_id FROM names n WHERE n.name = $5), $5))
  AND ($6::text IS NULL OR correlation_id = $6)
ORDER BY refused_at DESC, stream DESC, revision DESC LIMIT $7
"""

# What became of a message of a publisher, $2: the version or draft that it made. Ids are unique for each
# publisher only …
PUBLISHED = """
SELECT v.model_id, m.name AS model, m.namespace, v.number, v.semver, v.stage, v.registration_notes AS notes
FROM versions v JOIN models m USING (model_id)
WHERE v.message_id = $1 AND v.message_id <> '' AND v.registered_by = $2 ORDER BY v.registered_at DESC LIMIT 1
"""
# … its refusal …
REFUSED = """
SELECT model, problems, refused_of FROM refusals
WHERE message_id = $1 AND message_id <> '' AND refused_of = $2 ORDER BY refused_at DESC LIMIT 1
"""
# … or no event, when its cause is stored: then the version with the same bytes existed already.
KNOWN_CAUSE = (
    "SELECT EXISTS (SELECT FROM registry.inbox WHERE source = '/publishers/' || $1::text AND id = $2)"
)
SAME_BYTES = """
SELECT v.model_id, m.name AS model, m.namespace, v.number, v.semver, v.stage
FROM versions v JOIN models m USING (model_id)
WHERE v.model_id = $1 AND v.artifact_digest = $2 AND v.semver IS NOT NULL ORDER BY v.number DESC LIMIT 1
"""

DocumentEvent = VersionRegistered | MetadataAdded
Resolved = tuple[str, bytes, int]
"""(namespace, JSON of the answer, revision)."""

NOT_SHOWN = frozenset(
    {
        "corrected",
        "document",
        "identity",
        "import_key",
        "message_id",
        "stored",
        "dataset_name",
        "dataset_digest",
        "bump_level",
        "bump_rule",
        "external",
        "run_id",
        "label",
        "hidden",
        "changed_at",
    }
)
"""Columns of VERSIONS that an answer leaves out."""


def registered_row(recorded: Recorded) -> dict[str, Any]:
    """Return the row of VERSIONS for a version that this event registered: nothing is around it yet."""
    (row,) = (c.row for c in project(recorded) if isinstance(c, Put) and c.table is tables.VERSIONS)
    around: dict[str, Any] = {
        "evaluations": [],
        "aliases": [],
        "rollouts": [],
        "promotions": [],
        "withdrawn_ancestors": [],
        "notes": [],
        "corrections": [],
    }
    columns: dict[str, Any] = {column.name: None for column in tables.VERSIONS.columns}
    return {**columns, **around, **row, "model": recorded.event.model, "kind": recorded.event.kind}


def document_event(stored: bytes) -> DocumentEvent:
    """Return the event that holds a version's document, of whatever schema it was stored with."""
    return cast("DocumentEvent", EVENTS.recorded("registry", stored).event)


def corrections_of(row: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the corrections that are valid now, by path, from a row of VERSIONS."""
    return msgspec.json.decode(row["corrected"], type=dict[str, str | None]) if row["corrected"] else {}


def document(stored: bytes) -> Metadata:
    """Return the document in a stored event."""
    return document_event(stored).metadata


def list_models_sql(
    readable: Sequence[str] | None, search: str | None, filters: Mapping[str, Any]
) -> tuple[str, list[Any]]:
    """Return the statement with the search and the filters that are given, and their values."""
    given = {name: value for name, value in filters.items() if value}
    conditions = " ".join(
        f"AND {_MODEL_FILTERS[name]}".format(f"${number}") for number, name in enumerate(given, 4)
    )
    text, values = f"${4 + len(given)}", list(given.values())
    named = conditions + (_NAMED.format(text=text) if search else "")
    page = union(_PAGE_OF_MODELS.replace("{filters}", named), readable, "$2")
    if search:
        page = _SEARCHED_MODELS.format(text=text, filters=conditions, page=page)
        values.append(search)
    page = f"(SELECT m.* FROM ({page}) AS m ORDER BY {IN_ORDER} LIMIT $3) AS m"
    return _MODEL.format(models=page) + f" ORDER BY {IN_ORDER}", values


async def models(pool: asyncpg.Pool, wanted: Sequence[str]) -> Mapping[str, asyncpg.Record]:
    return {row["model_id"]: row for row in await pool.fetch(MODELS, list(wanted))}


async def versions(
    pool: asyncpg.Pool, wanted: Sequence[tuple[str, int]]
) -> Mapping[tuple[str, int], asyncpg.Record]:
    """Return versions with everything around them, by (model id, number)."""
    rows = await pool.fetch(VERSIONS, [model for model, _ in wanted], [number for _, number in wanted])
    return {(row["model_id"], row["number"]): row for row in rows}


async def numbers(pool: asyncpg.Pool, wanted: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
    """Return version numbers by (model id, reference). References that name no version are left out."""
    rows = await pool.fetch(FIND_NUMBERS, [model for model, _ in wanted], [name for _, name in wanted])
    return {(row["model_id"], row["reference"]): row["number"] for row in rows if row["number"] is not None}


async def resolve(
    pool: asyncpg.Pool, wanted: Sequence[tuple[str, str]]
) -> Mapping[tuple[str, str], Resolved]:
    """Return what aliases resolve to, by (model, alias) as given. Those that name no version are left out."""
    found = {}
    for row in await pool.fetch(RESOLVE, [model for model, _ in wanted], [alias for _, alias in wanted]):
        body = encode(
            {
                "model_id": row["model_id"],
                "model": row["model"],
                "alias": row["wanted_alias"],
                "number": row["number"],
                "semver": row["semver"],
                "stage": row["stage"],
                "artifact_digest": row["artifact_digest"],
                "artifact_state": row["artifact_state"],
                "withdrawn": row["withdrawn"],
                "withdrawn_ancestors": row["withdrawn_ancestors"],
                "retired": row["retired"],
            }
        )
        found[row["wanted_model"], row["wanted_alias"]] = (row["namespace"], body, row["revision"])
    return found
