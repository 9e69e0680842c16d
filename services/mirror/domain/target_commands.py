"""The commands to one target."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.mirror.domain.target_events import Differs
from shared.deciding.decider import NO_TIME


@dataclass(frozen=True, slots=True)
class SetTarget:
    """Set what is mirrored to a target. Its kind never changes. See MirrorTargetSet."""

    target: str
    kind: str
    namespaces: tuple[str, ...]
    from_stage: str


@dataclass(frozen=True, slots=True)
class RemoveTarget:
    """Stop writing to the target."""

    target: str


@dataclass(frozen=True, slots=True)
class FinishSurvey:
    """Record that all versions were requested that were registered when the target was set."""

    target: str
    requested: int


@dataclass(frozen=True, slots=True)
class RequestVersion:
    """Request that a version is compared with the target.

    `enters`: the stage that the version has now, as far as the event names it. A version that was never
    mirrored is requested only when this stage is mirrored. `only`: leave a version alone that has no other
    standing: `new` is one that is not at the target, `waiting` one whose bytes it waits for.
    """

    target: str
    model_id: str
    model: str
    number: int
    why: str
    enters: str = ""
    only: Literal["", "new", "waiting"] = ""
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordMirrored:
    """Record that the target shows the version. `request` is the newest request that the attempt read."""

    target: str
    model_id: str
    number: int
    request: int
    semver: str
    stage: str
    model: str
    name: str
    address: str
    aliases: tuple[str, ...]
    position: str
    written: tuple[str, ...]
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class DeferVersion:
    """Record that the version is not mirrored now. See MirrorDeferred."""

    target: str
    model_id: str
    number: int
    request: int
    status: Literal["absent", "waiting"]
    reason: str
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """Record a failed attempt.

    `retry`: whether repeating can help. `retry_after`: the seconds that the target wants to be left alone.
    """

    target: str
    model_id: str
    number: int
    request: int
    code: str
    detail: str
    retry: bool
    retry_after: float | None = None
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class BeginCheck:
    """Begin a check of the target, unless one runs."""

    target: str
    check_id: str
    repair: bool


@dataclass(frozen=True, slots=True)
class RecordDrift:
    """Record in what a version differs."""

    target: str
    model_id: str
    number: int
    check_id: str
    differences: tuple[Differs, ...]
    repair: bool
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class AdvanceCheck:
    """Record a part of a check. `finished`: it was the last one. See MirrorCheckAdvanced."""

    target: str
    check_id: str
    model_id: str
    number: int
    compared: int
    drifted: int
    finished: bool
    problem: str = ""


TargetCommand = (
    SetTarget
    | RemoveTarget
    | FinishSurvey
    | RequestVersion
    | RecordMirrored
    | DeferVersion
    | RecordFailure
    | BeginCheck
    | RecordDrift
    | AdvanceCheck
)
