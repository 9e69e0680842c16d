"""Readers of cells of one kind: no cell is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from regista.publishing.data import numpy_columns
from regista.publishing.data.scalars import decimal_text, period_type
from regista.publishing.data.vectors import Fixed, Moments, Structs, Texts, Vector, texts

EPOCH, AWARE_EPOCH = datetime(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC)  # noqa: DTZ001 - for times without a zone
DAY_ONE = date(1970, 1, 1).toordinal()
MICROSECOND = timedelta(microseconds=1)
LEAST, MOST = -(2**63), 2**63 - 1


def integers(cells: Sequence[Any]) -> Vector:
    """Return int64 where all values fit, else uint64, else whole numbers of any size."""
    least, most = min(cells), max(cells)
    if least >= LEAST and most <= MOST:
        return Fixed("int64", None, np.array(cells, np.int64))
    if least >= 0 and most < 2**64:
        return Fixed("uint64", None, np.array(cells, np.uint64))
    return texts("integer", [str(int(cell)).encode() for cell in cells])


def strings(cells: Sequence[Any]) -> Texts:
    """Return a column of texts."""
    joined = "".join(cells)
    if not joined.isascii():
        return texts("string", [cell.encode("utf-8", "surrogatepass") for cell in cells])
    lengths = np.fromiter(map(len, cells), np.int64, len(cells))
    data = np.frombuffer(joined.encode(), np.uint8)
    return Texts("string", None, np.cumsum(lengths) - lengths, lengths, (data,))


def times(cells: Sequence[Any], zone: str) -> Vector:
    """Return times of day of one time zone ("" for none), in nanoseconds since midnight."""
    values = [((c.hour * 60 + c.minute) * 60 + c.second) * 10**9 + c.microsecond * 1000 for c in cells]
    return Fixed(f"time[{zone}]" if zone else "time", None, np.array(values, np.int64))


def timestamps(cells: Sequence[Any], zone: str) -> Vector:
    """Return timestamps of one time zone ("" for none). Pandas' ones may have nanoseconds."""
    epoch = AWARE_EPOCH if zone else EPOCH
    micro = [(_without_nanoseconds(cell) - epoch) // MICROSECOND for cell in cells]
    nano = [getattr(cell, "nanosecond", 0) for cell in cells]
    type_ = f"timestamp[{zone}]" if zone else "timestamp"
    return _moments(type_, micro, nano)


def _without_nanoseconds(cell: Any) -> datetime:
    plain: datetime = cell.to_pydatetime(warn=False) if hasattr(cell, "to_pydatetime") else cell
    return plain


def durations(cells: Sequence[Any]) -> Vector:
    """Return durations. Pandas' ones may have nanoseconds."""
    micro = [((c.days * 86400) + c.seconds) * 10**6 + c.microseconds for c in cells]
    return _moments("duration", micro, [getattr(cell, "nanoseconds", 0) for cell in cells])


def _moments(type_: str, micro: list[int], nano: list[int]) -> Vector:
    if any(nano):
        exact = [m * 1000 + n for m, n in zip(micro, nano, strict=True)]
        return Moments(type_, None, np.array(exact, object), 10**9)
    return Moments(type_, None, np.array(micro, np.int64), 10**6)


def periods(cells: Sequence[Any], frequency: str) -> Vector:
    """Return pandas' periods of one frequency: their ordinals."""
    return Fixed(period_type(frequency), None, np.array([cell.ordinal for cell in cells], np.int64))


def intervals(closed: str, bounds: Sequence[Vector], count: int, valid: Any = None) -> Structs:
    """Return pandas' intervals from their left and right bounds."""
    return Structs(f"interval[{closed}]", valid, (("left", bounds[0]), ("right", bounds[1])), count)


READERS: dict[str, Callable[[Sequence[Any]], Vector]] = {
    "bool": lambda cells: Fixed("bool", None, np.array(cells, bool)),
    "int": integers,
    "float": lambda cells: Fixed("float64", None, np.array(cells, np.float64)),
    "complex": lambda cells: Fixed("complex128", None, np.array(cells, np.complex128)),
    "string": strings,
    "binary": lambda cells: texts("binary", [bytes(cell) for cell in cells]),
    "decimal": lambda cells: texts("decimal", [decimal_text(cell).encode() for cell in cells]),
    "date": lambda cells: Fixed("date", None, np.array([c.toordinal() - DAY_ONE for c in cells], np.int64)),
    "duration": durations,
    "uuid": lambda cells: texts("uuid", [cell.bytes for cell in cells]),
    "moment": lambda cells: numpy_columns.vector(np.array(cells)),
}
