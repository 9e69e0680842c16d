"""Read what the verification of a promotion needs: policies, and the first promotion of a version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from services.audit.domain.production import adopts
from services.audit.domain.reading import TEXT_BYTES, key_of
from services.audit.queries import Event, of_streams, registered, with_object

# The first promotion of each of some versions into an environment.
FIRST_PROMOTED = """
SELECT wanted.stream, wanted.environment, wanted.number, (
    SELECT h.revision FROM audit.event_index h
    WHERE h.type IN ('VersionRegistered', 'MetadataAdded', 'VersionPromoted') AND h.type = 'VersionPromoted'
        AND h.stream = wanted.stream AND h.number = wanted.number AND h.environment = wanted.environment
        AND h.generation = (SELECT generation FROM audit.index_state)
    ORDER BY h.revision LIMIT 1
) AS revision
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS wanted(stream, environment, number)
"""


async def policies(pool: asyncpg.Pool, policy_names: Iterable[str]) -> dict[tuple[str, str], Event]:
    """Return every event that published a policy of these names, by name and digest."""
    rows = await of_streams(pool, sorted({key_of(f"policy-{name}") for name in policy_names}))
    published = [event for event in map(with_object, rows) if event["type"] == "PolicyPublished"]
    return {
        (e["stream"].removeprefix("policy-"), str(e["data"].get("digest"))): e for e in reversed(published)
    }


async def adopted(pool: asyncpg.Pool, promoted: Event, promotion: Sequence[Event]) -> Event | None:
    """Return the event that had the metadata of a promoted version, if its promotion adopts it."""
    if not adopts(promotion) or not isinstance(number := promoted["number"], int):
        return None
    return await registered(pool, promoted["stream"], number, promoted["recorded_at"])


async def first_promoted(
    pool: asyncpg.Pool, versions: Iterable[tuple[str, str, int]]
) -> dict[tuple[str, str, int], int]:
    """Return the first revision that promoted each (stream, environment, number), if any."""
    wanted = {
        (stream, key_of(environment, TEXT_BYTES), n): (stream, environment, n)
        for stream, environment, n in versions
    }
    rows = await pool.fetch(FIRST_PROMOTED, *([key[i] for key in wanted] for i in range(3)))
    return {
        wanted[row["stream"], row["environment"], row["number"]]: row["revision"]
        for row in rows
        if row["revision"] is not None
    }
