"""Find the moments at which something changed in the log, whatever its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.audit.queries import STORED, Event, with_object

PARTS = 100
"""Parts of the log's span; the newest moment of each is shown."""
NEXT = 20
"""Moments on each side that are looked at for one that the caller may read."""

# The condition of the index event_index_moments (migration 0010).
_KINDS = """h.type IN ('VersionPromoted', 'RolloutChanged', 'RolledBack', 'VersionRecalled',
        'VersionReinstated', 'PromotionDenied', 'OverrideUsed', 'PolicyPublished', 'RoleGranted',
        'RoleRevoked', 'IdentityDisabled', 'IdentityEnabled', 'IdentityLinked', 'IdentityUnlinked',
        'IssuerTrusted', 'IssuerDistrusted', 'GroupMapped', 'GroupUnmapped')"""

_OF_GENERATION = "h.generation = (SELECT generation FROM audit.index_state)"

# The newest moment of each part of a span, by one look-up a part.
SPREAD = f"""
WITH found AS (
    SELECT newest.* FROM generate_series(0, $3::int - 1) AS part CROSS JOIN LATERAL (
        SELECT h.* FROM audit.event_index h WHERE {_KINDS} AND {_OF_GENERATION}
            AND h.recorded_at >= $1::timestamptz + ($2::timestamptz - $1::timestamptz) * part / $3::int
            AND h.recorded_at < $1::timestamptz + ($2::timestamptz - $1::timestamptz) * (part + 1) / $3::int
        ORDER BY h.recorded_at DESC LIMIT 1
    ) AS newest
)
{STORED} ORDER BY found.recorded_at, found.tx, found.seq
"""

_NEXT = f"""
WITH found AS (
    SELECT h.* FROM audit.event_index h
    WHERE {_KINDS} AND {_OF_GENERATION} AND h.recorded_at {{side}} $1
    ORDER BY h.recorded_at {{order}} LIMIT $2
)
{STORED} ORDER BY found.recorded_at, found.tx, found.seq
"""
# When the first moment was recorded.
FIRST = f"""
SELECT h.recorded_at FROM audit.event_index h WHERE {_KINDS} AND {_OF_GENERATION}
ORDER BY h.recorded_at LIMIT 1
"""
BEFORE = _NEXT.format(side="<", order="DESC")
AFTER = _NEXT.format(side=">", order="ASC")


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of a span, some before a moment and some after it, each the oldest first."""

    first: datetime
    spread: Sequence[Event]
    before: Sequence[Event]
    after: Sequence[Event]


async def moments(pool: asyncpg.Pool, began: datetime, last: datetime, at: datetime) -> Moments:
    """Return moments since the log began, until just before `last`, and those next to `at`."""
    first = min(began, await pool.fetchval(FIRST) or began)
    return Moments(
        first,
        [with_object(row) for row in await pool.fetch(SPREAD, first, last, PARTS)],
        [with_object(row) for row in await pool.fetch(BEFORE, at, NEXT)],
        [with_object(row) for row in await pool.fetch(AFTER, at, NEXT)],
    )
