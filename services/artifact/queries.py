"""What the API, the consumers and the due work read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from regista.wire.digests import FileEntry
from services.artifact.domain.artifact_state import phase

# The digest that a version refers or referred to: a rejection names only the version.
HEX_OF = "SELECT hex FROM artifact_references WHERE model_id = $1 AND number = $2"

# The same for the versions of a rollout.
HEXES_OF = "SELECT hex, number FROM artifact_references WHERE model_id = $1 AND number = ANY($2::bigint[]) AND status <> 'ended' ORDER BY hex, number"

CLAIM = "SELECT hex, status, recalled OR rejected AS withheld, generation, location, files FROM artifact_references WHERE model_id = $1 AND number = $2"

ARTIFACT = "SELECT hex, generation, verified, quarantined, expired, deleted, uri, size, files, first_at, checked_at, delete_at FROM artifacts WHERE hex = $1"

REFERENCES = """
SELECT model_id, model, number, status, recalled, rejected, generation, detail, noted_at, changed_at FROM artifact_references
WHERE hex = $1 ORDER BY noted_at, model_id, number
"""

# Whether some verification still needs what was uploaded there.
# As an upload's id, as its place, or as what lies below that: all keys from "/" up to "0", the byte after it.
AWAITED = """
SELECT EXISTS (SELECT FROM artifact_references
  WHERE (location IN ($1, $2) OR location ~>=~ ($2 || '/') AND location ~<~ ($2 || '0')) AND status = 'received' AND NOT (recalled OR rejected))
"""

OPEN_UPLOADS = "SELECT count(*) FROM uploads WHERE subject = $1 AND state = 'open'"

_files = msgspec.json.Decoder(tuple[FileEntry, ...])


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a version claims."""

    hex: str
    status: str
    withheld: bool
    generation: int
    location: str
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A digest and what is known of its bytes. `verified` is the generation to read (0: none)."""

    hex: str
    state: str
    verified: int
    uri: str | None
    size: int | None
    files: tuple[FileEntry, ...]
    first_at: datetime
    checked_at: datetime | None
    delete_at: datetime | None


@dataclass(frozen=True, slots=True)
class Referring:
    """A version that refers or referred to an artifact.

    `generation` is the one it waits or waited for, or is served (0: its claim was wrong).
    """

    model_id: str
    model: str
    number: int
    status: str
    recalled: bool
    rejected: bool
    generation: int
    detail: str | None
    noted_at: datetime
    changed_at: datetime


async def hex_of(pool: asyncpg.Pool, model_id: str, number: int) -> str | None:
    """The digest's hex, if the version was ever noted with one."""
    found: str | None = await pool.fetchval(HEX_OF, model_id, number)
    return found


async def hexes_of(pool: asyncpg.Pool, model_id: str, numbers: frozenset[int]) -> dict[str, frozenset[int]]:
    """The versions that still refer to something, by digest."""
    found: dict[str, frozenset[int]] = {}
    for row in await pool.fetch(HEXES_OF, model_id, sorted(numbers)):
        found[row["hex"]] = found.get(row["hex"], frozenset()) | {row["number"]}
    return found


async def claim(pool: asyncpg.Pool, model_id: str, number: int) -> Claimed | None:
    """What the version claims."""
    row = await pool.fetchrow(CLAIM, model_id, number)
    return Claimed(**{**row, "files": files_of(row["files"])}) if row else None


async def artifact(pool: asyncpg.Pool, hex_: str) -> Artifact | None:
    """What is known of the digest."""
    row = await pool.fetchrow(ARTIFACT, hex_)
    if row is None:
        return None
    state = phase(row["generation"], row["verified"], row["quarantined"], row["expired"], row["deleted"])
    times = (row["first_at"], row["checked_at"], row["delete_at"])
    return Artifact(
        row["hex"], state, row["verified"], row["uri"], row["size"], files_of(row["files"]), *times
    )


async def references(pool: asyncpg.Pool, hex_: str) -> list[Referring]:
    """Every version that refers or referred to it, the oldest first."""
    return [Referring(**row) for row in await pool.fetch(REFERENCES, hex_)]


async def awaited(pool: asyncpg.Pool, upload_id: str, uri: str) -> bool:
    """Whether some verification still needs what was uploaded there, or a part of it."""
    return bool(await pool.fetchval(AWAITED, upload_id, uri))


async def open_uploads(pool: asyncpg.Pool, subject: str) -> int:
    """How many uploads somebody has open."""
    return int(await pool.fetchval(OPEN_UPLOADS, subject))


def files_of(text: Any) -> tuple[FileEntry, ...]:
    """A list of files as a read model keeps it."""
    return _files.decode(text) if text else ()
