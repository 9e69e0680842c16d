"""The queries of the API, the consumers and the due work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from regista.wire.digests import FileEntry
from services.artifact.domain.artifact_state import phase
from services.artifact.domain.upload import UploadState, evolve, stream_of
from services.artifact.stored_events import EVENTS
from shared.log import eventlog
from shared.log.transact import Transactor

# The digest that a version refers or referred to. A rejection names only the version.
HEX_OF = "SELECT hex FROM artifact_references WHERE model_id = $1 AND number = $2"

# The digests of the versions of a rollout that still refer to one.
HEXES_OF = """
SELECT hex, number FROM artifact_references
WHERE model_id = $1 AND number = ANY($2::bigint[]) AND status <> 'ended' ORDER BY hex, number
"""

# What a version claims.
CLAIM = """
SELECT hex, status, withdrawn OR rejected AS withheld, generation, location, files FROM artifact_references
WHERE model_id = $1 AND number = $2
"""

# One artifact.
ARTIFACT = """
SELECT hex, generation, verified, quarantined, expired, deleted, uri, size, files,
  first_at, checked_at, delete_at
FROM artifacts WHERE hex = $1
"""

# The versions that refer or referred to an artifact, the oldest first.
REFERENCES = """
SELECT model_id, model, number, status, withdrawn, rejected, generation, detail, noted_at,
  changed_at, proven
FROM artifact_references WHERE hex = $1 ORDER BY noted_at, model_id, number
"""

# Whether the bytes are available to a version in one of the namespaces (NULL: in any).
RELEASED_IN = """
SELECT EXISTS (SELECT FROM artifact_references
  WHERE hex = $1 AND status = 'available' AND NOT (withdrawn OR rejected) AND log.covers($2::text[], model))
"""

# Whether a verification needs an upload. Its location is the upload's id, its URI, or a URI below that
# (all keys from "/" up to "0", the byte after it).
AWAITED = """
SELECT EXISTS (SELECT FROM artifact_references
  WHERE (location IN ($1, $2) OR location ~>=~ ($2 || '/') AND location ~<~ ($2 || '0'))
    AND status = 'received' AND NOT (withdrawn OR rejected))
"""

# How many uploads a publisher has open.
OPEN_UPLOADS = "SELECT count(*) FROM uploads WHERE subject = $1 AND state = 'open'"

# How many artifacts there are, and their bytes, by what their generations stand for: for metrics.
BY_GENERATIONS = """
SELECT generation > expired AS newer, verified > 0 AS verified, quarantined > 0 AS quarantined,
  expired > 0 AS expired, deleted >= expired AS deleted, count(*) AS artifacts,
  coalesce(sum(size), 0)::bigint AS size
FROM artifacts GROUP BY 1, 2, 3, 4, 5
"""

_files = msgspec.json.Decoder(tuple[FileEntry, ...])


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a version claims. `generation` is the one it waits for while `status` is received."""

    hex: str
    status: str
    withheld: bool
    generation: int
    location: str
    files: tuple[FileEntry, ...]

    @property
    def awaits(self) -> int:
        """The generation that the version waits for; 0 for none."""
        return self.generation if self.status == "received" else 0


@dataclass(frozen=True, slots=True)
class InState:
    """How many artifacts are in a state, and their bytes."""

    state: str
    artifacts: int
    size: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact. `verified` is the generation to read (0: none)."""

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

    `generation` is the one it waits for, waited for or is served from (0: its claim is wrong).
    """

    model_id: str
    model: str
    number: int
    status: str
    withdrawn: bool
    rejected: bool
    generation: int
    detail: str | None
    noted_at: datetime
    changed_at: datetime
    proven: bool

    @property
    def served(self) -> bool:
        """Whether the bytes may be served to the version when they are available to it."""
        return not self.withdrawn and not self.rejected


async def hex_of(pool: asyncpg.Pool, model_id: str, number: int) -> str | None:
    """Return the hex digits of the digest that the version was noted with, or None."""
    found: str | None = await pool.fetchval(HEX_OF, model_id, number)
    return found


