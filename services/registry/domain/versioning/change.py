"""One difference between two versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["patch", "minor", "major"]
Part = Literal[
    "signature",
    "code",
    "config",
    "features",
    "framework",
    "parents",
    "metrics",
    "data",
    "seed",
    "environment",
    "artifact",
]


@dataclass(frozen=True, slots=True)
class Change:
    """What changed (`part`, `path`), how (`what`, a stable word), and both values.

    `breaking`: callers notice it.

    `level` is the bump that the change proves by the policy; None when it proves none, or no policy was
    applied.
    """

    part: Part
    path: str
    what: str
    before: Any = None
    after: Any = None
    detail: str = ""
    breaking: bool = False
    level: Level | None = None
