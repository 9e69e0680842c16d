"""The queries on the read models of this service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

# Which of the texts $1 are names of targets.
KNOWN_NAMES = "SELECT target AS name FROM targets WHERE target = ANY($1::text[])"

# The targets with their newest checks.
TARGETS = """
SELECT t.target, t.kind, t.namespaces, t.from_stage, t.set_at, t.set_by, t.surveyed, t.failed_at, t.failure,
  t.next_at, c.check_id, c.repair, c.running, c.compared, c.drifted, c.problem, c.at AS checked_at
FROM targets t LEFT JOIN checks c USING (target) WHERE $1 = '' OR t.target = $1 ORDER BY t.target
"""

# How many versions of a target, of models that the caller may read ($2 null: all), are in which status.
COUNTS = """
SELECT s.target, s.status, count(*) AS versions FROM standings s JOIN targets t USING (target)
WHERE s.request >= t.first_request AND ($1 = '' OR s.target = $1) AND log.covers($2::text[], s.model)
GROUP BY s.target, s.status
"""

# What every consumer needs of the targets.
FOLLOWED = "SELECT target, namespaces, from_stage FROM targets"

# The versions of a target that wait for an attempt: those that failed least often, in order of requests.
DUE_COPIES = """
SELECT s.model_id, s.model, s.number, s.request, s.attempts, n.name FROM standings s
JOIN targets t USING (target) LEFT JOIN names n USING (target, model_id)
WHERE s.target = $1 AND s.status = 'due' AND s.request >= t.first_request
ORDER BY s.attempts, s.request LIMIT $2
"""

# The versions of a target after one, in order, that a check compares, or that it requests again.
CHECKED_COPIES = """
SELECT s.model_id, s.model, s.number, s.request, s.attempts, s.status, n.name FROM standings s
JOIN targets t USING (target) LEFT JOIN names n USING (target, model_id)
WHERE s.target = $1 AND s.status IN ('mirrored', 'drifted', 'failed') AND s.request >= t.first_request
  AND (s.model_id, s.number) > ($2, $3)
ORDER BY s.model_id, s.number LIMIT $4
"""

# Another model that has this name at the target.
TAKEN = "SELECT model FROM names WHERE target = $1 AND name = $2 AND model_id <> $3"

# Which other versions of the model show one of these aliases at the target.
SHOWING = """
SELECT number FROM shown WHERE target = $1 AND model_id = $2 AND number <> $3 AND aliases ?| $4::text[]
"""

# The versions of a target, of models that the caller may read ($5 null: all).
VERSIONS = """
SELECT s.model_id, s.model, s.number, s.status, s.attempts, s.at, s.code, s.detail, s.differences,
  coalesce(h.semver, '') AS semver, coalesce(h.stage, '') AS stage, coalesce(h.address, '') AS address,
  coalesce(h.position, '') AS position, h.at AS shown_at
FROM standings s JOIN targets t USING (target) LEFT JOIN shown h USING (target, model_id, number)
WHERE s.target = $1 AND s.request >= t.first_request AND (s.model_id, s.number) > ($2, $3)
  AND ($4 = '' OR s.status = $4) AND log.covers($5::text[], s.model)
ORDER BY s.model_id, s.number LIMIT $6
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """What a target mirrors."""

    target: str
    namespaces: tuple[str, ...]
    from_stage: str


@dataclass(frozen=True, slots=True)
class DueCopy:
    """A version to be compared with the target.

    `name`: what its model is called there, None before its first version came.
    """

    model_id: str
    model: str
    number: int
    request: int
    attempts: int
    name: str | None
    status: str = "due"


async def targets(pool: asyncpg.Pool, target: str = "") -> list[dict[str, Any]]:
    """Return the targets, or one, with the figures of their newest checks."""
    found = []
    for row in await pool.fetch(TARGETS, target):
        one = dict(row)
        one["namespaces"] = msgspec.json.decode(one["namespaces"])
        found.append(one)
    return found


async def counts(
    pool: asyncpg.Pool, namespaces: list[str] | None, target: str = ""
) -> dict[str, dict[str, int]]:
    """Return how many versions are in which status, by target (models in these namespaces; None: all)."""
    found: dict[str, dict[str, int]] = {}
    for row in await pool.fetch(COUNTS, target, namespaces):
        found.setdefault(row["target"], {})[row["status"]] = row["versions"]
    return found


async def followed(pool: asyncpg.Pool) -> list[Followed]:
    """Return what each target mirrors."""
    return [
        Followed(row["target"], tuple(msgspec.json.decode(row["namespaces"])), row["from_stage"])
        for row in await pool.fetch(FOLLOWED)
    ]


async def due_copies(pool: asyncpg.Pool, target: str, limit: int) -> list[DueCopy]:
    """Return the next versions of a target that wait for an attempt."""
    return [DueCopy(**dict(row)) for row in await pool.fetch(DUE_COPIES, target, limit)]


async def checked_copies(
    pool: asyncpg.Pool, target: str, after: tuple[str, int], limit: int
) -> list[DueCopy]:
    """Return the next versions of a target that a check looks at."""
    return [DueCopy(**dict(row)) for row in await pool.fetch(CHECKED_COPIES, target, *after, limit)]


async def taken_by(pool: asyncpg.Pool, target: str, name: str, model_id: str) -> str:
    """Return another model that has this name at the target, or ""."""
    return await pool.fetchval(TAKEN, target, name, model_id) or ""


async def showing(
    pool: asyncpg.Pool, target: str, model_id: str, number: int, aliases: list[str]
) -> list[int]:
    """Return the other versions of the model that show one of these aliases at the target."""
    return [row["number"] for row in await pool.fetch(SHOWING, target, model_id, number, aliases)]


async def versions(
    pool: asyncpg.Pool,
    target: str,
    after: tuple[str, int],
    status: str,
    namespaces: list[str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return versions of a target with their standing. `status`: only those, "" for all."""
    rows = await pool.fetch(VERSIONS, target, *after, status, namespaces, limit)
    return [dict(row) | {"differences": _list(row["differences"])} for row in rows]


def _list(stored: msgspec.Raw | None) -> list[Any]:
    return (msgspec.json.decode(stored) if stored is not None else None) or []
