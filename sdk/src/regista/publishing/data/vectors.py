"""Columns in memory, with one form for every library: `docs/data-digest.md` defines the types and buffers.

A vector is random access and copies nothing until it is written: `take` and `rows` select rows, `buffers` and
`children` return what is hashed. Only the selected rows that are present may be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from regista.publishing.data.small_numbers import CANONICAL

Array = np.ndarray[Any, Any]
MAX_LENGTH = 2**32 - 1
"""Bytes of one text, or items of one list: lengths are written in 32 bits."""
SLICED_FROM = 48
"""Mean bytes of a text from which copying slices is faster than selecting bytes."""
NANOSECONDS = 10**9


class NoForm(Exception):  # noqa: N818 - names what the value lacks
    """The value has no canonical form; the message states why."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A column: the name of its type, and which rows are present (None: all)."""

    type: str
    valid: Array | None

    def __len__(self) -> int:
        raise NotImplementedError

    def take(self, rows: Array | slice) -> Self:
        """Return the rows with these indices, or of a slice."""
        raise NotImplementedError

    def blank(self, count: int) -> Vector:
        """Return missing rows of the same type."""
        raise NotImplementedError

    def buffers(self) -> list[Any]:
        """Return the buffers of a vector without missing rows: arrays, or lists of bytes-like pieces."""
        return []

    def children(self) -> list[tuple[str, Vector]]:
        """Return the named child columns of a vector without missing rows."""
        return []

    def present(self) -> Vector:
        """Return the rows that are present."""
        if self.valid is None or self.valid.all():
            return self
        return self.take(np.flatnonzero(self.valid))

    def _valid(self, rows: Array | slice) -> Array | None:
        return None if self.valid is None else self.valid[rows]


@dataclass(frozen=True, slots=True)
class Empty(Vector):
    """A column of the type `null`: each row is missing."""

    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, rows: Array | slice) -> Empty:
        count = len(range(*rows.indices(self.count))) if isinstance(rows, slice) else len(rows)
        return empty(count)

    def blank(self, count: int) -> Empty:
        return empty(count)


def empty(count: int) -> Empty:
    """Return a column of missing values without a type."""
    return Empty("null", np.zeros(count, bool), count)


@dataclass(frozen=True, slots=True)
class Fixed(Vector):
    """Values of a fixed size. Booleans are an array of bool."""

    values: Array

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array | slice) -> Fixed:
        return Fixed(self.type, self._valid(rows), self.values[rows])

    def blank(self, count: int) -> Fixed:
        return Fixed(self.type, np.zeros(count, bool), np.zeros(count, self.values.dtype))

    def buffers(self) -> list[Any]:
        return [_canonical(self.type, self.values)]


def _canonical(type_: str, values: Any) -> Any:
    """Return little-endian values with one NaN and one zero."""
    if type_ in CANONICAL:
        return CANONICAL[type_][values]
    kind = values.dtype.kind
    if kind == "c":
        half = np.dtype(f"<f{values.dtype.itemsize // 2}")
        parts = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).view(half)
        return _canonical(type_, parts)
    if kind == "f":
        with np.errstate(invalid="ignore"):  # a signalling NaN
            written = values + values.dtype.type(0)
        nan = np.isnan(written)
        if nan.any():
            written[nan] = np.nan
        return written.astype(written.dtype.newbyteorder("<"), copy=False)
    if type_ == "bfloat16":
        bits = np.array(values.view("<u2"))
        bits[(bits & 0x7FFF) > 0x7F80] = 0x7FC0
        bits[bits == 0x8000] = 0
        return bits
    return values.astype(values.dtype.newbyteorder("<"), copy=False) if kind in "iu" else values


@dataclass(frozen=True, slots=True)
class Moments(Vector):
    """Timestamps or durations: whole numbers of a unit of which a second has `per_second`.

    The array may have the type `object`, for nanoseconds beyond 64 bits.
    """

    values: Array
    per_second: int

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array | slice) -> Moments:
        return Moments(self.type, self._valid(rows), self.values[rows], self.per_second)

    def blank(self, count: int) -> Moments:
        return Moments(self.type, np.zeros(count, bool), np.zeros(count, "<i8"), self.per_second)

    def buffers(self) -> list[Any]:
        seconds = self.values // self.per_second
        rest = (self.values - seconds * self.per_second) * (NANOSECONDS // self.per_second)
        return [seconds.astype("<i8", copy=False), rest.astype("<i4")]


@dataclass(frozen=True, slots=True)
class Texts(Vector):
    """Texts or bytes of any length. Row i is `data[which[i]][starts[i] : starts[i] + lengths[i]]`."""

    starts: Array
    lengths: Array
    data: tuple[Array, ...]
    which: Array | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: Array | slice) -> Texts:
        which = None if self.which is None else self.which[rows]
        return Texts(self.type, self._valid(rows), self.starts[rows], self.lengths[rows], self.data, which)

    def blank(self, count: int) -> Texts:
        none = np.zeros(count, np.int64)
        return Texts(self.type, np.zeros(count, bool), none, none, (np.zeros(0, np.uint8),))

    def buffers(self) -> list[Any]:
        return [_lengths(self.lengths), list(self._pieces())]

    def _pieces(self) -> Iterator[Any]:
        """Return the bytes in order: ranges where rows follow each other, else selected bytes."""
        if not len(self.lengths):
            return
        ends = self.starts + self.lengths
        follows = self.starts[1:] == ends[:-1]
        if self.which is not None:
            follows &= self.which[1:] == self.which[:-1]
        first = np.concatenate(([0], np.flatnonzero(~follows) + 1))
        total = int(self.lengths.sum())
        if len(first) * SLICED_FROM <= total + SLICED_FROM:
            last = np.concatenate((first[1:], [len(self.lengths)])) - 1
            sources = [0] * len(first) if self.which is None else self.which[first].tolist()
            for source, start, end in zip(
                sources, self.starts[first].tolist(), ends[last].tolist(), strict=True
            ):
                yield self.data[source][start:end]
            return
        yield self._selected(total)

    def _selected(self, total: int) -> Array:
        into = np.cumsum(self.lengths) - self.lengths
        selected = np.empty(total, np.uint8)
        if self.which is None:
            _copy(self.data[0], self.starts, selected, into, self.lengths)
            return selected
        for source in np.flatnonzero(np.bincount(self.which)).tolist():
            rows = np.flatnonzero(self.which == source)
            _copy(self.data[source], self.starts[rows], selected, into[rows], self.lengths[rows])
        return selected


