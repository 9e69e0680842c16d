"""Find what reports over all models show: decisions of a period, acts of a subject, what served, policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.audit.domain.reading import TEXT_BYTES, key_of
from services.audit.domain.rights import PARTITION
from services.audit.queries import STORED, Event, of_streams, promotions, with_object

Position = tuple[datetime, int, int]
"""The sort key of a report: when it was recorded, then the position in the log."""

# A page of positions, the newest first. {table} has recorded_at, tx and seq.
_PAGE = f"""
WITH page AS (
    SELECT p.tx, p.seq, p.recorded_at AS at FROM audit.{{table}} p
    WHERE p.generation = (SELECT generation FROM audit.index_state) AND {{condition}}
        AND p.recorded_at >= $2 AND (p.recorded_at, p.tx, p.seq) < ($3, $4, $5)
    ORDER BY p.recorded_at DESC, p.tx DESC, p.seq DESC LIMIT $6
), found AS (
    SELECT h.* FROM page CROSS JOIN LATERAL (
        SELECT i.* FROM audit.event_index i
        WHERE i.generation = (SELECT generation FROM audit.index_state)
            AND i.tx = page.tx AND i.seq = page.seq LIMIT 1
    ) AS h
)
{STORED} ORDER BY found.recorded_at DESC, found.tx DESC, found.seq DESC
"""

# The corrections of a version's metadata up to a moment.
CORRECTIONS = f"""
WITH found AS (
    SELECT h.* FROM audit.mentions m CROSS JOIN LATERAL (
        SELECT i.* FROM audit.event_index i
        WHERE i.generation = m.generation AND i.tx = m.tx AND i.seq = m.seq LIMIT 1
    ) AS h
    WHERE m.generation = (SELECT generation FROM audit.index_state) AND m.model_id = $1 AND m.number = $2
        AND NOT m.note AND h.type = 'MetadataCorrected' AND h.recorded_at <= $3
)
{STORED} ORDER BY found.tx, found.seq
"""

DECISIONS = _PAGE.format(table="decisions", condition="p.kind = $1")

DECISIONS_OF_MODEL = _PAGE.format(table="decisions", condition="p.kind = $1 AND p.model_id = $7")

ACTS = _PAGE.format(table="acts", condition="p.subject = $1")

# A page of rollouts (stream, environment), each by one look-up.
ROLLOUTS = """
WITH RECURSIVE rollout AS (
    (SELECT h.stream, h.environment FROM audit.event_index h
    WHERE h.type IN ('RolloutChanged', 'RolledBack') AND (h.stream, h.environment) > ($1, $2)
    ORDER BY h.stream, h.environment LIMIT 1)
    UNION ALL
    SELECT following.stream, following.environment FROM rollout CROSS JOIN LATERAL (
        SELECT h.stream, h.environment FROM audit.event_index h
        WHERE h.type IN ('RolloutChanged', 'RolledBack')
            AND (h.stream, h.environment) > (rollout.stream, rollout.environment)
        ORDER BY h.stream, h.environment LIMIT 1
    ) AS following
)
SELECT stream, environment FROM rollout LIMIT $3
"""

# The newest event of each rollout up to a moment.
SERVING = f"""
WITH found AS (
    SELECT newest.* FROM unnest($1::text[], $2::text[]) AS wanted(stream, environment) CROSS JOIN LATERAL (
        SELECT h.* FROM audit.event_index h
        WHERE h.type IN ('RolloutChanged', 'RolledBack') AND h.stream = wanted.stream
            AND h.environment = wanted.environment AND h.recorded_at <= $3
            AND h.generation = (SELECT generation FROM audit.index_state)
        ORDER BY h.revision DESC LIMIT 1
    ) AS newest
)
{STORED} ORDER BY found.stream, found.environment
"""

# The newest promotion of each of some versions into an environment up to a moment.
PROMOTED = f"""
WITH found AS (
    SELECT newest.* FROM unnest($1::text[], $2::bigint[], $3::text[]) AS wanted(stream, number, environment)
    CROSS JOIN LATERAL (
        SELECT h.* FROM audit.event_index h
        WHERE h.type IN ('VersionRegistered', 'MetadataAdded', 'VersionPromoted')
            AND h.type = 'VersionPromoted' AND h.stream = wanted.stream AND h.number = wanted.number
            AND h.environment = wanted.environment AND h.recorded_at <= $4
            AND h.generation = (SELECT generation FROM audit.index_state)
        ORDER BY h.revision DESC LIMIT 1
    ) AS newest
)
{STORED}
"""

# A page of the streams of a partition, each by one look-up in the primary key.
STREAMS = """
WITH RECURSIVE named AS (
    (SELECT e.stream FROM log.events e WHERE e.service = $1 AND e.stream > $2 ORDER BY e.stream LIMIT 1)
    UNION ALL
    SELECT following.stream FROM named CROSS JOIN LATERAL (
        SELECT e.stream FROM log.events e
        WHERE e.service = $1 AND e.stream > named.stream ORDER BY e.stream LIMIT 1
    ) AS following
)
SELECT stream FROM named LIMIT $3
"""


# When the first event was recorded; nothing in an empty log.
BEGAN = """
SELECT i.recorded_at FROM audit.event_index i
WHERE i.generation = (SELECT generation FROM audit.index_state) ORDER BY i.tx, i.seq LIMIT 1
"""

# The streams of issuers. Each begins with IssuerTrusted, so the first events of their range are read.
ISSUER_STREAMS = """
SELECT e.stream FROM log.events e
WHERE e.service = $1 AND e.revision = 1 AND e.stream LIKE 'access-issuer:%' AND e.type = 'IssuerTrusted'
ORDER BY e.stream LIMIT 1000
"""


async def decisions(
    pool: asyncpg.Pool, kind: str, model_id: str | None, since: datetime, before: Position, limit: int
) -> Sequence[asyncpg.Record]:
    """Return decisions of a kind, of all models or of one, recorded at `since` or later, newest first."""
    values = (kind, since, *before, limit)
    rows: Sequence[asyncpg.Record] = await (
        pool.fetch(DECISIONS_OF_MODEL, *values, model_id) if model_id else pool.fetch(DECISIONS, *values)
    )
    return rows


async def acts(
    pool: asyncpg.Pool, subject: str, since: datetime, before: Position, limit: int
) -> Sequence[asyncpg.Record]:
    """Return what an identity did at `since` or later, the newest first."""
    rows: Sequence[asyncpg.Record] = await pool.fetch(ACTS, key_of(subject), since, *before, limit)
    return rows


async def serving(
    pool: asyncpg.Pool, at: datetime, after: tuple[str, str], limit: int
) -> tuple[list[Event], tuple[str, str] | None]:
    """Return the events that decided what served at a moment, by stream and environment.

    The second value is the last rollout that was looked at, None where there are no more: those that began
    later are looked at, and not returned.
    """
    looked_at = [tuple(row) for row in await pool.fetch(ROLLOUTS, *after, limit)]
    rows = await pool.fetch(SERVING, *([rollout[n] for rollout in looked_at] for n in range(2)), at)
    return [with_object(row) for row in rows], looked_at[-1] if len(looked_at) == limit else None


async def promoted(
    pool: asyncpg.Pool, versions: Iterable[tuple[str, int, str]], at: datetime
) -> dict[tuple[str, int, str], tuple[Event, list[Event]]]:
    """Return the promotion of each (stream, number, environment) at a moment, with all events of it."""
    wanted = sorted({(stream, number, key_of(env, TEXT_BYTES)) for stream, number, env in versions})
    rows = await pool.fetch(PROMOTED, *([one[n] for one in wanted] for n in range(3)), at)
    events = [with_object(row) for row in rows]
    behind = await promotions(pool, {str(event["promotion_id"] or "") for event in events})
    return {
        (event["stream"], event["number"], event["environment"]): (
            event,
            [e for e in behind.get(str(event["promotion_id"]), ()) if e["recorded_at"] <= at],
        )
        for event in events
    }


async def corrections(pool: asyncpg.Pool, model_id: str, number: int, at: datetime) -> list[Event]:
    """Return the corrections of a version's metadata up to a moment, in the log's order."""
    rows = await pool.fetch(CORRECTIONS, UUID(model_id), number, at)
    return [with_object(row) for row in rows]


async def identities(pool: asyncpg.Pool, after: str, limit: int) -> dict[str, list[Event]]:
    """Return the events of a page of identities, by stream."""
    rows = await pool.fetch(STREAMS, PARTITION, after, limit)
    return await _by_stream(pool, [row["stream"] for row in rows])


async def began(pool: asyncpg.Pool) -> datetime | None:
    """Return when the first event of the log was recorded."""
    found: datetime | None = await pool.fetchval(BEGAN)
    return found


async def identity(pool: asyncpg.Pool, subject: str) -> dict[str, list[Event]]:
    """Return the events of one identity, by its stream."""
    return await _by_stream(pool, [key_of(f"{PARTITION}-{subject}")])


async def issuers(pool: asyncpg.Pool) -> dict[str, list[Event]]:
    """Return the events of all issuers that were ever trusted, by key. An admin trusts each: they are few."""
    rows = await pool.fetch(ISSUER_STREAMS, PARTITION)
    found = await _by_stream(pool, [row["stream"] for row in rows])
    return {stream.partition(":")[2]: events for stream, events in found.items()}


async def policies(pool: asyncpg.Pool) -> dict[str, list[Event]]:
    """Return the events of all policies, by name."""
    listed = (await _by_stream(pool, ["policies-all"]))["policies-all"]
    names = sorted({str(e["data"].get("name")) for e in listed if e["type"] == "PolicyListed"})
    found = await _by_stream(pool, [key_of(f"policy-{name}") for name in names])
    return {stream.removeprefix("policy-"): events for stream, events in found.items()}


async def _by_stream(pool: asyncpg.Pool, streams: Sequence[str]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {stream: [] for stream in streams}
    for row in await of_streams(pool, streams) if streams else ():
        found[row["stream"]].append(with_object(row))
    return found


def sort_key(event: Any) -> Position:
    """Return the sort key of a row of a report."""
    return event["indexed_recorded_at"], event["tx"], event["seq"]


async def environments(pool: asyncpg.Pool) -> list[tuple[str, str]]:
    """Return (namespace, name) of each environment that was ever declared, retired ones, too."""
    rows = await of_streams(pool, ["environments-all"])
    declared = (with_object(row)["data"] for row in rows if row["type"] == "EnvironmentCreated")
    return sorted({(str(data.get("namespace") or ""), str(data.get("name"))) for data in declared})
