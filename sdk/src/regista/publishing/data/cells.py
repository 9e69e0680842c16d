"""Python objects → vectors, by the types of the values.

A column of objects has the type of its values when they have one, else the type `mixed`. `None`, pandas' `NA`
and `NaT` are missing, and in pandas NaN is, too.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from regista.publishing.data import numpy_columns
from regista.publishing.data.cell_kinds import kind_of_class, kind_of_value
from regista.publishing.data.cell_readers import READERS, intervals, periods, times, timestamps
from regista.publishing.data.column_hash import column
from regista.publishing.data.vectors import (
    Array,
    Lists,
    NoForm,
    Vector,
    empty,
    mixed,
    spread,
    structs,
    texts,
)

Nested = Callable[[Any], bytes]
DEEPEST = 50
"""Levels of lists in lists that are read."""
MISSING = {"NoneType", "NAType", "NaTType", "Null"}


class Cells:
    """Read columns of Python objects. `nested` returns the digest of a frame or array inside a cell."""

    def __init__(self, nested: Nested, *, missing_nan: bool) -> None:
        self._nested = nested
        self._missing_nan = missing_nan

    def vector(self, cells: Sequence[Any], depth: int = 0) -> Vector:
        """Return the column. Raises NoForm, naming the type of the first cell without a canonical form."""
        if depth > DEEPEST:
            raise NoForm(f"it has more than {DEEPEST} levels of lists or records")
        classes = set(map(type, cells))
        if any(issubclass(one, enum.Enum) for one in classes):
            return self.vector([c.value if isinstance(c, enum.Enum) else c for c in cells], depth)
        valid = self._present(cells, classes)
        if valid is None:
            return self._typed(cells, classes, depth) if len(cells) else empty(0)
        present = [c for c, there in zip(cells, valid.tolist(), strict=True) if there]
        if not present:
            return empty(len(cells))
        return spread(self._typed(present, set(map(type, present)), depth), valid)

    def _present(self, cells: Sequence[Any], classes: set[type]) -> Array | None:
        """Return which cells are no missing values; None when all are."""
        never = {one for one in classes if one.__name__ in MISSING}
        perhaps = {one for one in classes if kind_of_class(one) in {"float", "decimal", "moment"}}
        perhaps |= {one for one in classes if issubclass(one, np.floating)}
        if not never and not perhaps:
            return None

        def there(cell: Any) -> bool:
            kind = type(cell)
            if kind in never:
                return False
            if kind not in perhaps:
                return True
            if isinstance(cell, np.datetime64 | np.timedelta64):
                return not np.isnat(cell)
            return not self._missing_nan or cell == cell  # noqa: PLR0124 - only NaN differs from itself

        valid = np.fromiter(map(there, cells), bool, len(cells))
        return None if valid.all() else valid

    def _typed(self, cells: Sequence[Any], classes: set[type], depth: int) -> Vector:
        """Return a column of cells without missing ones."""
        kinds = {kind_of_class(one) for one in classes}
        if kinds == {"list", "array"}:
            cells, kinds = [list(cell) for cell in cells], {"list"}
        if kinds & {"timestamp", "time", "period", "interval", "struct"}:
            kinds = {kind_of_value(cell) for cell in cells}
        if len(kinds) == 1:
            return self._read(kinds.pop(), cells, depth)
        return mixed([column(self._read(kind_of_value(cell), [cell], depth)) for cell in cells])

    def _read(self, kind: str, cells: Sequence[Any], depth: int) -> Vector:
        """Return a column of cells of one kind, without missing ones."""
        name, _, detail = kind.partition(":")
        if read := READERS.get(name):
            return read(cells)
        match name:
            case "numpy":
                return numpy_columns.vector(np.array(cells, dtype=detail))
            case "timestamp":
                return timestamps(cells, detail)
            case "time":
                return times(cells, detail)
            case "period":
                return periods(cells, detail)
            case "interval":
                bounds = [
                    self.vector([getattr(c, side) for c in cells], depth + 1) for side in ("left", "right")
                ]
                return intervals(detail, bounds, len(cells))
            case "list":
                return self._lists(cells, depth)
            case "array":
                return self._arrays(cells, depth)
            case "struct":
                names = list(cells[0])
                fields = [(name, self.vector([c[name] for c in cells], depth + 1)) for name in names]
                return structs(fields, len(cells))
            case "dict":
                return texts("dict", [self._unordered(c.items(), depth) for c in cells])
            case "set":
                return texts("set", [self._unordered(c, depth) for c in cells])
            case "data":
                return mixed([self._nested(cell) for cell in cells], type_="data")
        raise NoForm(f"a value of the type {detail} has no canonical form")

    def _unordered(self, items: Any, depth: int) -> bytes:
        return b"".join(sorted(column(self.vector([item], depth + 1)) for item in items))

    def _lists(self, cells: Sequence[Any], depth: int) -> Vector:
        lengths = np.fromiter(map(len, cells), np.int64, len(cells))
        items = self.vector([item for cell in cells for item in cell], depth + 1)
        return Lists("list", None, np.cumsum(lengths) - lengths, lengths, items)

    def _arrays(self, cells: Sequence[Any], depth: int) -> Vector:
        """Read arrays in cells as lists; arrays of one type keep it."""
        if {c.ndim for c in cells} == {1} and len({c.dtype for c in cells}) == 1 and cells[0].dtype != object:
            lengths = np.fromiter(map(len, cells), np.int64, len(cells))
            items = numpy_columns.vector(np.concatenate(cells), missing_nan=self._missing_nan)
            return Lists("list", None, np.cumsum(lengths) - lengths, lengths, items)
        if 0 in {c.ndim for c in cells}:
            return self.vector([c[()] if c.ndim == 0 else list(c) for c in cells], depth + 1)
        return self._lists([list(cell) for cell in cells], depth)
