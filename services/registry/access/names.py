"""Store names of people in the directory, after the log has committed the event about the name.

When the process dies between the two, repeating the request stores what is missing. A start erases every name
that the log has erased and the directory still has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import asyncpg

from services.registry.access import queries
from services.registry.access.domain.identities import identity_exists
from shared.deciding.access import NameSet
from shared.deciding.person import folded_name
from shared.deciding.submission import Outcome
from shared.identity import directory

CREATION = 1
"""The revision of IdentityCreated in its stream."""


async def store_first(pool: asyncpg.Pool, subject: str, name: str) -> None:
    """Store the name given at creation, unless a later event is about the name."""
    if (await _name_event(pool, subject))["name_revision"] == CREATION:
        await directory.write(pool, subject, name or None, CREATION)


async def store_at_creation(pool: asyncpg.Pool, subject: str, name: str, outcome: Outcome) -> None:
    """Store the name as `store_first` does.

    Raise RuleBroken when the identity existed before with another name.
    """
    await store_first(pool, subject, name)
    if (
        not outcome.events
        and not outcome.replayed
        and (await directory.stored_name(pool, subject)).name != name
    ):
        raise identity_exists(subject, "with another name or none")


async def store_correction(pool: asyncpg.Pool, subject: str, name: str, outcome: Outcome) -> None:
    """Store another name, unless a later event is about the name."""
    (revision,) = (r.revision for r in outcome.events if isinstance(r.event, NameSet))
    if (await _name_event(pool, subject))["name_revision"] == revision:
        await directory.write(pool, subject, name, revision)


async def erase(pool: asyncpg.Pool, subject: str, outcome: Outcome) -> datetime:
    """Erase the name when the last event about it erased it. Return when it was erased."""
    last = await _name_event(pool, subject)
    if last["name_erased_at"] is not None:
        await directory.write(pool, subject, None, last["name_revision"])
    erased_at: datetime = outcome.events[-1].recorded_at if outcome.events else last["name_erased_at"]
    return erased_at


async def finish_erasures(pool: asyncpg.Pool) -> None:
    """Erase what the log has erased and the directory still has.

    A process died in between, or an older copy of the directory was restored.
    """
    for row in await pool.fetch(queries.NOT_YET_ERASED):
        await directory.write(pool, row["subject"], None, row["name_revision"])


def contains_name(text: str, names: Iterable[str]) -> bool:
    """Return whether the text contains one of the names as whole words: `litigation` does not contain Li."""
    plain = _plain(text)
    return any(re.search(rf"(?<!\w){re.escape(_plain(name))}(?!\w)", plain) for name in names)


def _plain(text: str) -> str:
    """Return the same text for every case, spacing and Unicode form."""
    return folded_name(text)


async def _name_event(pool: asyncpg.Pool, subject: str) -> asyncpg.Record:
    return await pool.fetchrow(queries.NAME_EVENT, subject)
