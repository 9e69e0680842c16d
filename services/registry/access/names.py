"""The log says that a name was given or erased, the directory which one: the event is committed first, then the directory follows it.

If the process dies between the two, repeating the request puts down what is missing; what was to be erased is
erased at the next start, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import asyncpg

from services.registry import queries
from services.registry.access.domain import identity_exists
from shared.deciding.access import NameSet, normalized_name
from shared.deciding.submission import Outcome
from shared.identity import directory

FIRST = 1
"""The revision of IdentityCreated in its stream."""


async def first(pool: asyncpg.Pool, subject: str, name: str) -> None:
    """Puts down the name that an identity was created with, if nobody did and the log has not spoken of another since."""
    if (await _naming(pool, subject))["name_revision"] == FIRST:
        await directory.write(pool, subject, name or None, FIRST)


async def created(pool: asyncpg.Pool, subject: str, name: str, outcome: Outcome) -> None:
    """As `first`. Raises RuleBroken where the identity was there before, with another name."""
    await first(pool, subject, name)
    if (
        not outcome.events
        and not outcome.replayed
        and (await directory.stored_name(pool, subject)).name != name
    ):
        raise identity_exists(subject, "with another name or none")


async def corrected(pool: asyncpg.Pool, subject: str, name: str, outcome: Outcome) -> None:
    """Puts down another name, unless the log has spoken of it again since."""
    (revision,) = (r.revision for r in outcome.events if isinstance(r.event, NameSet))
    if (await _naming(pool, subject))["name_revision"] == revision:
        await directory.write(pool, subject, name, revision)


async def erased(pool: asyncpg.Pool, subject: str, outcome: Outcome) -> datetime:
    """Forgets the name, if that is the log's last word about it; answers since when."""
    last = await _naming(pool, subject)
    if last["name_erased_at"] is not None:
        await directory.write(pool, subject, None, last["name_revision"])
    since: datetime = outcome.events[-1].recorded_at if outcome.events else last["name_erased_at"]
    return since


async def settle(pool: asyncpg.Pool) -> None:
    """Forgets whatever the log says was erased: a process may have died before it did, or an older copy of the directory was brought back."""
    for row in await pool.fetch(queries.UNFORGOTTEN):
        await directory.write(pool, row["subject"], None, row["name_revision"])


def said(text: str, known: Iterable[str]) -> bool:
    """Whether the text says one of the names, as words of their own: `litigation` does not say Li, and may stand in a reason."""
    plain = _plain(text)
    return any(re.search(rf"(?<!\w){re.escape(_plain(name))}(?!\w)", plain) for name in known)


def _plain(text: str) -> str:
    """The same for one text in any case, spacing and Unicode form."""
    return " ".join(normalized_name(text).split())


async def _naming(pool: asyncpg.Pool, subject: str) -> asyncpg.Record:
    return await pool.fetchrow(queries.NAMING, subject)
