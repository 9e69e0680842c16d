"""A persistent mapping over many entries: like `immutables.Map`, without the cost of building one."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any, TypeVar

from immutables import Map

K = TypeVar("K")
V = TypeVar("V")

LARGE = 1_000
"""Number of entries from which building a `Map` (0.15 to 0.3 µs each) costs more than the slower reads of
this class."""

_GONE: Any = object()
_UNCHANGED: Any = object()


class LayeredMap(Mapping[K, V]):
    """A mapping over `base`, which must not change any more.

    `set` and `delete` return another mapping, at the cost of a `Map` of the changes only.
    """

    __slots__ = ("_base", "_changes", "_length")

    def __init__(
        self, base: Mapping[K, V], changes: Map[K, V] | None = None, length: int | None = None
    ) -> None:
        self._base = base
        self._changes: Map[K, V] = Map() if changes is None else changes
        self._length = len(base) if length is None else length

    def __getitem__(self, key: K) -> V:
        found = self._changes.get(key, _UNCHANGED)
        if found is _UNCHANGED:
            return self._base[key]
        if found is _GONE:
            raise KeyError(key)
        return found

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        return iter(self.whole())

    def items(self) -> ItemsView[K, V]:
        return self.whole().items()

    def values(self) -> ValuesView[V]:
        return self.whole().values()

    def whole(self) -> dict[K, V]:
        """Return a copy of all entries, in time linear to their number. Every iteration costs this."""
        merged = {**self._base, **self._changes}
        return (
            merged
            if len(merged) == self._length
            else {key: value for key, value in merged.items() if value is not _GONE}
        )

    def set(self, key: K, value: V) -> LayeredMap[K, V]:
        return LayeredMap(self._base, self._changes.set(key, value), self._length + (key not in self))

    def delete(self, key: K) -> LayeredMap[K, V]:
        """Return a mapping without the key. Raises KeyError when the key does not exist."""
        if key not in self:
            raise KeyError(key)
        return LayeredMap(self._base, self._changes.set(key, _GONE), self._length - 1)

    def update(self, entries: Mapping[K, V]) -> LayeredMap[K, V]:
        changed = self
        for key, value in entries.items():
            changed = changed.set(key, value)
        return changed
