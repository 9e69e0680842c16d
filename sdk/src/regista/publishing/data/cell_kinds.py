"""The kinds of Python objects that a cell may hold."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from regista.publishing.data.scalars import zone_name

_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("bool", (bool, np.bool_)),
    ("int", (int, np.int64)),
    ("float", (float, np.float64)),
    ("complex", (complex, np.complex128)),
    ("string", (str,)),
    ("binary", (bytes, bytearray, memoryview)),
    ("decimal", (Decimal,)),
    ("timestamp", (datetime,)),
    ("date", (date,)),
    ("time", (time,)),
    ("duration", (timedelta,)),
    ("uuid", (UUID,)),
    ("moment", (np.datetime64, np.timedelta64)),
    ("array", (np.ndarray,)),
    ("list", (list, tuple, range)),
    ("struct", (Mapping,)),
    ("set", (AbstractSet,)),
)
_DATA = (
    "__array__",
    "__array_interface__",
    "__arrow_c_stream__",
    "__arrow_c_array__",
    "tocsr",
    "__dataframe__",
)


@functools.cache
def kind_of_class(class_: type) -> str:
    """Return the kind of a class's values: `numpy:<dtype>`, and `odd:<name>` for one that is not read."""
    for kind, classes in _KINDS:
        if issubclass(class_, classes):
            return kind
    if issubclass(class_, np.generic):
        return f"numpy:{np.dtype(class_).str}"
    if class_.__module__.partition(".")[0] == "pandas" and class_.__name__ in {"Period", "Interval"}:
        return class_.__name__.lower()
    if any(hasattr(class_, name) for name in _DATA):
        return "data"
    return f"odd:{class_.__module__}.{class_.__qualname__}"


def kind_of_value(cell: Any) -> str:
    """Return the kind of a value, with its time zone, frequency, bounds or names."""
    class_: type = type(cell)
    kind = kind_of_class(class_)
    match kind:
        case "timestamp":
            return f"timestamp:{zone_name(cell.tzinfo) if cell.tzinfo else ''}"
        case "time":
            return f"time:{zone_name(cell.tzinfo) if cell.tzinfo else ''}"
        case "period":
            return f"period:{cell.freqstr}"
        case "interval":
            return f"interval:{cell.closed}"
        case "struct":
            if not all(isinstance(name, str) for name in cell):
                return "dict"
            return f"struct:{sorted(cell)}"
    return kind
