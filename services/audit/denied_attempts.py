"""Find the denied attempts: who tried what, and which rule denied it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from services.audit.log_reader import partitions
from services.audit.queries import FOUND, Event, as_json
from shared.deciding.denied_attempts import stream_of

# Denied attempts before a position, the newest first: of some streams, about a model, recorded in a period.
DENIED = FOUND.format(
    condition="""h.type = 'AttemptsDenied' AND (h.tx, h.seq) < ($1, $2)
        AND ($3::text[] IS NULL OR h.stream = ANY($3))
        AND ($4::uuid IS NULL OR EXISTS (
            SELECT FROM audit.mentions m WHERE m.generation = h.generation AND m.model_id = $4
                AND m.number = 0 AND NOT m.note AND m.tx = h.tx AND m.seq = h.seq))
        AND h.recorded_at BETWEEN $5 AND $6""",
    order="h.tx DESC, h.seq DESC",
    limit="$7",
)
NEWEST = (2**62, 2**62)


async def denied_attempts(
    pool: asyncpg.Pool,
    subject: str,
    model_id: str,
    since: datetime,
    until: datetime,
    before: tuple[int, int],
    limit: int,
) -> tuple[list[Event], tuple[int, int] | None]:
    """Return denied attempts, the newest first, and the position of the last one, if there may be more."""
    streams = [stream_of(name, subject) for name in await partitions(pool)] if subject else None
    about = UUID(model_id) if model_id else None
    rows = await pool.fetch(DENIED, *before, streams, about, since, until, limit)
    rows.reverse()
    more = (rows[-1]["tx"], rows[-1]["seq"]) if len(rows) == limit else None
    return [as_json(row) for row in rows], more
