"""The queries on the read models of this service, and the states of models for a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention import evolve, stream_of
from services.cleanup.domain.retention_state import State
from services.cleanup.stored_events import EVENTS
from shared.deciding.access import namespace_of
from shared.log import eventlog
from shared.log.transact import Transactor

# Which of the texts $1 are names of environments and of namespaces with a default of their own.
KNOWN_NAMES = """
SELECT name FROM environments WHERE name = ANY($1::text[])
UNION SELECT namespace FROM defaults WHERE namespace = ANY($1::text[])
UNION SELECT namespace FROM environments WHERE namespace = ANY($1::text[])
"""

# A model by its id or by any name it ever had.
MODEL = """
SELECT m.model_id, m.model FROM models m
WHERE m.model_id = coalesce((SELECT n.model_id FROM names n WHERE n.name = $1), $1)
"""

# Whether a report about a model may name an environment: it is declared for the model's namespace, versions
# of the model serve or served there, or none was noted yet.
IS_ENVIRONMENT = """
SELECT EXISTS (SELECT FROM environments e WHERE e.name = $3
    AND (e.namespace = '' OR e.namespace = $2 OR starts_with($2, e.namespace || '.')))
  OR EXISTS (SELECT FROM served_in s WHERE s.model_id = $1 AND s.environment = $3)
  OR NOT EXISTS (SELECT FROM environments)
"""

# The environments that a report about a model may name.
ENVIRONMENTS_FOR = """
SELECT name FROM environments WHERE namespace = '' OR namespace = $2 OR starts_with($2, namespace || '.')
UNION SELECT environment FROM served_in WHERE model_id = $1 ORDER BY 1
"""

# The reports that wait for a name.
WAITING_REPORTS = "SELECT report_id, message FROM early WHERE name = $1 ORDER BY report_id"

# One report that waits.
WAITING_REPORT = "SELECT name, message FROM early WHERE report_id = $1"

# Models in order of ids from one on, each with its highest version number.
MODELS_FROM = """
SELECT m.model_id, m.model,
  coalesce((SELECT max(v.number) FROM versions v WHERE v.model_id = m.model_id), 0) AS highest
FROM models m WHERE m.model_id >= $1 AND ($2 = '' OR m.model_id = $2) ORDER BY m.model_id LIMIT $3
"""

# The ids of models after one, in order: of one model, of a namespace, or of all.
MODEL_IDS_AFTER = """
SELECT m.model_id FROM models m
WHERE m.model_id > $1 AND ($2 = '' OR m.model_id = $2) AND ($4 = '' OR log.covers(ARRAY[$4], m.model))
ORDER BY m.model_id LIMIT $3
"""

# The policy of a model.
POLICY = "SELECT policy, revision FROM policies WHERE model_id = $1"

# The retention defaults: of everything first, then by namespace.
DEFAULTS = "SELECT namespace, policy, revision FROM defaults ORDER BY namespace <> '*', namespace"

# The uses of each version ever used.
USES = """
SELECT number, total, last_used_at FROM uses WHERE model_id = $1 AND number > $2 ORDER BY number LIMIT $3
"""

# The uses of some versions by day.
USES_BY_DAY = """
SELECT d.day, d.number, d.total FROM uses_by_day d
WHERE d.model_id = $1 AND d.number = ANY($2::int[]) AND d.day >= $3 ORDER BY d.number, d.day
"""

# One cleanup run.
CLEANUP_RUN = """
SELECT cleanup_run_id, phase, trigger, model_id, actor, at, models, versions, finished_at
FROM cleanup_runs WHERE cleanup_run_id = $1
"""

# Cleanup runs over all models, and those over one model of the namespaces that the caller may read ($4 null:
# all).
CLEANUP_RUNS = """
SELECT s.cleanup_run_id, s.phase, s.trigger, s.model_id, s.actor, s.at, s.models, s.versions, s.finished_at
FROM cleanup_runs s LEFT JOIN models m USING (model_id)
WHERE ($1::timestamptz IS NULL OR (s.at, s.cleanup_run_id) < ($1, $2))
  AND (s.model_id = '' OR log.covers($4::text[], m.model))
