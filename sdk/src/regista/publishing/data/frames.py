"""Recognize frames and columns of any library, and return their columns and values.

Libraries are recognized by the modules of an object's class, so none is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from regista.publishing.data import arrow_columns, numpy_columns, pandas_frames
from regista.publishing.data.cells import Cells
from regista.publishing.data.vectors import Array, NoForm, Vector

ELSEWHERE = {
    "dask": "frame.compute()",
    "pyspark": "frame.toArrow() or frame.toPandas()",
    "modin": "frame._to_pandas()",
    "cudf": "frame.to_arrow()",
    "datasets": "dataset.with_format('arrow')[:]",
}
"""Libraries whose frames are outside this process's memory, and what to pass instead."""


class Column(NamedTuple):
    """A column of a frame: its name, the name of its type in its library, and its values."""

    name: Any
    type: str
    values: Any


def libraries(data: Any) -> set[str]:
    """Return the libraries that define the class of an object, and those that it inherits from."""
    return {one.__module__.partition(".")[0] for one in type(data).__mro__}


def columns_of(data: Any) -> list[Column] | None:
    """Return the columns of a frame in memory; None for anything else. A lazy frame is computed."""
    found = libraries(data)
    for library, instead in ELSEWHERE.items():
        if library in found:
            raise NoForm(f"its values are not in the memory of this process: pass {instead}")
    if "polars" in found:
        return _of_polars(data)
    if "pandas" in found or "geopandas" in found:
        if not hasattr(data, "columns"):
            levels = pandas_frames.index_columns(data) if getattr(data, "nlevels", 1) > 1 else ()
            return [Column(name, str(values.dtype), values) for name, values in levels] or None
        return [Column(name, str(values.dtype), values) for name, values in pandas_frames.columns(data)]
    if "pyarrow" in found:
        return _of_pyarrow(data)
    if isinstance(data, np.ndarray):
        names = data.dtype.names if data.ndim == 1 else None
        return [Column(name, str(data[name].dtype), data[name]) for name in names] if names else None
    if hasattr(data, "columns") and hasattr(data, "__getitem__") and not hasattr(data, "__arrow_c_stream__"):
        return [Column(name, str(getattr(data[name], "dtype", "")), data[name]) for name in data.columns]
    return None


def _of_polars(data: Any) -> list[Column] | None:
    if hasattr(data, "collect") and hasattr(data, "collect_schema"):
        data = data.collect()
    if not hasattr(data, "get_columns"):
        return None
    return [Column(series.name, str(series.dtype), series) for series in data.get_columns()]


def _of_pyarrow(data: Any) -> list[Column] | None:
    if hasattr(data, "read_next_batch"):
        raise NoForm("a stream can be read only once: pass reader.read_all()")
    if hasattr(data, "to_table"):
        data = data.to_table()
    if not hasattr(data, "column_names"):
        return None
    fields = zip(data.column_names, data.schema.types, data.columns, strict=True)
    return [Column(name, str(type_), values) for name, type_, values in fields]


def names_of(data: Any) -> list[str] | None:
    """Return the names of the columns of a frame, without computing it; None for anything else."""
    found = libraries(data)
    if "polars" in found and hasattr(data, "collect_schema"):
        return [str(name) for name in data.collect_schema().names()]
    if "pyarrow" in found and hasattr(data, "schema"):
        return [str(name) for name in data.schema.names]
    if isinstance(data, np.ndarray):
        return list(data.dtype.names) if data.ndim == 1 and data.dtype.names else None
    if "xgboost" in found:
        return list(data.feature_names) if getattr(data, "feature_names", None) else None
    return [str(name) for name in data.columns] if hasattr(data, "columns") else None


class Reader:
    """Read the values of one column. `nested` returns the digest of a frame or array inside a cell."""

    def __init__(self, nested: Callable[[Any], bytes]) -> None:
        self.cells = Cells(nested, missing_nan=False)
        self._in_pandas = Cells(nested, missing_nan=True)

    def parts(self, values: Any) -> Iterator[Vector] | None:
        """Return the parts of a column, an array or a list; None for anything else. Raises NoForm."""
        found = libraries(values)
        if "polars" in found:
            if "object" in str(values.dtype).lower():
                return iter((self.cells.vector(values.to_list()),))
            return arrow_columns.vectors(values)
        if "pandas" in found or "geopandas" in found:
            array = values.array if hasattr(values, "array") else values
            if getattr(array, "nlevels", 1) > 1 or not hasattr(array, "dtype"):
                return None
            return pandas_frames.vectors(array, self._in_pandas)
        if isinstance(values, np.ndarray):
            return iter((self.array(values),)) if values.ndim == 1 else None
        if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
            return arrow_columns.vectors(values)
        if isinstance(values, list | tuple):
            return iter((self.cells.vector(values),))
        return None

    def array(self, values: Array) -> Vector:
        """Return an array of one dimension. Masked elements are missing."""
        valid = ~np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
        plain = np.asarray(values)
        if plain.dtype.kind in "OT":
            objects = plain.astype(object).tolist()
            if valid is not None:
                objects = [one if there else None for one, there in zip(objects, valid.tolist(), strict=True)]
            return self.cells.vector(objects)
        return numpy_columns.vector(plain, valid)
