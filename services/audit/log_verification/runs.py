"""Store how far each run has verified the log, and what it found."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import asyncpg
import msgspec

from regista.wire.merkle import Tree
from services.audit import tiles
from services.audit.log_verification.pages import RULES, Findings, LogState, Position, Tally
from services.audit.sealing import edge_of
from shared.deciding.events import START, Cursor
from shared.foundation.postgres import lock_key

PARTS = 3
"""Parts of a full run, which read the log at the same time."""

STORED_OF_A_PAGE, SHOWN = 100, 20
"""Violations of an invariant that are stored of one page, and that are shown of all."""

RUNS = "SELECT run, requested_at, finished_at FROM audit.verification_runs ORDER BY run"

OF_RUN = """
SELECT run, first, last, next, edge, tx, seq, tallies::text
FROM audit.verification_parts WHERE run = $1 ORDER BY first
"""

NEW_RUN = "INSERT INTO audit.verification_runs DEFAULT VALUES RETURNING run"

NEW_PART = """
INSERT INTO audit.verification_parts (run, first, last, next, edge, tx, seq)
VALUES ($1, $2, $3, $2, $4, $5, $6)
"""

# Where the newest event before a leaf is in the log.
POSITION = """
SELECT e.tx::text::bigint AS tx, e.seq FROM audit.sealed s
JOIN log.events e ON e.service = s.service AND e.stream = s.stream AND e.revision = s.revision
WHERE s.leaf_index < $1 ORDER BY s.leaf_index DESC LIMIT 1
"""

# Advances only from where the page began: of two processes that verify the same page, one stores it.
ADVANCE = """
UPDATE audit.verification_parts SET next = $4, edge = $5, tx = $6, seq = $7, tallies = $8::text::jsonb
WHERE run = $1 AND first = $2 AND next = $3
"""

# A violation that every page finds again is stored once.
VIOLATION = """
INSERT INTO audit.violations (run, invariant, violation) SELECT $1, $2, $3::text::jsonb
WHERE NOT EXISTS (
    SELECT FROM audit.violations WHERE run = $1 AND invariant = $2 AND violation = $3::text::jsonb
)
"""

VIOLATIONS = """
SELECT v.violation::text FROM audit.violations v WHERE v.run = $1 AND v.invariant = $2 ORDER BY v.id LIMIT $3
"""

BROKEN = "SELECT DISTINCT v.invariant FROM audit.violations v ORDER BY 1"

FINISHED = "UPDATE audit.verification_runs SET finished_at = now() WHERE run = $1 AND finished_at IS NULL"

DROP_BEFORE = "DELETE FROM audit.verification_runs WHERE run < $1"


@dataclass(frozen=True, slots=True)
class Part:
    """Leaves `first` to `last - 1` of a run; `last` is None for the part that follows the log as it grows."""

    run: int
    first: int
    last: int | None
    at: Position
    tallies: dict[str, Tally]

    @property
    def next(self) -> int:
        """The first leaf that is not verified yet."""
        return self.at.tree.size


@dataclass(frozen=True, slots=True)
class Run:
    """One reading of the log from its first leaf. It is finished when its bounded parts are."""

    run: int
    requested_at: datetime
    finished_at: datetime | None
    parts: Sequence[Part]

    @property
    def verified(self) -> int:
        """How many leaves are verified."""
        return sum(part.next - part.first for part in self.parts)

    @property
    def bounded(self) -> list[Part]:
        """The parts that end where the log ended when the run was requested."""
        return [part for part in self.parts if part.last is not None]

    def tally(self, invariant: str) -> Tally:
        """Return what all parts checked for an invariant."""
        found = [part.tallies[invariant] for part in self.parts]
        return Tally(
            sum(t.checked for t in found), sum(t.violations for t in found), sum(t.took_ms for t in found)
        )


async def runs(pool: asyncpg.Pool) -> tuple[Run, Run | None]:
    """Return the newest finished run, and the run that is under way, if any."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        found = [
            Run(
                row["run"],
                row["requested_at"],
                row["finished_at"],
                [_part(part) for part in await connection.fetch(OF_RUN, row["run"])],
            )
            for row in await connection.fetch(RUNS)
        ]
    under_way = [run for run in found if run.finished_at is None]
    return next(run for run in reversed(found) if run.finished_at), under_way[0] if under_way else None


