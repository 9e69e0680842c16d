"""The forms of texts in words: people get a rule with an example, never a regular expression. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from regista.wire.names import STORED_PART

_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_NUMBER = "(0|[1-9][0-9]{0,8})"
RULES: Mapping[str, str] = {
    "sha256:[0-9a-f]{64}": f"'sha256:' and 64 digits or letters a to f, for example sha256:{_DIGEST}",
    "[0-9a-f]{64}": f"64 digits or lower-case letters a to f, for example {_DIGEST}",
    "[0-9a-f-]{36}": "an id as the registry gives it, for example 0198f0c2-7a31-7c52-9f0d-2f6f3b1c4d5e",
    "[A-Za-z0-9-]{1,64}": "1 to 64 letters, digits and '-', for example nightly-2026",
    r"\d+\.\d+\.\d+": "a semantic version, for example 1.2.0",
    r"[0-9]+\.[0-9]+\.[0-9]+|@?[A-Za-z][A-Za-z0-9_-]*": "a semantic version, an environment or an alias, "
    "for example 1.2.0, production or @candidate",
    "@?[A-Za-z][A-Za-z0-9_-]*": "an environment or an alias, for example production or @candidate",
    rf"major|minor|patch|{_NUMBER}\.{_NUMBER}\.{_NUMBER}": "major, minor, patch or a semantic version, "
    "for example 1.2.0",
    rf"{STORED_PART}(\.{STORED_PART})*": "letters, digits, '_' and '-', with dots between namespace and "
    "name, for example fraud.scoring",
}
"""The rule of each pattern in the public schemas, by the pattern without its anchors."""
_ANCHORED = re.compile(r"(?:\^|\\A)(?P<body>.*)(?:\$|\\Z)", re.DOTALL)


def rule_of(pattern: str) -> str:
    """Return what a text has to be that matches the pattern."""
    found = _ANCHORED.fullmatch(pattern)
    body = found["body"] if found else pattern
    whole = body[1:-1] if body.startswith("(") and body[1:-1] in RULES else body
    return RULES.get(whole, "of the form that the schema describes")
