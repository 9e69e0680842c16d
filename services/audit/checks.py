"""The invariants, asked of the log itself on demand: each says what was checked, and names what breaks it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from regista.wire.checkpoint import BadCheckpoint, opened
from regista.wire.keys import SigningKey
from regista.wire.merkle import Tree, leaf_hash
from services.audit import queries
from services.audit.domain.invariants import production_faults, serving_faults
from services.audit.sealing import head

SHOWN = 20
PAGE = 2_000
INDEX_TRIES, INDEX_PAUSE = 20, 0.1
"""How often, and after how many seconds each, the check looks whether the index has come as far as the seal."""

HOLES = """
SELECT e.service, e.stream, count(*) AS events, min(e.revision) AS lowest, max(e.revision) AS highest
FROM log.events e GROUP BY e.service, e.stream HAVING min(e.revision) <> 1 OR max(e.revision) <> count(*)
"""

# A stream's revisions must follow the order in which readers see them.
INVERSIONS = """
SELECT service, stream, revision FROM (
    SELECT e.service, e.stream, e.revision, (e.tx, e.seq) < lag((e.tx, e.seq)) OVER (PARTITION BY e.service, e.stream ORDER BY e.revision) AS inverted
    FROM log.events e
) AS ordered WHERE inverted
"""

COUNT = "SELECT count(*) FROM log.events"

# What lies behind the seal's cursor and is no leaf.
UNSEALED = """
SELECT e.service, e.stream, e.revision FROM log.events e LEFT JOIN audit.sealed s ON s.seq = e.seq
WHERE (e.tx, e.seq) <= ($1::text::xid8, $2) AND s.seq IS NULL
"""

# Leaves in order with the bytes they stand for, as the log has them now.
LEAVES = """
SELECT s.leaf_index, s.leaf, s.service, s.stream, s.revision, e.bytes, e.leaf AS logged, e.event_id = s.event_id AS same
FROM audit.sealed s LEFT JOIN log.events e ON e.service = s.service AND e.stream = s.stream AND e.revision = s.revision
WHERE s.leaf_index >= $1 ORDER BY s.leaf_index LIMIT $2
"""

ALL_CHECKPOINTS = "SELECT size, root, note FROM audit.checkpoints ORDER BY size"


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant. `violations` shows the first few; `holds` is about all of them."""

    name: str
    rule: str
    holds: bool
    checked: int
    violations: list[Any]
    took_ms: float


Check = Callable[[], Awaitable[tuple[int, Sequence[Any]]]]


async def check_all(pool: asyncpg.Pool, key: SigningKey) -> list[Finding]:
    """Every invariant in turn. Reads the whole log: ask for it when it is wanted, not on a timer."""
    async with pool.acquire() as connection:
        return [
            await _timed(
                "I2-streams",
                "every stream runs 1..n without holes, in the order readers see",
                lambda: _streams(connection),
            ),
            await _timed(
                "I2-sealed",
                "every event up to the seal is one leaf, and every leaf is its event's bytes",
                lambda: _sealed(connection),
            ),
            await _timed(
                "I4-checkpoints",
                "every checkpoint is signed and is a prefix of the tree",
                lambda: _checkpoints(connection, key),
            ),
            await _timed(
                "I9-production",
                "nothing reached Production, or serves as champion, without a decision over the same digest or a recorded override",
                lambda: _production(pool),
            ),
        ]


async def _timed(name: str, rule: str, check: Check) -> Finding:
    began = time.perf_counter()
    checked, violations = await check()
    return Finding(
        name,
        rule,
        not violations,
        checked,
        list(violations[:SHOWN]),
        round((time.perf_counter() - began) * 1000, 1),
    )


async def _streams(connection: asyncpg.Connection) -> tuple[int, list[Any]]:
    checked = await connection.fetchval(COUNT, timeout=600)
    holes = [dict(row) for row in await connection.fetch(HOLES, timeout=600)]
    inversions = [dict(row) for row in await connection.fetch(INVERSIONS, timeout=600)]
    return checked, [h | {"fault": "holes"} for h in holes] + [
        i | {"fault": "out of order"} for i in inversions
    ]


