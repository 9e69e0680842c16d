"""Store the tree as tiles and read proofs from them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

import asyncpg

from regista.wire.merkle import Range
from regista.wire.tiles import HASH, HEIGHT, WIDTH, TileKey, Tiles, edge, grown, heads, last_tiles, needed

log = logging.getLogger(__name__)

FILL = 65_536
"""Leaves that one transaction of `fill` reads."""

# A scalar sub-select: one look-up a tile, whatever the planner expects of the table.
READ = """
SELECT wanted.level, wanted.index,
    (SELECT t.hashes FROM audit.tiles t WHERE t.level = wanted.level AND t.index = wanted.index) AS hashes
FROM unnest($1::smallint[], $2::bigint[]) AS wanted(level, index)
"""

WRITE = """
INSERT INTO audit.tiles (level, index, hashes) SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::bytea[])
ON CONFLICT (level, index) DO UPDATE SET hashes = excluded.hashes
"""

TILED = "SELECT tiled, size FROM audit.tree"

LEAVES = "SELECT leaf FROM audit.sealed WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index"

START_OVER = "TRUNCATE audit.tiles; UPDATE audit.tree SET tiled = 0"

FILLED = "UPDATE audit.tree SET tiled = $1 WHERE tiled = $2"


class NotTiled(Exception):  # noqa: N818
    """The tiles do not hold these leaves yet: the leader is still filling in tiles of an older log.

    Repeat the request later.
    """


async def read(connection: asyncpg.Connection | asyncpg.Pool, keys: Collection[TileKey]) -> Tiles:
    """Return those of the tiles that exist."""
    if not keys:
        return {}
    rows = await connection.fetch(READ, [key.level for key in keys], [key.number for key in keys])
    return {TileKey(row[0], row[1]): row[2] for row in rows if row[2] is not None}


async def write(connection: asyncpg.Connection, changed: Tiles) -> None:
    """Store new and grown tiles. Call it in the transaction that seals their leaves."""
    await connection.execute(
        WRITE, [key.level for key in changed], [key.number for key in changed], list(changed.values())
    )


async def fill(connection: asyncpg.Connection) -> int:
    """Store the tiles of leaves that were sealed before there were tiles.

    Return how many leaves were read.
    """
    done = 0
    while True:
        tiled, size = await connection.fetchrow(TILED)
        if tiled >= size:
            return done
        rows = await connection.fetch(LEAVES, tiled, min(size, tiled + FILL), timeout=600)
        last = await read(connection, last_tiles(tiled))
        async with connection.transaction():
            await write(connection, grown(tiled, last, [row[0] for row in rows]))
            if not rows or await connection.execute(FILLED, tiled + len(rows), tiled) != "UPDATE 1":
                raise NotTiled(f"leaf {tiled} is missing, or another process fills in tiles")
        done += len(rows)


async def complete(connection: asyncpg.Connection, size: int) -> Tiles:
    """Return the tiles that the leaf after `size` leaves changes; fill in tiles that are missing."""
    await fill(connection)
    last = await read(connection, last_tiles(size))
    if any(
        len(last.get(key, b"")) != (size >> HEIGHT * key.level) % WIDTH * HASH for key in last_tiles(size)
    ):
        log.warning("tiles are missing; they are computed again from the leaves")
        await connection.execute(START_OVER)
        await fill(connection)
        last = await read(connection, last_tiles(size))
    return last


async def heads_over(connection: asyncpg.Connection | asyncpg.Pool, ranges: Sequence[Range]) -> list[bytes]:
    """Return the tree head over each range of leaves.

    It reads about two tiles for each factor of 256 in the log's size.

    Raises NotTiled.
    """
    try:
        return heads(await read(connection, needed(ranges)), ranges)
    except (KeyError, ValueError) as missing:
        raise NotTiled(NotTiled.__doc__) from missing


async def edge_at(connection: asyncpg.Connection | asyncpg.Pool, size: int) -> tuple[bytes, ...]:
    """Return the right edge of the tree over the first `size` leaves. Raises NotTiled."""
    try:
        return tuple(edge(await read(connection, needed([(0, size)])), 0, size))
    except (KeyError, ValueError) as missing:
        raise NotTiled(NotTiled.__doc__) from missing
