"""Read what proofs are about: the sealed tree, signed log checkpoints, and a leaf with its bytes."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

_TREE = "SELECT origin, size FROM audit.tree"

_CHECKPOINTS = (
    "SELECT size, root, note, signed_at FROM audit.checkpoints WHERE size < $1 ORDER BY size DESC LIMIT $2"
)

# A leaf with the bytes it stands for, as the log has them now.
_LEAF = """
SELECT s.leaf, e.bytes FROM audit.sealed s
LEFT JOIN log.events e ON e.service = s.service AND e.stream = s.stream AND e.revision = s.revision
WHERE s.leaf_index = $1
"""


async def tree(pool: asyncpg.Pool) -> tuple[str, int]:
    """Return the origin of the log and the number of sealed leaves."""
    row = await pool.fetchrow(_TREE)
    return row["origin"], row["size"]


async def checkpoints(pool: asyncpg.Pool, below: int, limit: int) -> Sequence[asyncpg.Record]:
    """Return signed log checkpoints of fewer than `below` leaves, the largest first."""
    return list(await pool.fetch(_CHECKPOINTS, below, limit))


async def leaf(pool: asyncpg.Pool, index: int) -> asyncpg.Record | None:
    """Return a sealed leaf. Its `bytes` are None where the log has no such event any more."""
    return await pool.fetchrow(_LEAF, index)