async def _sealed(connection: asyncpg.Connection) -> tuple[int, list[Any]]:
    at = await head(connection)
    missing = await connection.fetch(UNSEALED, str(at.cursor.tx), at.cursor.seq, timeout=600)
    faults: list[Any] = [dict(row) | {"fault": "not sealed"} for row in missing]
    tree, expected = Tree(), 0
    while rows := await connection.fetch(LEAVES, expected, PAGE):
        rows = rows[: at.tree.size - expected]
        for row in rows:
            if row["leaf_index"] != expected:
                faults.append({"leaf_index": expected, "fault": "leaf missing"})
                expected = row["leaf_index"]
            if (
                row["bytes"] is None
                or not row["same"]
                or not leaf_hash(row["bytes"]) == row["leaf"] == row["logged"]
            ):
                told = {
                    "leaf_index": expected,
                    "service": row["service"],
                    "stream": row["stream"],
                    "revision": row["revision"],
                }
                faults.append(told | {"fault": "the log's event is not what was sealed"})
            expected += 1
        tree = tree.append(row["leaf"] for row in rows)
        await asyncio.sleep(0)
        if expected >= at.tree.size:
            break
    if tree != at.tree:
        faults.append(
            {"fault": "the leaves do not give the stored tree", "leaves": tree.size, "tree": at.tree.size}
        )
    return tree.size, faults


async def _checkpoints(connection: asyncpg.Connection, key: SigningKey) -> tuple[int, list[Any]]:
    """Walks the leaves once and compares the root at every size that was ever signed."""
    at, faults = await head(connection), list[Any]()
    rows = await connection.fetch(ALL_CHECKPOINTS)
    tree = Tree()
    for row in rows:
        while tree.size < row["size"]:
            leaves = await connection.fetch(
                "SELECT leaf FROM audit.sealed WHERE leaf_index >= $1 ORDER BY leaf_index LIMIT $2",
                tree.size,
                min(PAGE * 5, row["size"] - tree.size),
            )
            if not leaves:
                break
            tree = tree.append(leaf["leaf"] for leaf in leaves)
        if tree.size != row["size"] or tree.root != row["root"]:
            faults.append({"size": row["size"], "fault": "its root is not that of the leaves"})
        try:
            told = opened(row["note"], at.origin, key.public)
        except BadCheckpoint as bad:
            faults.append({"size": row["size"], "fault": str(bad)})
        else:
            if (told.origin, told.size, told.root) != (at.origin, row["size"], row["root"]):
                faults.append({"size": row["size"], "fault": "the note says something else than its row"})
    return len(rows), faults


async def _production(pool: asyncpg.Pool) -> tuple[int, list[Any]]:
    """Read from the index, which must know what is sealed: otherwise the answer is not that all is in order."""
    faults: list[Any] = (
        []
        if await _indexed(pool)
        else [{"fault": "not indexed up to the seal: repeat the check once /readyz is content"}]
    )
    promotions = await _of_type(pool, "VersionPromoted")
    promoted_at: dict[tuple[str, str, int], int] = {}
    for e in promotions:
        promoted_at.setdefault(
            (e["stream"], str(e["data"].get("environment")), e["data"].get("number")), e["revision"]
        )
    for promoted in promotions:
        of_promotion = await queries.promotion(pool, promoted["data"].get("promotion_id") or "")
        granted = next(
            (
                e["data"].get("policy") or {}
                for e in reversed(of_promotion)
                if e["type"] == "PromotionGranted"
            ),
            {},
        )
        policy = await queries.policy(pool, str(granted.get("name")), str(granted.get("digest")))
        found = production_faults(promoted, of_promotion, policy)
        faults += [
            {
                "event_id": promoted["event_id"],
                "stream": promoted["stream"],
                "number": promoted["number"],
                "fault": f,
            }
            for f in found
        ]
    changes = [*await _of_type(pool, "RolloutChanged"), *await _of_type(pool, "RolledBack")]
    for change in changes:
        faults += [
            {"event_id": change["event_id"], "stream": change["stream"], "fault": f}
            for f in serving_faults(change, promoted_at)
        ]
    return len(promotions) + len(changes), faults


async def _indexed(pool: asyncpg.Pool) -> bool:
    """Waits for a moment: the index follows the seal at once, unless something is wrong."""
    async with pool.acquire() as connection:
        sealed = (await head(connection)).cursor
    for _ in range(INDEX_TRIES):
        if await queries.indexed(pool, sealed):
            return True
        await asyncio.sleep(INDEX_PAUSE)
    return False


async def _of_type(pool: asyncpg.Pool, type_: str) -> list[dict[str, Any]]:
    return [queries.as_json(row) for row in await queries.events(pool, queries.OF_TYPE, type_)]
