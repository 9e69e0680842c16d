"""The tree of RFC 6962 §2.1 over the leaves of the log: roots, appending, and proofs with their verification. Pure, no dependencies.

A leaf hash is SHA-256(0x00 || stored bytes), an inner node SHA-256(0x01 || left || right); each tree of n
leaves splits at the largest power of two below n. The verifiers follow RFC 9162 §2.1.3.2 and §2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(stored: bytes) -> bytes:
    """The leaf of an event's stored bytes."""
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
        if not self.edge:
            return EMPTY_ROOT
        root = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            root = node_hash(left, root)
        return root

    def append(self, leaves: Iterable[bytes]) -> Tree:
        """The tree with these leaf hashes after its own; O(1) amortised for each."""
        size, edge = self.size, list(self.edge)
        for leaf in leaves:
            node, rest = leaf, size
            while rest & 1:
                node = node_hash(edge.pop(), node)
                rest >>= 1
            edge.append(node)
            size += 1
        return Tree(size, tuple(edge))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The tree head over leaf hashes."""
    return Tree().append(leaves).root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index` (from 0) in the tree over all of `leaves`.

    Raises IndexError for an index outside.
    """
    if not 0 <= index < len(leaves):
        msg = f"leaf {index} of {len(leaves)}"
        raise IndexError(msg)
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*inclusion_proof(leaves[:k], index), root_of(leaves[k:])]
    return [*inclusion_proof(leaves[k:], index - k), root_of(leaves[:k])]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is number `index` of the tree of `size` leaves with this root."""
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
    """The proof that the tree of the first `first` leaves is a prefix of the tree over all of `leaves`."""
    if not 0 <= first <= len(leaves):
        msg = f"prefix of {first} in {len(leaves)}"
        raise IndexError(msg)
    return [] if first in {0, len(leaves)} else _subproof(leaves, first, whole=True)


def _subproof(leaves: Sequence[bytes], first: int, *, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = _split(len(leaves))
    if first <= k:
        return [*_subproof(leaves[:k], first, whole=whole), root_of(leaves[k:])]
    return [*_subproof(leaves[k:], first - k, whole=False), root_of(leaves[:k])]


def growth_proof(tree: Tree, more: Sequence[bytes]) -> list[bytes]:
    """The consistency proof between `tree` and the same with `more` leaves: as `consistency_proof`, without the leaves that `tree` stands for."""
    nodes: dict[int, bytes] = {}
    at = 0
    for node, height in zip(
        tree.edge, (h for h in range(tree.size.bit_length() - 1, -1, -1) if tree.size >> h & 1), strict=True
    ):
        nodes[at] = node
        at += 1 << height
    return (
        []
        if tree.size == 0 or not more
        else _growth(tree.size, nodes, more, 0, tree.size + len(more), whole=True)
    )


def _growth(
    first: int, nodes: dict[int, bytes], more: Sequence[bytes], low: int, high: int, *, whole: bool
) -> list[bytes]:
    if high == first:
        return [] if whole else [nodes[low]]
    middle = low + _split(high - low)
    if first <= middle:
        return [
            *_growth(first, nodes, more, low, middle, whole=whole),
            root_of(more[middle - first : high - first]),
        ]
    return [*_growth(first, nodes, more, middle, high, whole=False), nodes[low]]


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `second` leaves only appended to that of `first`."""
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
