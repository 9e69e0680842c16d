"""The directory of names: who a subject stands for. It is no event and no read model, so that a name can be forgotten.

Registry alone may write it; the database's grants say so. Whoever prints a name reads it at that moment and
keeps it nowhere, except where somebody signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg

# The first revision creates an identity: without a name there, none was given.
NAMES = "SELECT subject, name FROM directory.names WHERE subject = ANY($1::text[]) AND (name IS NOT NULL OR revision > 1)"

STORED_NAME = "SELECT name, former FROM directory.names WHERE subject = $1"

# What the log said later is never overwritten by what it said before, whenever that is repeated. Erasing
# takes former names along.
WRITE = """
INSERT INTO directory.names AS n (subject, name, revision) VALUES ($1, $2, $3)
ON CONFLICT (subject) DO UPDATE SET name = excluded.name, revision = excluded.revision,
    former = CASE WHEN excluded.name IS NULL THEN '{}' WHEN n.name IS NULL THEN n.former ELSE array_append(n.former, n.name) END
WHERE n.revision < excluded.revision
"""


@dataclass(frozen=True, slots=True)
class StoredName:
    """What stands under a signature, and what stood there before a correction.

    `name` is empty for somebody without one.
    """

    name: str = ""
    former: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (self.name, *self.former) if self.name else self.former


async def names(pool: asyncpg.Pool, subjects: Iterable[str]) -> dict[str, str | None]:
    """The names by subject: None where it was erased; who never had one is missing."""
    return {row["subject"]: row["name"] for row in await pool.fetch(NAMES, list(subjects))}


async def stored_name(pool: asyncpg.Pool, subject: str) -> StoredName:
    """How somebody's name is printed at this moment."""
    row = await pool.fetchrow(STORED_NAME, subject)
    return StoredName(row["name"] or "", tuple(row["former"])) if row else StoredName()


async def write(pool: asyncpg.Pool, subject: str, name: str | None, revision: int) -> None:
    """Puts down what the event of this revision of the identity's stream spoke of; None erases.

    Nothing changes where a later one was put down.
    """
    await pool.execute(WRITE, subject, name, revision)
