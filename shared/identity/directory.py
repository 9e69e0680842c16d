"""Read and write the directory of names: the name of each subject.

It is neither an event nor a read model, so that a name can be erased. Only one role may write it
(shared/migrate.py). Code that shows a name reads it at that moment; only signed records keep a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from shared.deciding.person import ErasedName, Person, digest_of, folded_name

# The first revision creates the identity. A row of that revision without a name: no name was ever given.
NAMES = """
SELECT subject, name FROM directory.names
WHERE subject = ANY($1::text[]) AND (name IS NOT NULL OR revision > 1)
"""

STORED_NAME = "SELECT subject, name, former, salt, erased FROM directory.names WHERE subject = $1"

STORED_NAMES = """
SELECT subject, name, former, salt, erased FROM directory.names WHERE subject = ANY($1::text[])
"""

# The subjects that have this subject or this name.
CALLED = """
SELECT wanted.name, min(n.subject) AS subject
FROM unnest($1::text[], $2::text[]) AS wanted(name, folded)
JOIN directory.names n ON n.subject = wanted.name OR n.folded = wanted.folded GROUP BY wanted.name
"""

LOCKED = (
    "SELECT name, former, salt, erased FROM directory.names WHERE subject = $1 AND revision < $2 FOR UPDATE"
)

# A later revision is never overwritten by an earlier one that is repeated. Erasing erases former names, too;
# $5 are the digests of erased names.
WRITE = """
INSERT INTO directory.names AS n (subject, name, revision, folded) VALUES ($1, $2, $3, $4)
ON CONFLICT (subject) DO UPDATE SET name = excluded.name, revision = excluded.revision,
    folded = excluded.folded, erased = n.erased || $5::text[],
    former = CASE WHEN excluded.name IS NULL THEN '{}' WHEN n.name IS NULL THEN n.former
        ELSE array_append(n.former, n.name) END
WHERE n.revision < excluded.revision
"""


@dataclass(frozen=True, slots=True)
class StoredName:
    """The name of a subject, "" without one, its names before corrections, and digests of erased names."""

    name: str = ""
    former: tuple[str, ...] = ()
    erased: tuple[ErasedName, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (self.name, *self.former) if self.name else self.former


async def names(pool: asyncpg.Pool, subjects: Iterable[str]) -> dict[str, str | None]:
    """Return the names by subject: None for an erased name; a subject that never had a name is missing."""
    return {row["subject"]: row["name"] for row in await pool.fetch(NAMES, list(subjects))}


async def stored_name(pool: asyncpg.Pool, subject: str) -> StoredName:
    """Return the current, former and erased names of a subject."""
    row = await pool.fetchrow(STORED_NAME, subject)
    return _stored(row) if row else StoredName()


async def person(pool: asyncpg.Pool, subject: str) -> Person:
    """Return all by which a subject is recognised."""
    return (await people(pool, [subject]))[subject]


async def people(pool: asyncpg.Pool, subjects: Iterable[str]) -> dict[str, Person]:
    """Return all by which each subject is recognised. One that has no row has only its subject."""
    wanted = list(subjects)
    rows = {row["subject"]: _stored(row) for row in await pool.fetch(STORED_NAMES, wanted)}
    found = {subject: rows.get(subject, StoredName()) for subject in wanted}
    return {subject: Person(subject, stored.all, stored.erased) for subject, stored in found.items()}


async def subjects_called(pool: asyncpg.Pool, names_: Sequence[str]) -> dict[str, str]:
    """Return, by name, a subject that is or is called so. A name that no identity has is missing."""
    rows = await pool.fetch(CALLED, list(names_), [folded_name(name) for name in names_])
    return {row["name"]: row["subject"] for row in rows}


def _stored(row: asyncpg.Record) -> StoredName:
    erased = tuple(ErasedName(row["salt"], digest) for digest in row["erased"])
    return StoredName(row["name"] or "", tuple(row["former"]), erased)


async def write(pool: asyncpg.Pool, subject: str, name: str | None, revision: int) -> None:
    """Store the name that belongs to this revision of the identity's stream; None erases it.

    Does nothing when the name of a later revision is stored. Of erased names, salted digests stay.
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(LOCKED, subject, revision) if name is None else None
        gone = _stored(row).all if row else ()
        digests = [digest_of(row["salt"], folded_name(one)) for one in gone] if row else []
        await connection.execute(WRITE, subject, name, revision, folded_name(name) if name else None, digests)