ORDER BY s.at DESC, s.cleanup_run_id DESC LIMIT $3
"""

# How many versions a cleanup run gave each kind of verdict.
VERDICT_COUNTS = (
    "SELECT verdict, count(*) AS versions FROM verdicts WHERE cleanup_run_id = $1 GROUP BY verdict"
)

# The verdicts of a cleanup run on the versions of models that the caller may read ($6 null: all).
VERDICTS = """
SELECT model_id, model, number, semver, verdict, rule, reasons, delete_after, at FROM verdicts
WHERE cleanup_run_id = $1 AND (model_id, number) > ($2, $3) AND ($4 = '' OR verdict = $4)
  AND log.covers($6::text[], model)
ORDER BY model_id, number LIMIT $5
"""

# Each version of a model: its stage, its uses, and the newest verdict on it.
STANDINGS = """
SELECT v.number, v.semver, v.stage, v.retired, v.registered_at, u.total AS uses, u.last_used_at,
  l.verdict, l.rule, l.reasons, l.delete_after, l.cleanup_run_id, l.at
FROM versions v
LEFT JOIN uses u ON u.model_id = v.model_id AND u.number = v.number
LEFT JOIN LATERAL (SELECT * FROM verdicts d WHERE d.model_id = v.model_id AND d.number = v.number
  ORDER BY d.at DESC LIMIT 1) l ON true
WHERE v.model_id = $1 AND v.number > $2 ORDER BY v.number LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Model:
    """A model and its current name."""

    model_id: str
    name: str


async def model(pool: asyncpg.Pool, name_or_id: str) -> Model | None:
    """Return the noted model of this name or id, or None."""
    row = await pool.fetchrow(MODEL, name_or_id)
    return Model(row["model_id"], row["model"]) if row else None


async def is_environment(pool: asyncpg.Pool, model: Model, name: str) -> bool:
    """Return whether a report about the model may name this environment."""
    found: bool = await pool.fetchval(IS_ENVIRONMENT, model.model_id, namespace_of(model.name), name)
    return found


async def environments_for(pool: asyncpg.Pool, model: Model) -> list[str]:
    """Return the environments that a report about the model may name."""
    rows = await pool.fetch(ENVIRONMENTS_FOR, model.model_id, namespace_of(model.name))
    return [row["name"] for row in rows]


async def waiting_reports(pool: asyncpg.Pool, name: str) -> list[tuple[str, str]]:
    """Return (id, message as JSON) of each report that waits for a model of this name."""
    return [(row["report_id"], row["message"]) for row in await pool.fetch(WAITING_REPORTS, name)]


async def waiting_report(pool: asyncpg.Pool, report_id: str) -> tuple[str, str] | None:
    """Return (name, message as JSON) of a report that waits, or None."""
    row = await pool.fetchrow(WAITING_REPORT, report_id)
    return (row["name"], row["message"]) if row else None


async def models_from(pool: asyncpg.Pool, first: str, scope: str, limit: int) -> list[tuple[str, int]]:
    """Return (id, highest version number) of up to `limit` models from the id `first` on.

    `scope`: the only model, "" for all.
    """
    return [(row["model_id"], row["highest"]) for row in await pool.fetch(MODELS_FROM, first, scope, limit)]


async def policy(pool: asyncpg.Pool, model_id: str) -> tuple[RetentionPolicy, int] | None:
    """Return the model's own policy and its revision, or None where it inherits one."""
    row = await pool.fetchrow(POLICY, model_id)
    return (msgspec.json.decode(row["policy"], type=RetentionPolicy), row["revision"]) if row else None


