"""Turn configuration values into JSON values that every reader represents exactly.

README.md of the SDK lists the forms. Every refusal names the path of the value.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
from argparse import Namespace
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import Enum
from numbers import Real
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

from regista.errors import Invalid, RegistaError
from regista.wire.digests import NoDigest, canonical
from regista.wire.limits import DEPTH, EXACT

DEEPEST = DEPTH + 3
"""Levels of a whole publication: a document such as `training.config` has at most DEPTH of them."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_FREE = ("training.config", "training.environment")
"""Documents of free form: NaN and infinity are written as text there."""


def json_value(value: Any, path: str = "", depth: int = 0) -> Any:
    """Return the JSON form of a value; `path` names it in refusals. Raises Invalid."""
    if depth > DEEPEST:
        raise _refused(path, f"is nested deeper than {DEPTH} levels, or contains itself", "Leave it out.")
    if value is None or isinstance(value, bool | str):
        return _text(value, path) if isinstance(value, str) else value
    if isinstance(value, Enum):
        return json_value(value.value, path, depth + 1)
    if isinstance(value, int):
        return _whole(int(value), path)
    if isinstance(value, float):  # NumPy's float64 is one, and no JSON encoder's
        return _number(float(value), path)
    inner = functools.partial(json_value, depth=depth + 1)
    if (fields := _fields(value)) is not None:
        return _object(fields, path, depth)
    if isinstance(value, AbstractSet):
        return sorted((inner(one, path) for one in value), key=str)
    if isinstance(value, list | tuple):
        return [inner(one, f"{path}[{_label(one, index)}]") for index, one in enumerate(value)]
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return class_name(value)
    if isinstance(value, PurePath):
        return value.as_posix()
    if hasattr(value, "get_params"):
        return _estimator(value, path, depth)
    if hasattr(value, "columns") or hasattr(value, "tocsr"):
        return {"data": _digest(value, path)}
    if hasattr(value, "isoformat"):
        return None if (text := value.isoformat()) == "NaT" else text
    for method in ("tolist", "to_list", "to_pylist"):  # NumPy and pandas, polars, pyarrow
        if hasattr(value, method) and type(made := getattr(value, method)()) is not type(value):
            return inner(made, path)  # NumPy's longdouble makes itself
    return None if type(value).__name__ == "NAType" else _described(value, path)


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """Return the named values of an object that has nothing else; None for another one."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Namespace | SimpleNamespace):
        return vars(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for method in ("model_dump", "_asdict"):  # pydantic, named tuples
        if not isinstance(value, type) and callable(dump := getattr(value, method, None)):
            found = dump()
            return found if isinstance(found, Mapping) else None
    if not isinstance(value, type) and (attributes := getattr(type(value), "__attrs_attrs__", None)):
        return {attribute.name: getattr(value, attribute.name) for attribute in attributes}
    return None


def _object(fields: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    written: dict[str, Any] = {}
    names: dict[str, Any] = {}
    for name, value in fields.items():
        key = _text(name if isinstance(name, str) else _key(name), path)
        if key in names:
            detail = f"has the keys {names[key]!r} and {name!r}, which JSON writes alike"
            raise _refused(path, detail, "Name them differently.")
        names[key] = name
        written[key] = json_value(value, f"{path}.{key}" if path else key, depth + 1)
    return written


def _key(name: Any) -> str:
    return _key(name.value) if isinstance(name, Enum) else str(name)


def _text(value: str, path: str) -> str:
    """Return a text as `str`. Raises Invalid for one that UTF-8 cannot write."""
    try:
        value.encode()
    except UnicodeEncodeError:
        detail = f"has the text {ascii(value)[:100]}, with half of a character"
        raise _refused(path, detail, "Replace the text.") from None
    return str(value)


def _label(item: Any, index: int) -> str:
    """Return the name of an item of a list, as of a metric; else its index."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else str(index)


def _whole(value: int, path: str) -> int:
    if not -EXACT <= value <= EXACT:
        detail = f"is {value}, and JSON cannot represent whole numbers beyond 2^53"
        raise _refused(path, detail, "Write it as text.")
    return value


def _number(value: float, path: str) -> float | str:
    if math.isfinite(value):
        return value
    text = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if path.startswith(_FREE):
        return text
    raise _refused(path, f"is {text}, which JSON cannot represent", "Leave it out.")


def _estimator(value: Any, path: str, depth: int) -> Any:
    """Return the class and the parameters of an estimator of scikit-learn, XGBoost, LightGBM and others."""
    try:
        params = value.get_params(deep=False)
    except TypeError:
        params = value.get_params()
    return {
        "class": class_name(type(value)),
        "params": _object(params, f"{path}.params", depth) if isinstance(params, Mapping) else str(params),
    }


def class_name(of: Any) -> str:
    """Return the name of a class or function, without private modules, which move between releases."""
    module = ".".join(part for part in str(of.__module__).split(".") if not part.startswith("_"))
    return f"{module}.{of.__qualname__}" if module and module != "builtins" else str(of.__qualname__)


def _digest(value: Any, path: str) -> str:
    from regista.publishing.data_digest import data_digest  # noqa: PLC0415 - frames are rare here

    try:
        return data_digest(value)
    except RegistaError as e:
        raise _refused(path, f"is a {class_name(type(value))}: {e.detail}", e.advice) from None


def _described(value: Any, path: str) -> str:
    try:
        return _ADDRESS.sub("", repr(value))
    except Exception as e:  # noqa: BLE001 - foreign code may raise anything
        detail = f"is a {class_name(type(value))} that cannot be described: {e!r}"
        raise _refused(path, detail, "Write what identifies it.") from None


def _refused(path: str, detail: str, advice: str) -> Invalid:
    return Invalid("not_exact", f"`{path}` {detail}", advice=advice, facts={"field": path})


def metric_value(name: str, value: Any) -> float:
    """Return the value of a metric: one number of Python, NumPy or PyTorch, or a Decimal. Raises Invalid."""
    number = value
    with contextlib.suppress(Exception):  # foreign code: an array of several values
        number = value.item()
    if isinstance(number, Real | Decimal) and not isinstance(number, bool):
        with contextlib.suppress(ValueError, OverflowError):  # a signaling NaN; beyond every float
            if math.isfinite(float(number)):
                return float(number)
    raise Invalid(
        "no_number",
        f"the metric {name!r} is {number!r:.100}, which is no number",
        advice="Leave the metric out, or record a finite number.",
        facts={"field": f"metrics[{name}].value"},
    )


def check_exact(data: Mapping[str, Any]) -> None:
    """Raise Invalid for values that have no canonical JSON, such as texts with lone surrogates."""
    try:
        canonical(data)
    except NoDigest as e:
        advice = "Leave the value out, or write it as text."
        raise Invalid(
            "not_exact", f"the data to publish has a value that JSON cannot represent: {e}", advice=advice
        ) from None


def object_of(what: str, value: Any) -> dict[str, Any]:
    """Return a mapping, a namespace or a dataclass as a dictionary; an estimator as class and parameters.

    Raises Invalid for another value.
    """
    if (fields := _fields(value)) is not None:
        return dict(fields)
    if hasattr(value, "get_params"):
        found: dict[str, Any] = _estimator(value, what, 0)
        return found
    detail = f"`{what}` must be an object with named values, not a {class_name(type(value))}"
    raise Invalid("no_object", detail, advice="Pass a dict, a namespace, a dataclass or an estimator.")
