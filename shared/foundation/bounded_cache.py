"""Keep documents in memory up to a total size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
ENTRY = 400
"""Bytes that an entry takes besides what its owner counts."""


class BoundedCache(Generic[K, V]):
    """Documents by key. When they are larger than `capacity` bytes, those go that were not used longest."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._size = capacity, 0
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the document of this key, None when it is not kept."""
        if (found := self._kept.get(key)) is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: K, document: V, size: int) -> None:
        """Keep a document of `size` bytes in the place of what the key had. One without room is not kept."""
        if old := self._kept.pop(key, None):
            self._size -= old[1]
        taken = size + ENTRY
        if taken > self._capacity:
            return
        self._kept[key] = (document, taken)
        self._size += taken
        while self._size > self._capacity:
            _, (_, gone) = self._kept.popitem(last=False)
            self._size -= gone