async def hexes_of(pool: asyncpg.Pool, model_id: str, numbers: frozenset[int]) -> dict[str, frozenset[int]]:
    """Return the versions that still refer to an artifact, by the hex digits of its digest."""
    found: dict[str, frozenset[int]] = {}
    for row in await pool.fetch(HEXES_OF, model_id, sorted(numbers)):
        found[row["hex"]] = found.get(row["hex"], frozenset()) | {row["number"]}
    return found


async def claim(pool: asyncpg.Pool, model_id: str, number: int) -> Claimed | None:
    """Return what the version claims, or None."""
    row = await pool.fetchrow(CLAIM, model_id, number)
    return Claimed(**{**row, "files": files_of(row["files"])}) if row else None


async def artifact(pool: asyncpg.Pool, hex_: str) -> Artifact | None:
    row = await pool.fetchrow(ARTIFACT, hex_)
    if row is None:
        return None
    state = phase(row["generation"], row["verified"], row["quarantined"], row["expired"], row["deleted"])
    times = (row["first_at"], row["checked_at"], row["delete_at"])
    return Artifact(
        row["hex"], state, row["verified"], row["uri"], row["size"], files_of(row["files"]), *times
    )


async def references(pool: asyncpg.Pool, hex_: str) -> list[Referring]:
    """Return every version that refers or referred to the artifact, the oldest first."""
    return [Referring(**row) for row in await pool.fetch(REFERENCES, hex_)]


async def available_in(pool: asyncpg.Pool, hex_: str, namespaces: frozenset[str] | None) -> bool:
    """Return whether the bytes may be served to a version in one of the namespaces; None means in any."""
    return bool(await pool.fetchval(RELEASED_IN, hex_, None if namespaces is None else sorted(namespaces)))


async def awaited(pool: asyncpg.Pool, upload_id: str, uri: str) -> bool:
    """Return whether a verification needs the upload or a part of it."""
    return bool(await pool.fetchval(AWAITED, upload_id, uri))


async def open_uploads(pool: asyncpg.Pool, subject: str) -> int:
    """Return how many uploads a publisher has open."""
    return int(await pool.fetchval(OPEN_UPLOADS, subject))


def files_of(text: Any) -> tuple[FileEntry, ...]:
    """Return the list of files in a column of a read model."""
    return _files.decode(text) if text else ()


async def upload(transactor: Transactor, upload_id: str) -> UploadState:
    """Return the state of an upload as the log has it now, read without a lock."""
    return (await uploads(transactor, [upload_id]))[upload_id]


async def uploads(transactor: Transactor, upload_ids: Sequence[str]) -> dict[str, UploadState]:
    """Return the states of uploads as the log has them now, read without a lock in one query."""
    streams = {id_: stream_of(id_) for id_ in upload_ids}
    async with transactor.pool.acquire() as connection:
        await transactor.states.warm(connection, streams.values())
        held = {stream: transactor.states.get(stream) for stream in streams.values()}
        after = {stream: state.revision for stream, state in held.items()}
        tails = await eventlog.load(connection, transactor.service.name, after)

    def folded(stream: str) -> UploadState:
        state: UploadState = held[stream].state
        for stored in tails.get(stream, ()):
            state = evolve(state, EVENTS.recorded(transactor.service.name, stored).event)
        return state

    return {id_: folded(stream) for id_, stream in streams.items()}


async def by_state(connection: asyncpg.Connection) -> list[InState]:
    """Return the number of artifacts and their bytes, once for each state that there is."""
    found: dict[str, InState] = {}
    for row in await connection.fetch(BY_GENERATIONS):
        expired = int(row["expired"])
        state = phase(
            expired + int(row["newer"]),
            int(row["verified"]),
            int(row["quarantined"]),
            expired,
            expired if row["deleted"] else expired - 1,
        )
        before = found.get(state, InState(state, 0, 0))
        found[state] = InState(state, before.artifacts + row["artifacts"], before.size + row["size"])
    return list(found.values())
