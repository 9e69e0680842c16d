"""Use the words of answers: `schema` for the `signature`, `compared_with` for the `base` of events."""

from __future__ import annotations

from typing import Any

import msgspec

from services.registry.domain.versioning.bump import Bump
from services.registry.domain.versioning.change import Change

STORED, SHOWN = "signature", "schema"


def rule(name: str) -> str:
    """Return the rule of a bump."""
    return SHOWN + name.removeprefix(STORED) if name.startswith(f"{STORED}.") else name


def change(one: Change) -> dict[str, Any]:
    """Return a difference as it is shown."""
    shown: dict[str, Any] = msgspec.to_builtins(one)
    return shown | {"part": SHOWN} if one.part == STORED else shown


def bump(why: Bump) -> dict[str, Any]:
    """Return why a version has its number as it is shown."""
    shown: dict[str, Any] = msgspec.to_builtins(why)
    compared = {"compared_with": shown.pop("base"), "compared_with_semver": shown.pop("base_semver")}
    return shown | compared | {"rule": rule(why.rule), "changes": [change(one) for one in why.changes]}
