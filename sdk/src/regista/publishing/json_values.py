"""Turn configuration values into JSON values that every reader represents exactly."""

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


def json_value(value: Any) -> Any:
    """Return JSON values as they are, NumPy scalars and arrays by value, and paths, enums and dates as text.

    Any other object becomes its `repr` without memory addresses.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return json_value(value.value)
    for scalar in (int, float, str):  # NumPy's float64 is a float, and no JSON encoder's
        if isinstance(value, scalar):
            return scalar(value)
    if isinstance(value, Mapping):
        return {str(name): json_value(inner) for name, inner in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((json_value(inner) for inner in value), key=str)
    if isinstance(value, list | tuple):
        return [json_value(inner) for inner in value]
    if isinstance(value, PurePath):
        return value.as_posix()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return json_value(value.tolist())
    return _ADDRESS.sub("", repr(value))


def check_exact(data: Mapping[str, Any]) -> None:
    """Raise Invalid for NaN, infinity and integers beyond 2^53: readers represent them differently."""
    try:
        canonical(data)
    except NoDigest as e:
        advice = "Leave the value out, or write it as text."
        raise Invalid(
            "not_exact", f"the data to publish has a value that JSON cannot represent: {e}", advice=advice
        ) from None
