"""The grammar of model names and namespaces, for every service and the client. Pure."""

from __future__ import annotations

import re

LONGEST_NAME = 200
PART = r"[A-Za-z0-9][A-Za-z0-9_-]*"
STORED_PART = r"[A-Za-z0-9_-]+"
"""Parts of names that were registered before a letter or digit had to come first. They keep working."""

_NEW = re.compile(rf"{PART}(\.{PART})*", re.ASCII)
_LAST_PART = re.compile(PART, re.ASCII)
_STORED = re.compile(rf"{STORED_PART}(\.{STORED_PART})*", re.ASCII)


def may_be_new(name: str) -> bool:
    """Return whether a new model may have the name: dotted parts, each with a letter or digit first."""
    return len(name) <= LONGEST_NAME and _NEW.fullmatch(name) is not None


def may_be_renamed_to(name: str) -> bool:
    """Return whether a model may take the name in its own namespace, which may be older than the rule."""
    return may_exist(name) and _LAST_PART.fullmatch(name.rpartition(".")[2]) is not None


def may_exist(name: str) -> bool:
    """Return whether a model or a namespace may have the name."""
    return len(name) <= LONGEST_NAME and _STORED.fullmatch(name) is not None
