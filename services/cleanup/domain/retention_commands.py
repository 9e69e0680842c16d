"""The commands of `retention-<model_id>`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.cleanup.domain.policy import RetentionPolicy
from shared.deciding.decider import NO_TIME
from shared.deciding.events import Source


@dataclass(frozen=True, slots=True)
class NoteRegistryEvent:
    """Note one of the registry's events about this model. `data` holds the fields that a verdict needs."""

    source: Source
    leaf: str
    data: dict[str, Any]
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """Count the uses that a publisher reported."""

    model_id: str
    number: int
    count: int
    window_start: datetime
    window_end: datetime
    environment: str
    endpoint: str = ""
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class ChangeRetention:
    """Change the model's own policy. None removes it, so that the model inherits one.

    `expected` is the policy's revision that the caller read (If-Match; 0: no own policy), None for any.
    """

    model_id: str
    policy: RetentionPolicy | None
    expected: int | None = None
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class SweepVersions:
    """Judge the versions numbered `first` to `last`, both included."""

    model_id: str
    sweep_id: str
    first: int
    last: int
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class ProposeRetirement:
    """Propose the retirement of a version whose grace period is over."""

    model_id: str
    number: int
    sweep_id: str
    now: datetime = NO_TIME


RetentionCommand = NoteRegistryEvent | RecordUsage | ChangeRetention | SweepVersions | ProposeRetirement
