"""A tree stored as tiles gives the same proofs as its leaves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.merkle import (
    Tree,
    consistency_proof,
    consistency_ranges,
    inclusion_proof,
    inclusion_ranges,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from regista.wire.tiles import HASH, WIDTH, TileKey, edge, grown, heads, last_tiles, needed

LEAVES = [hashlib.sha256(b"%d" % n).digest() for n in range(1_500)]


def sealed(pages: list[int]) -> tuple[int, dict[TileKey, bytes]]:
    """Return the size and the tiles of a tree that grew by these pages."""
    size, stored = 0, dict[TileKey, bytes]()
    for page in pages:
        last = {key: stored[key] for key in last_tiles(size)}
        stored.update(grown(size, last, LEAVES[size : size + page]))
        size += page
    return size, stored


def some_pages() -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from([1, 2, 100, 255, 256, 257]), min_size=1, max_size=5)


@given(some_pages(), st.data())
def test_proofs_from_tiles_are_those_from_leaves_however_the_tree_grew(pages: list[int], data: st.DataObject):
    size, stored = sealed(pages)
    index, root = data.draw(st.integers(0, size - 1)), root_of(LEAVES[:size])
    proof = heads(stored, inclusion_ranges(index, size))
    assert proof == inclusion_proof(LEAVES[:size], index)
    assert verify_inclusion(LEAVES[index], index, size, proof, root)
    grew = heads(stored, consistency_ranges(index + 1, size))
    assert grew == consistency_proof(LEAVES[:size], index + 1)
    assert verify_consistency(index + 1, root_of(LEAVES[: index + 1]), size, root, grew)
    assert tuple(edge(stored, 0, size)) == Tree().append(LEAVES[:size]).edge


@given(some_pages())
def test_the_tiles_do_not_depend_on_the_pages(pages: list[int]):
    assert sealed(pages) == sealed([sum(pages)])


def test_level_zero_holds_the_leaves_and_level_one_the_roots_of_its_full_tiles():
    _, stored = sealed([2 * WIDTH + 3])
    assert stored == {
        TileKey(0, 0): b"".join(LEAVES[:WIDTH]),
        TileKey(0, 1): b"".join(LEAVES[WIDTH : 2 * WIDTH]),
        TileKey(0, 2): b"".join(LEAVES[2 * WIDTH : 2 * WIDTH + 3]),
        TileKey(1, 0): root_of(LEAVES[:WIDTH]) + root_of(LEAVES[WIDTH : 2 * WIDTH]),
    }


def test_a_proof_needs_two_tiles_a_level_at_most():
    for index in (0, 255, 256, 70_000, 999_999):
        for ranges in (inclusion_ranges(index, 1_000_000), consistency_ranges(index + 1, 1_000_000)):
            assert len(needed(ranges)) <= 2 * 3


def test_missing_and_short_tiles_are_refused():
    size, stored = sealed([300])
    with pytest.raises(KeyError):
        heads({}, inclusion_ranges(0, size))
    short = stored | {TileKey(0, 1): stored[TileKey(0, 1)][:HASH]}
    with pytest.raises(ValueError, match="are needed"):
        heads(short, inclusion_ranges(0, size))
    with pytest.raises(ValueError, match="is not that of a tree"):
        grown(size, {}, LEAVES[:1])


def test_ranges_outside_the_tree_are_refused():
    with pytest.raises(IndexError):
        inclusion_ranges(5, 5)
    with pytest.raises(IndexError):
        consistency_ranges(6, 5)
