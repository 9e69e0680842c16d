"""Schemas of data: the fields of frames and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def schema_of(data: Any, *, name: str, features: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the fields of a data frame or array.

    Named columns are one field each; else the array is one tensor `name`, with `?` for the batch dimension.
    `features` names the columns of a two-dimensional array.
    """
    if isinstance(data, list | tuple | dict):
        raise TypeError(
            f"a {type(data).__name__} has no schema: pass a data frame, or an array (numpy.asarray)"
        )
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return [{"name": str(column), "type": dtype_of(data[column])} for column in data.columns]
    shape, dtype = tuple(getattr(data, "shape", ())), dtype_of(data)
    if features is not None and len(shape) == 2:
        if len(features) != shape[1]:
            msg = f"{len(features)} feature names for {shape[1]} columns"
            raise ValueError(msg)
        return [{"name": feature, "type": dtype} for feature in features]
    inner = ",".join(str(n) for n in shape[1:])
    return [{"name": name, "type": f"{dtype}[?,{inner}]" if inner else dtype}]


def dtype_of(data: Any) -> str:
    """Return the element type: NumPy's name, or `string` for text and objects."""
    dtype = str(getattr(data, "dtype", type(data).__name__)).lower()
    return (
        "string" if dtype.startswith(("object", "str", "<u", "utf8", "category", "large_string")) else dtype
    )
