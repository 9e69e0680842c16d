"""A retention policy: when a version of a model may be retired."""

from __future__ import annotations

from dataclasses import dataclass

from shared.deciding.durations import LONGEST

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Durations are seconds. None keeps a version permanently, which is what every duration is unless set.

    A version may be retired when all durations that apply to it have passed: since its last use, since it
    left Production, and, when no use was ever reported, since its registration (`unknown_seconds`: no
    report does not mean no use). Drafts and rejected versions cannot be used, so only the time since
    registration applies. The newest `keep_newest` usable versions always stay.
    """

    unused_seconds: float | None = None
    left_production_seconds: float | None = None
    unknown_seconds: float | None = None
    draft_seconds: float | None = None
    rejected_seconds: float | None = None
    keep_newest: int = 3
    grace_seconds: float = 14 * DAY

    @property
    def is_off(self) -> bool:
        """Whether no version may ever be retired by it."""
        return (
            self.unused_seconds is None
            and self.unknown_seconds is None
            and self.draft_seconds is None
            and self.rejected_seconds is None
        )

    @property
    def is_valid(self) -> bool:
        """Whether every duration is from 0 to LONGEST and `keep_newest` is not negative."""
        durations = (
            self.unused_seconds,
            self.left_production_seconds,
            self.unknown_seconds,
            self.draft_seconds,
            self.rejected_seconds,
            self.grace_seconds,
        )
        return all(d is None or 0 <= d <= LONGEST for d in durations) and self.keep_newest >= 0


OFF = RetentionPolicy()
"""The policy of a model that has none of its own, and inherits none: nothing is retired."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason to keep a version. `code` is stable; `detail` is for people."""

    code: str
    detail: str
