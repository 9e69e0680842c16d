"""Errors of pydantic and msgspec in words: what is wrong, without regular expressions."""

from __future__ import annotations

import ast
import re
from typing import Any

from regista.wire.forms import rule_of

_REGEX = re.compile(r"Expected `str` matching regex (?P<pattern>'.*'|\".*\")", re.DOTALL)


def problem_of(error: Any) -> str:
    """Return the problem of one error of pydantic, as `errors()` lists them."""
    if error["type"] == "string_pattern_mismatch":
        return f"Must be {rule_of(error['ctx']['pattern'])}"
    return str(error["msg"]).removeprefix("Value error, ")


def in_words(problem: str) -> str:
    """Return the problem that msgspec states."""
    found = _REGEX.match(problem)
    return f"Must be {rule_of(ast.literal_eval(found['pattern']))}" if found else problem
