"""Compute the tree of RFC 6962 §2.1 over the leaves of the log, its proofs, and verify them. Pure.

A leaf hash is SHA-256(0x00 || stored bytes), an inner node SHA-256(0x01 || left || right); each tree of n
leaves splits at the largest power of two below n. The verifiers follow RFC 9162 §2.1.3.2 and §2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(stored: bytes) -> bytes:
    """Return the leaf of an event's stored bytes."""
    return hashlib.sha256(b"\x00" + stored).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Tree:
    """An append-only tree by its right edge: the roots of its complete subtrees, largest first.

    32 bytes for each bit set in `size`.
    """

    size: int = 0
    edge: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        """The tree head of RFC 6962."""
        return root_of_edge(self.edge)

    def append(self, leaves: Iterable[bytes]) -> Tree:
        """Return the tree with these leaf hashes after its own; O(1) amortised for each."""
        size, edge = self.size, list(self.edge)
        for leaf in leaves:
            node, rest = leaf, size
            while rest & 1:
                node = node_hash(edge.pop(), node)
                rest >>= 1
            edge.append(node)
            size += 1
        return Tree(size, tuple(edge))


def root_of_edge(edge: Sequence[bytes]) -> bytes:
    """Return the tree head over the roots of complete subtrees, largest first."""
    if not edge:
        return EMPTY_ROOT
    root = edge[-1]
    for left in reversed(edge[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the tree head over leaf hashes."""
    return Tree().append(leaves).root


Range = tuple[int, int]
"""Leaves `first` to `end - 1`, whose tree head is one node of a proof."""


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the ranges whose tree heads are the audit path of leaf `index` (from 0) of `size` leaves.

    Raises IndexError for an index outside the tree.
    """
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} is not in a tree of {size} leaves")
    low, high, found = 0, size, list[Range]()
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low = middle
    return found[::-1]


def consistency_ranges(first: int, size: int) -> list[Range]:
    """Return the ranges whose tree heads prove that `first` leaves are a prefix of `size` leaves.

    Raises IndexError when `first` is larger than `size`.
    """
    if not 0 <= first <= size:
        raise IndexError(f"a tree of {first} leaves is no prefix of a tree of {size} leaves")
    if first in {0, size}:
        return []
    low, high, found = 0, size, list[Range]()
    while high != first:
        middle = low + _split(high - low)
        if first <= middle:
            found.append((middle, high))
            high = middle
        else:
            found.append((low, middle))
            low = middle
    if low:
        found.append((low, high))  # otherwise it is the tree of `first` leaves itself, which the verifier has
    return found[::-1]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of leaf `index` (from 0) in the tree over all of `leaves`. Raises IndexError."""
    return [root_of(leaves[low:high]) for low, high in inclusion_ranges(index, len(leaves))]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether `leaf` is number `index` of the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    fn, sn, node = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and node == root


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Return the proof that the tree of the first `first` leaves is a prefix of that of all leaves."""
    return [root_of(leaves[low:high]) for low, high in consistency_ranges(first, len(leaves))]


def growth_proof(tree: Tree, more: Sequence[bytes]) -> list[bytes]:
    """Return the consistency proof between `tree` and `tree` with the leaves `more` appended.

    It equals that of `consistency_proof` and does not need the leaves of `tree`.
    """
    edge = {low: node for (low, _), node in zip(complete_subtrees(0, tree.size), tree.edge, strict=True)}
    return [
        root_of(more[low - tree.size : high - tree.size]) if low >= tree.size else edge[low]
        for low, high in consistency_ranges(tree.size, tree.size + len(more))
    ]


def complete_subtrees(low: int, high: int) -> list[Range]:
    """Return the complete subtrees under the tree head over leaves `low` to `high - 1`, largest first.

    `low` is a multiple of every power of two below `high - low`, as in all ranges of proofs.
    """
    found = []
    while low < high:
        size = 1 << (high - low).bit_length() - 1
        found.append((low, low + size))
        low += size
    return found


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether the tree of `second` leaves only appended leaves to that of `first`."""
    if not 0 <= first <= second:
        return False
    if first in {0, second}:
        return not proof and first_root == (EMPTY_ROOT if first == 0 else second_root)
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for node in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old, new = node_hash(node, old), node_hash(node, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, node)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and old == first_root and new == second_root
