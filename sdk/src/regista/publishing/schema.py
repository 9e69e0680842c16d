"""The schema of inputs or outputs, from examples: data frames, arrays, and dicts or lists of arrays.

Types are recognized by their attributes, so the module imports no data library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regista.errors import WrongArgument, WrongValue
from regista.wire.type_spellings import parsed


def schema_of(data: Any, *, name: str, features: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the fields of a data frame, an array, or a dict or list of arrays.

    Named columns are one field each; else an array is one tensor `name`, with `?` for the batch dimension.
    `features` names the columns of a two-dimensional array. Raises WrongArgument and WrongValue.
    """
    if isinstance(data, Mapping) and data and all(map(_is_array, data.values())):
        return [field for key, one in data.items() for field in schema_of(one, name=str(key))]
    if isinstance(data, list | tuple) and data and all(map(_is_array, data)):
        return [field for n, one in enumerate(data) for field in schema_of(one, name=f"{name}_{n}")]
    if isinstance(data, list | tuple | Mapping):
        raise WrongArgument(
            "no_schema",
            f"a {type(data).__name__} has no schema",
            advice="Pass a data frame, an array (numpy.asarray), or a dict or list of arrays.",
        )
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return [{"name": str(column), "type": dtype_of(_column(data, column))} for column in data.columns]
    shape, dtype = tuple(getattr(data, "shape", ())), dtype_of(data)
    if features is not None and len(shape) == 2:
        if len(features) != shape[1]:
            raise WrongValue(
                "wrong_features",
                f"there are {len(features)} feature names for {shape[1]} columns",
                advice="Name each column of the array once, in their order.",
            )
        return [{"name": feature, "type": dtype} for feature in features]
    inner = ",".join(str(n) for n in shape[1:])
    return [{"name": name, "type": f"{dtype}[?,{inner}]" if inner else dtype}]


def addressed_by(data: Any) -> str:
    """Return how callers address the fields: by `name` in a frame or a dict, else by `position`."""
    return "name" if hasattr(data, "columns") or isinstance(data, Mapping) else "position"


def _is_array(one: Any) -> bool:
    return hasattr(one, "shape") and hasattr(one, "dtype") and not hasattr(one, "columns")


def _column(frame: Any, column: Any) -> Any:
    return frame[column]


def dtype_of(data: Any) -> str:
    """Return the element type: NumPy's name, `string` for text and objects, with `?` where pandas has NA."""
    dtype = getattr(data, "dtype", type(data).__name__)
    text = str(dtype)
    if text.lower().startswith(("object", "str", "<u", "utf8", "category", "large_string")):
        return "string"
    polars = str(getattr(dtype, "__module__", "")).startswith("polars")
    is_nullable = parsed(text).nullable or type(dtype).__name__ == "BooleanDtype"  # `boolean`, as in Spark
    return text.lower() + ("?" if is_nullable and not polars else "")