def _copy(source: Array, starts: Array, target: Array, into: Array, lengths: Array) -> None:
    """Copy `lengths[i]` bytes from `starts[i]` to `into[i]`: all rows of one length by one step."""
    order = np.argsort(lengths.astype(np.uint16 if int(lengths.max()) < 1 << 16 else np.int64), kind="stable")
    ordered = lengths[order]
    for rows in np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1):
        if length := int(lengths[rows[0]]):
            found = sliding_window_view(source, length)[starts[rows]]
            sliding_window_view(target, length, writeable=True)[into[rows]] = found


def texts(type_: str, values: Sequence[bytes], valid: Array | None = None) -> Texts:
    """Return a column of these bytes; the values of missing rows are not written."""
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    data = np.frombuffer(b"".join(values), np.uint8)
    return Texts(type_, valid, np.cumsum(lengths) - lengths, lengths, (data,))


@dataclass(frozen=True, slots=True)
class Lists(Vector):
    """Lists (or maps). Row i has the items `starts[i]` to `starts[i] + lengths[i]` of `items`."""

    starts: Array
    lengths: Array
    items: Vector
    name: str = "item"

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: Array | slice) -> Lists:
        return replace(self, valid=self._valid(rows), starts=self.starts[rows], lengths=self.lengths[rows])

    def blank(self, count: int) -> Lists:
        none = np.zeros(count, np.int64)
        return replace(self, valid=np.zeros(count, bool), starts=none, lengths=none)

    def buffers(self) -> list[Any]:
        return [_lengths(self.lengths)]

    def children(self) -> list[tuple[str, Vector]]:
        if len(self.lengths) and (self.starts[1:] == (self.starts + self.lengths)[:-1]).all():
            first = int(self.starts[0])
            return [(self.name, self.items.take(slice(first, first + int(self.lengths.sum()))))]
        return [(self.name, self.items.take(flat_rows(self.starts, self.lengths)))]


@dataclass(frozen=True, slots=True)
class Structs(Vector):
    """Records with named fields. `fields` are in the order in which they are hashed."""

    fields: tuple[tuple[str, Vector], ...]
    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, rows: Array | slice) -> Structs:
        fields = tuple((name, field.take(rows)) for name, field in self.fields)
        count = len(range(*rows.indices(self.count))) if isinstance(rows, slice) else len(rows)
        return Structs(self.type, self._valid(rows), fields, count)

    def blank(self, count: int) -> Structs:
        fields = tuple((name, field.blank(count)) for name, field in self.fields)
        return Structs(self.type, np.zeros(count, bool), fields, count)

    def children(self) -> list[tuple[str, Vector]]:
        return list(self.fields)


def structs(fields: Sequence[tuple[str, Vector]], count: int, valid: Array | None = None) -> Structs:
    """Return a column of records; the fields are ordered by the UTF-8 of their names."""
    ordered = sorted(fields, key=lambda field: field[0].encode("utf-8", "surrogatepass"))
    return Structs("struct", valid, tuple(ordered), count)


def mixed(digests: Sequence[bytes], *, type_: str = "mixed", valid: Array | None = None) -> Fixed:
    """Return a column of values of several types, each by the digest of a column of its own."""
    return Fixed(type_, valid, np.frombuffer(b"".join(digests), "V32"))


def spread(values: Vector, valid: Array) -> Vector:
    """Return a column in which the rows that are valid have these values, one after the other."""
    rows = np.maximum(np.cumsum(valid) - 1, 0)
    found = values.take(rows)
    return replace(found, valid=valid if found.valid is None else valid & found.valid)


def flat_rows(starts: Array, lengths: Array) -> Array:
    """Return the indices of all items of these ranges, one range after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total)


def _lengths(lengths: Array) -> Array:
    if len(lengths) and int(lengths.max()) > MAX_LENGTH:
        raise NoForm(f"a value has {int(lengths.max())} bytes or items; {MAX_LENGTH} are the most")
    return lengths.astype("<u4")
