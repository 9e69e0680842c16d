"""The stored events of `retention-<model_id>`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.cleanup.domain.policy import Reason, RetentionPolicy
from shared.deciding.events import Noted


@dataclass(frozen=True, slots=True)
class UsageRecorded:
    """A version was used `count` more times.

    `day_total` and `total` are absolute, so a projection needs no earlier event. `last_used_at` never
    decreases.
    """

    model_id: str
    number: int
    environment: str
    endpoint: str
    window_start: datetime
    window_end: datetime
    count: int
    day: str
    day_total: int
    total: int
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class RetentionChanged:
    """The retention policy of the model changed."""

    model_id: str
    policy: RetentionPolicy


@dataclass(frozen=True, slots=True)
class RetentionRemoved:
    """The model has no policy of its own any more: it inherits one."""

    model_id: str


@dataclass(frozen=True, slots=True)
class RetentionInherited:
    """A cleanup run found that the model inherits another policy than before.

    `source` is a namespace, "*" for everything, or "" where no default applies.
    """

    model_id: str
    source: str
    policy: RetentionPolicy


@dataclass(frozen=True, slots=True)
class VersionMarked:
    """Retirement is proposed at `delete_after`, unless a reason to keep the version appears before."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    rule: str
    reason: str
    delete_after: datetime


@dataclass(frozen=True, slots=True)
class VersionSpared:
    """The version stays, for all these reasons. `unmarked`: it was marked before."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    reasons: tuple[Reason, ...]
    unmarked: bool


@dataclass(frozen=True, slots=True)
class RetirementProposed:
    """The grace period is over: the registry decides on the retirement."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    rule: str
    reason: str


OwnEvent = (
    UsageRecorded
    | RetentionChanged
    | RetentionRemoved
    | RetentionInherited
    | VersionMarked
    | VersionSpared
    | RetirementProposed
)
RetentionEvent = Noted | OwnEvent
