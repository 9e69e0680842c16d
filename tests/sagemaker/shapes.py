"""Requests to SageMaker, checked by botocore's service model: names, types, limits, patterns, choices."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import botocore.session

MODEL = botocore.session.get_session().get_service_model("sagemaker")


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request that SageMaker refuses."""


def check(shape: Any, value: Any, path: str = "") -> None:
    """Raise Refusal when a value is not as the service model has it."""
    match shape.type_name:
        case "structure":
            _check_structure(shape, value, path)
        case "list":
            _limits(shape, len(value), path)
            for position, one in enumerate(value):
                check(shape.member, one, f"{path}[{position}]")
        case "map":
            _limits(shape, len(value), path)
            for key, one in value.items():
                check(shape.key, key, f"{path} key {key!r:.40}")
                check(shape.value, one, f"{path}.{key}")
        case "string":
            _check_text(shape, value, path)
        case "integer" | "long":
            _limits(shape, value, path)


def _check_structure(shape: Any, value: Any, path: str) -> None:
    if unknown := value.keys() - shape.members.keys():
        raise Refusal(f"{path}: unknown {sorted(unknown)}")
    if missing := set(shape.required_members) - value.keys():
        raise Refusal(f"{path}: missing {sorted(missing)}")
    for name, one in value.items():
        check(shape.members[name], one, f"{path}.{name}".strip("."))


def _check_text(shape: Any, value: str, path: str) -> None:
    _limits(shape, len(value.encode("utf-16-le")) // 2, path)  # as Java counts
    if (choices := shape.enum) and value not in choices:
        raise Refusal(f"{path}: {value!r} is none of {choices}")
    if (pattern := shape.metadata.get("pattern")) and not _matches(pattern, value):
        raise Refusal(f"{path}: {value!r:.80} does not match {pattern}")


def _limits(shape: Any, size: float, path: str) -> None:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", float("inf"))
    if not least <= size <= most:
        raise Refusal(f"{path}: {size} is not between {least} and {most}")


def _matches(pattern: str, value: str) -> bool:
    """Return whether a text matches a pattern of AWS. Python has no classes of Unicode."""
    if pattern.startswith(r"([\p{L}\p{Z}\p{N}_.:"):  # keys, values and tags
        return all(unicodedata.category(one)[0] in "LZN" or one in "_.:/=+-@" for one in value)
    if r"\p{" in pattern:  # everything but control characters and the like
        return not any(unicodedata.category(one).startswith("C") for one in value)
    return re.fullmatch(pattern, value) is not None and not set("\u0085\u2028\u2029") & set(value)
