"""Read and write the directory of names: the name of each subject.

It is neither an event nor a read model, so that a name can be erased. Only one role may write it
(shared/migrate.py). Code that shows a name reads it at that moment; only signed records keep a copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg

# The first revision creates the identity. A row of that revision without a name: no name was ever given.
NAMES = """
SELECT subject, name FROM directory.names
WHERE subject = ANY($1::text[]) AND (name IS NOT NULL OR revision > 1)
"""

STORED_NAME = "SELECT name, former FROM directory.names WHERE subject = $1"

# A later revision is never overwritten by an earlier one that is repeated. Erasing erases former names, too.
WRITE = """
INSERT INTO directory.names AS n (subject, name, revision) VALUES ($1, $2, $3)
ON CONFLICT (subject) DO UPDATE SET name = excluded.name, revision = excluded.revision,
    former = CASE WHEN excluded.name IS NULL THEN '{}' WHEN n.name IS NULL THEN n.former
        ELSE array_append(n.former, n.name) END
WHERE n.revision < excluded.revision
"""


@dataclass(frozen=True, slots=True)
class StoredName:
    """The name of a subject, "" without one, and its names before corrections."""

    name: str = ""
    former: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (self.name, *self.former) if self.name else self.former


async def names(pool: asyncpg.Pool, subjects: Iterable[str]) -> dict[str, str | None]:
    """Return the names by subject: None for an erased name; a subject that never had a name is missing."""
    return {row["subject"]: row["name"] for row in await pool.fetch(NAMES, list(subjects))}


async def stored_name(pool: asyncpg.Pool, subject: str) -> StoredName:
    """Return the current and former names of a subject."""
    row = await pool.fetchrow(STORED_NAME, subject)
    return StoredName(row["name"] or "", tuple(row["former"])) if row else StoredName()


async def write(pool: asyncpg.Pool, subject: str, name: str | None, revision: int) -> None:
    """Store the name that belongs to this revision of the identity's stream; None erases it.

    Does nothing when the name of a later revision is stored.
    """
    await pool.execute(WRITE, subject, name, revision)
