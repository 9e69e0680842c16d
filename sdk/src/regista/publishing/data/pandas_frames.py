"""Columns of pandas, from release 2 on → vectors. NaN, NaT, None and NA are all missing, as `isna` has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from regista.publishing.data import arrow_columns, numpy_columns
from regista.publishing.data.cell_readers import intervals
from regista.publishing.data.cells import Cells
from regista.publishing.data.scalars import period_type, zone_name
from regista.publishing.data.vectors import Array, Fixed, Vector


def columns(frame: Any) -> Iterator[tuple[Any, Any]]:
    """Return the name and the values of each column of a frame, by position: names may repeat.

    An index that is more than row numbers counts as columns, as `reset_index` makes them.
    """
    yield from index_columns(frame.index)
    for position, name in enumerate(frame.columns):
        yield name, frame.iloc[:, position].array


def index_columns(index: Any) -> Iterator[tuple[Any, Any]]:
    """Return the levels of an index with their names; none for row numbers without a name."""
    if index.nlevels > 1:
        for level, name in enumerate(index.names):
            yield f"level_{level}" if name is None else name, index.get_level_values(level).array
    elif index.name is not None or not (index.dtype.kind in "iu" or not len(index)):
        yield "index" if index.name is None else index.name, index.array


def vectors(values: Any, cells: Cells) -> Iterator[Vector]:
    """Return the parts of a column, from its extension array. Raises NoForm."""
    dtype = values.dtype
    if _in_arrow(dtype):
        exported = values.__arrow_array__()
        for chunk in exported.chunks if hasattr(exported, "chunks") else (exported,):
            yield from arrow_columns.vectors(chunk)
        return
    yield _vector(values, dtype, type(dtype).__name__, cells)


def _in_arrow(dtype: Any) -> bool:
    return type(dtype).__name__ == "ArrowDtype" or getattr(dtype, "storage", "") == "pyarrow"


def _vector(values: Any, dtype: Any, kind: str, cells: Cells) -> Vector:
    match kind:
        case "NumpyEADtype" | "PandasDtype":
            return _numpy(np.asarray(values), cells)
        case "CategoricalDtype":
            codes = np.asarray(values.codes)
            return arrow_columns.decoded(codes, codes >= 0, whole(values.categories.array, cells))
        case "DatetimeTZDtype":
            plain = values.tz_convert(None).to_numpy()
            return replace(numpy_columns.vector(plain), type=f"timestamp[{zone_name(dtype.tz)}]")
        case "PeriodDtype":
            valid = ~np.asarray(values.isna())
            return Fixed(period_type(str(dtype)[len("period[") : -1]), valid, values.asi8)
        case "IntervalDtype":
            bounds = [whole(side.array, cells) for side in (values.left, values.right)]
            return intervals(dtype.closed, bounds, len(values), ~np.asarray(values.isna()))
        case "SparseDtype":
            return _numpy(np.asarray(values.to_dense()), cells)
    if isinstance(dtype, np.dtype):
        return _numpy(np.asarray(values), cells)
    plain = getattr(dtype, "numpy_dtype", None)
    if isinstance(plain, np.dtype) and plain.kind in "biuf":  # Int64, Float64, boolean
        valid = ~np.asarray(values.isna())
        return numpy_columns.vector(values.to_numpy(dtype=plain, na_value=plain.type(0)), valid)
    return cells.vector(list(values))


def whole(values: Any, cells: Cells) -> Vector:
    """Return a column in one part."""
    if _in_arrow(values.dtype):
        exported = values.__arrow_array__()
        chunk = exported.combine_chunks() if hasattr(exported, "combine_chunks") else exported
        return list(arrow_columns.vectors(chunk))[-1]
    return _vector(values, values.dtype, type(values.dtype).__name__, cells)


def _numpy(values: Array, cells: Cells) -> Vector:
    if values.dtype == object:
        return cells.vector(values.tolist())
    return numpy_columns.vector(values, missing_nan=True)
