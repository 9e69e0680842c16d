"""Store a tree as tiles (c2sp.org/tlog-tiles, height 8), so that a proof reads a few of them and no leaf.

Pure.

Tile `number` of `level` holds up to 256 hashes: the roots of the complete subtrees of 256^level leaves, from
subtree 256 · number on. Level 0 holds leaves. Only the last tile of a level may hold fewer than 256 hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from regista.wire.merkle import Range, complete_subtrees, root_of, root_of_edge

HEIGHT = 8
WIDTH = 1 << HEIGHT
HASH = 32


class TileKey(NamedTuple):
    """Names one tile."""

    level: int
    number: int


Tiles = Mapping[TileKey, bytes]
"""The hashes of each tile, 32 bytes each, one after the other."""


def last_tiles(size: int) -> list[TileKey]:
    """Return the tiles that a tree of `size` leaves has begun and not filled, from level 0 up."""
    levels = range(max(0, size.bit_length() - 1) // HEIGHT + 1)
    return [
        TileKey(level, entries // WIDTH) for level in levels if (entries := size >> HEIGHT * level) % WIDTH
    ]


def grown(size: int, last: Tiles, leaves: Iterable[bytes]) -> dict[TileKey, bytes]:
    """Return every tile that changes when `leaves` are appended to a tree of `size` leaves.

    `last`: the tiles that `last_tiles(size)` names.
    """
    changed: dict[TileKey, bytes] = {}
    first, new = size, list(leaves)
    level = 0
    while new:
        index = first // WIDTH
        held = last.get(TileKey(level, index), b"") if first % WIDTH else b""
        hashes = [held[at : at + HASH] for at in range(0, len(held), HASH)] + new
        if len(hashes) != first % WIDTH + len(new):
            raise ValueError(f"tile {index} of level {level} is not that of a tree of {size} leaves")
        parts = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
        changed.update({TileKey(level, index + n): b"".join(part) for n, part in enumerate(parts)})
        new = [root_of(part) for part in parts if len(part) == WIDTH]
        first, level = first >> HEIGHT, level + 1
    return changed


def _place(subtree: Range) -> tuple[TileKey, int, int]:
    """Return the tile that holds a complete subtree, and its first and its end entry in the tile."""
    low, high = subtree
    level = ((high - low).bit_length() - 1) // HEIGHT
    first, end = low >> HEIGHT * level, high >> HEIGHT * level
    return TileKey(level, first // WIDTH), first % WIDTH, first % WIDTH + end - first


def needed(ranges: Iterable[Range]) -> set[TileKey]:
    """Return the tiles from which the tree heads over `ranges` follow."""
    return {_place(subtree)[0] for low, high in ranges for subtree in complete_subtrees(low, high)}


def edge(tiles: Tiles, low: int, high: int) -> list[bytes]:
    """Return the roots of the complete subtrees over leaves `low` to `high - 1`, largest first.

    Raises KeyError when a tile is missing, ValueError when a tile has too few hashes.
    """
    return [_root(tiles, subtree) for subtree in complete_subtrees(low, high)]


def heads(tiles: Tiles, ranges: Sequence[Range]) -> list[bytes]:
    """Return the tree head over each range. Raises KeyError and ValueError as `edge` does."""
    return [root_of_edge(edge(tiles, low, high)) for low, high in ranges]


def _root(tiles: Tiles, subtree: Range) -> bytes:
    key, first, end = _place(subtree)
    held = tiles[key]
    if len(held) < end * HASH:
        raise ValueError(
            f"tile {key.number} of level {key.level} has {len(held) // HASH} hashes, {end} are needed"
        )
    return root_of([held[at * HASH : at * HASH + HASH] for at in range(first, end)])