def _part(row: asyncpg.Record) -> Part:
    stored = msgspec.json.decode(row["tallies"], type=dict[str, Tally])
    return Part(
        row["run"],
        row["first"],
        row["last"],
        Position(Tree(row["next"], edge_of(row["edge"])), Cursor(row["tx"], row["seq"])),
        {name: stored.get(name, Tally()) for name in RULES},
    )


async def request(pool: asyncpg.Pool, log: LogState) -> None:
    """Store a full run over what is verifiable now, unless one is under way. Raises NotTiled."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_key("audit", "verification"))
        if any(row["finished_at"] is None for row in await connection.fetch(RUNS)):
            return
        run = await connection.fetchval(NEW_RUN)
        bounds = sorted({log.verifiable * n // PARTS for n in range(PARTS + 1)})
        for first, last in pairwise(bounds):
            cursor = min(await _position(connection, first), log.cursor)
            await connection.execute(
                NEW_PART, run, first, last, b"".join(await tiles.edge_at(connection, first)), *cursor
            )


async def _position(connection: asyncpg.Connection, leaf: int) -> Cursor:
    row = await connection.fetchrow(POSITION, leaf) if leaf else None
    return Cursor(*row) if row else START


async def advance(pool: asyncpg.Pool, part: Part, to: Position, findings: Findings) -> bool:
    """Store that a page is verified, with what was found. Return False when another process has stored it."""
    tallies = {
        name: Tally(
            old.checked + (new := findings.tallies[name]).checked,
            old.violations + new.violations,
            old.took_ms + new.took_ms,
        )
        for name, old in part.tallies.items()
    }
    stored = msgspec.json.encode({name: asdict(tally) for name, tally in tallies.items()}).decode()
    async with pool.acquire() as connection, connection.transaction():
        moved = await connection.execute(
            ADVANCE,
            part.run,
            part.first,
            part.next,
            to.tree.size,
            b"".join(to.tree.edge),
            *to.cursor,
            stored,
        )
        if moved != "UPDATE 1":
            return False
        for invariant, violations in findings.violations.items():
            for violation in violations[:STORED_OF_A_PAGE]:
                text = (
                    msgspec.json.encode(violation).decode().replace("\\u0000", "\\ufffd")
                )  # jsonb has no NUL
                await connection.execute(VIOLATION, part.run, invariant, text)
    return True


async def finish(pool: asyncpg.Pool, run: Run) -> None:
    """Store that all bounded parts are verified.

    From now on the run is shown and follows the log; older runs are deleted.
    """
    async with pool.acquire() as connection, connection.transaction():
        if await connection.execute(FINISHED, run.run) != "UPDATE 1":
            return
        at = run.parts[-1].at if run.parts else Position(Tree(), START)
        await connection.execute(NEW_PART, run.run, at.tree.size, None, b"".join(at.tree.edge), *at.cursor)
        await connection.execute(DROP_BEFORE, run.run)


async def report_shown(pool: asyncpg.Pool, invariant: str, violation: dict[str, Any]) -> None:
    """Store a violation that a question met, with those of the run that is shown, once."""
    shown, under_way = await runs(pool)
    text = msgspec.json.encode(violation).decode().replace("\\u0000", "\\ufffd")
    for run in (shown, under_way):
        if run is None:
            continue
        with contextlib.suppress(asyncpg.ForeignKeyViolationError):  # a newer run has replaced it
            await pool.execute(VIOLATION, run.run, invariant, text)


async def broken(pool: asyncpg.Pool) -> list[str]:
    """Return the invariants of which a violation is stored, of the run that is shown or one under way."""
    return [row[0] for row in await pool.fetch(BROKEN)]


async def violations(pool: asyncpg.Pool, run: Run, invariant: str) -> list[Any]:
    """Return the first violations of an invariant that a run found."""
    rows = await pool.fetch(VIOLATIONS, run.run, invariant, SHOWN)
    return [msgspec.json.decode(row[0]) for row in rows]