async def defaults(pool: asyncpg.Pool) -> dict[str, tuple[RetentionPolicy, int]]:
    """Return the retention defaults with their revisions, by namespace; "*" is everything."""
    return {
        row["namespace"]: (msgspec.json.decode(row["policy"], type=RetentionPolicy), row["revision"])
        for row in await pool.fetch(DEFAULTS)
    }


async def uses(pool: asyncpg.Pool, model_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Return total and last use of each version ever used, in order of numbers."""
    return [dict(row) for row in await pool.fetch(USES, model_id, after, limit)]


async def uses_by_day(
    pool: asyncpg.Pool, model_id: str, numbers: list[int], since: str
) -> list[dict[str, Any]]:
    """Return the uses of these versions by UTC day, from a day (ISO date) on."""
    return [dict(row) for row in await pool.fetch(USES_BY_DAY, model_id, numbers, since)]


async def cleanup_run(pool: asyncpg.Pool, cleanup_run_id: str) -> dict[str, Any] | None:
    """Return a cleanup run with the number of versions by verdict, or None."""
    row = await pool.fetchrow(CLEANUP_RUN, cleanup_run_id)
    if row is None:
        return None
    counts = await pool.fetch(VERDICT_COUNTS, cleanup_run_id)
    return dict(row) | {"verdicts": {c["verdict"]: c["versions"] for c in counts}}


async def cleanup_runs(
    pool: asyncpg.Pool, namespaces: list[str] | None, before: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """Return runs over all models, and those over one in these namespaces (None: any), newest first."""
    at, cleanup_run_id = before or (None, "")
    return [dict(row) for row in await pool.fetch(CLEANUP_RUNS, at, cleanup_run_id, limit, namespaces)]


async def verdicts(
    pool: asyncpg.Pool,
    cleanup_run_id: str,
    after: tuple[str, int],
    only: str,
    limit: int,
    namespaces: list[str] | None,
) -> list[dict[str, Any]]:
    """Return the verdicts of a cleanup run on models in these namespaces (None: any), as they are now.

    `only`: one kind of verdict, "" for all.
    """
    rows = await pool.fetch(VERDICTS, cleanup_run_id, *after, only, limit, namespaces)
    return [_with_reasons(row) for row in rows]


async def standings(pool: asyncpg.Pool, model_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Return each version of a model with its uses and the newest verdict on it."""
    return [_with_reasons(row) for row in await pool.fetch(STANDINGS, model_id, after, limit)]


def _with_reasons(row: asyncpg.Record) -> dict[str, Any]:
    found = dict(row)
    return found | {"reasons": found["reasons"] or []}


async def model_ids(pool: asyncpg.Pool, after: str, scope: str, limit: int, namespace: str = "") -> list[str]:
    """Return the ids of up to `limit` models after one.

    `scope`: the only model, "" for all; `namespace`: only models below it, "" for all.
    """
    rows = await pool.fetch(MODEL_IDS_AFTER, after, scope, limit, namespace)
    return [row["model_id"] for row in rows]


async def states_of(transactor: Transactor, model_ids: Sequence[str]) -> list[State]:
    """Return the states of models as the log has them now, by two statements in all.

    They are read without a lock: show them, never decide on them.
    """
    service, streams = transactor.service.name, [stream_of(model_id) for model_id in model_ids]
    async with transactor.pool.acquire() as connection:
        await transactor.states.warm(connection, streams)
        held = {stream: transactor.states.get(stream) for stream in streams}
        tails = await eventlog.load(connection, service, {stream: h.revision for stream, h in held.items()})

    def folded() -> list[State]:
        return [_folded(service, held[stream].state, tails.get(stream, ())) for stream in streams]

    return await asyncio.to_thread(folded) if tails else folded()


def _folded(service: str, state: State, tail: Iterable[bytes]) -> State:
    for stored in tail:
        state = evolve(state, EVENTS.recorded(service, stored).event)
    return state
