"""The names of models that MLflow's clients use, and how they are written in Regista."""

from __future__ import annotations

import re

_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]")
_WRITTEN = re.compile(r"_x([0-9a-f]{1,6})_")
_FIRST = re.compile(r"(?:^|(?<=\.))(x0)?(?=_x[0-9a-f]{1,6}_)")
_FIRST_IN_PATTERN = re.compile(r"(?:^|(?<=\.))(?=\\_x)")
_MARK = "x0"
"""Stands before a part of a name that would begin with `_x20_`, which begins none."""


def written(name: str) -> str:
    """Return the name of a model in Regista: characters that no name has there are written `_x20_`."""
    plain = _WRITTEN.sub(lambda found: f"_x5f_{found[0][1:]}", name)
    plain = _FOREIGN.sub(lambda found: f"_x{ord(found[0]):x}_", plain)
    return _FIRST.sub(lambda found: f"{_MARK}_x78_0" if found[1] else _MARK, plain)


def read(name: str) -> str:
    """Return the name that MLflow's clients use for a model of Regista."""
    plain = _FIRST.sub("", name)
    return _WRITTEN.sub(lambda found: _character(found[1]), plain)


def pattern(text: str) -> str:
    """Return a pattern of LIKE on names in Regista. `%` and `_` are its wildcards."""
    plain = _FOREIGN.sub(lambda found: found[0] if found[0] == "%" else rf"\_x{ord(found[0]):x}\_", text)
    return _FIRST_IN_PATTERN.sub(_MARK, plain)


def _character(digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else f"_x{digits}_"
