"""A retention policy: when a version of a model may go.

Durations are seconds, so that a demonstration can use small ones.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Every duration is in seconds; None means: never for this reason.

    A version goes only when all that applies to it has passed: since its last use, since it left Production,
    and, where nobody ever reported a use, since its registration (`unknown_seconds`; no signal is not the
    same as no use). Drafts and rejected versions can not be used, so time since registration decides. The
    newest `keep_newest` usable versions always stay.
    """

    unused_seconds: float | None = 180 * DAY
    left_production_seconds: float | None = 90 * DAY
    unknown_seconds: float | None = None
    draft_seconds: float | None = 90 * DAY
    rejected_seconds: float | None = 90 * DAY
    keep_newest: int = 3
    grace_seconds: float = 14 * DAY


DEFAULT_POLICY = RetentionPolicy()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a version stays. `code` is stable; `detail` is for people."""

    code: str
    detail: str
