"""What people put into a configuration, as plain JSON values that every reader holds exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from pathlib import PurePath
from typing import Any

from regista.errors import Invalid
from regista.wire.digests import NoDigest, canonical

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def plain(value: Any) -> Any:
    """JSON values as they are; NumPy scalars and arrays by value; paths, enums and dates as text; any other object by its `repr`, without addresses."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    for scalar in (int, float, str):  # NumPy's float64 is a float, and no JSON encoder's
        if isinstance(value, scalar):
            return scalar(value)
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((plain(inner) for inner in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, PurePath):
        return value.as_posix()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return _ADDRESS.sub("", repr(value))


def check_exact(data: Mapping[str, Any]) -> None:
    """Raises Invalid for NaN, infinity and integers beyond 2^53: no two readers agree on them."""
    try:
        canonical(data)
    except NoDigest as e:
        advice = "Leave the value out, or write it as text."
        raise Invalid(
            "not_exact", f"what was to be published holds a value that JSON cannot carry: {e}", advice=advice
        ) from None
