"""Read who decided, what passed without people, and which after-reviews are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from services.audit import queries
from services.audit.domain.independence import related
from services.audit.domain.links import Identities
from services.audit.domain.reading import key_of
from services.audit.domain.without_people import after_reviews, without_people
from services.audit.log_verification import decided

NEWEST = 500
"""The number of newest events of each type that the exceptions are found in."""

# The newest events of one type; the list of types is that of the partial index.
OF_TYPE = queries.FOUND.format(
    condition="h.type IN ('PromotionGranted', 'OverrideUsed', 'OverrideReviewed') AND h.type = $1",
    order="h.tx DESC, h.seq DESC",
    limit=str(NEWEST),
)


def deciders(promotion: Sequence[queries.Event]) -> set[str]:
    """Return the subjects whom the grants of a promotion name."""
    grants = (e["data"].get("approvers") for e in promotion if e["type"] == "PromotionGranted")
    return {str(who) for named in grants if isinstance(named, list) for who in named}


async def identities(pool: asyncpg.Pool, subjects: Iterable[str]) -> Identities:
    """Return the events of these identities, of those who appointed them and of those linked, by subject."""
    found: dict[str, list[queries.Event]] = {}
    missing = set(subjects)
    while missing:
        wanted = {key_of(f"access-{subject}"): subject for subject in missing}
        found |= {subject: [] for subject in wanted.values()}
        for row in await queries.of_streams(pool, sorted(wanted)):
            found[wanted[row["stream"]]].append(queries.with_object(row))
        missing = {by for one in missing for by in related(found.get(one, ()))} - found.keys()
    return found


async def exceptions(pool: asyncpg.Pool) -> dict[str, list[dict[str, Any]]]:
    """Return what passed without people, and the overrides without an after-review, newest first."""
    granted, used, reviewed = [
        [queries.with_object(row) for row in await pool.fetch(OF_TYPE, type_)]
        for type_ in ("PromotionGranted", "OverrideUsed", "OverrideReviewed")
    ]
    names = {str((e["data"].get("policy") or {}).get("name")) for e in granted}
    policies = await decided.policies(pool, names)
    return {
        "without_people": without_people(granted, policies),
        "owed_after_reviews": after_reviews(used, reviewed),
    }
