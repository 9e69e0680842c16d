from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.merkle import (
    EMPTY_ROOT,
    Tree,
    consistency_proof,
    growth_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The test vectors of certificate-transparency: leaves and the roots of every prefix.
INPUTS = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    bytes(range(0x60, 0x70)),
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves_of(count: int) -> list[bytes]:
    return [leaf_hash(bytes([n % 256, n // 256])) for n in range(count)]


def by_definition(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 6962 §2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(by_definition(leaves[:k]), by_definition(leaves[k:]))


def test_the_known_vectors_give_the_known_roots():
    leaves = [leaf_hash(i) for i in INPUTS]
    assert [root_of(leaves[: n + 1]).hex() for n in range(len(leaves))] == ROOTS


def test_the_empty_tree_has_the_hash_of_nothing():
    assert Tree().root == EMPTY_ROOT


@given(st.integers(0, 300), st.integers(0, 300))
def test_appending_in_pieces_gives_the_root_of_the_definition(first, second):
    leaves = leaves_of(first + second)
    tree = Tree().append(leaves[:first]).append(leaves[first:])
    assert tree.root == by_definition(leaves)
    assert tree.size == len(leaves)
    assert len(tree.edge) == len(leaves).bit_count()


@given(st.integers(1, 70).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_every_leaf_proves_its_inclusion_and_no_other_leaf_or_index_passes(leaf):
    size, index = leaf
    leaves = leaves_of(size)
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    assert verify_inclusion(leaves[index], index, size, proof, root)
    assert not verify_inclusion(leaf_hash(b"forged"), index, size, proof, root)
    assert not any(
        verify_inclusion(leaves[index], other, size, proof, root) for other in range(size) if other != index
    )
    assert not verify_inclusion(leaves[index], index, size, [*proof, bytes(32)], root)
    assert size == 1 or not verify_inclusion(leaves[index], index, size, proof[:-1], root)


@given(st.integers(0, 70).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_every_prefix_proves_its_consistency_and_a_rewritten_one_does_not(sizes):
    first, second = sizes
    leaves = leaves_of(second)
    proof = consistency_proof(leaves, first)
    old, new = root_of(leaves[:first]), root_of(leaves)
    assert verify_consistency(first, old, second, new, proof)
    if first:
        rewritten = root_of([leaf_hash(b"forged"), *leaves[1:first]])
        assert not verify_consistency(first, rewritten, second, new, proof)
        assert not verify_consistency(first, old, second, bytes(32), proof)
    assert not verify_consistency(first, old, second, new, [*proof, bytes(32)])


def test_a_proof_about_what_is_not_there_is_refused():
    with pytest.raises(IndexError):
        inclusion_proof(leaves_of(3), 3)
    with pytest.raises(IndexError):
        consistency_proof(leaves_of(3), 4)
    assert not verify_inclusion(bytes(32), 3, 3, [], bytes(32))
    assert not verify_consistency(4, bytes(32), 3, bytes(32), [])


@given(st.integers(0, 70), st.integers(0, 70))
def test_the_edge_of_a_tree_and_what_came_after_it_prove_as_much_as_all_leaves(first: int, more: int):
    leaves = leaves_of(first + more)
    tree = Tree().append(leaves[:first])
    proof = growth_proof(tree, leaves[first:])
    assert proof == consistency_proof(leaves, first)
    assert verify_consistency(first, tree.root, len(leaves), root_of(leaves), proof)
