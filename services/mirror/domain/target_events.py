"""The events of one target, in the stream `mirror-<target>`.

`next_at`: when the target is due again, None when nothing waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Differs:
    """One field in which the target differs. `found` is None where it lacks the version."""

    field: str
    wanted: str
    found: str | None


@dataclass(frozen=True, slots=True)
class MirrorTargetSet:
    """Versions of the models in `namespaces` ("*": all) are mirrored from the stage `from_stage` on.

    The target's address and credentials are in its settings file, never in an event. `first_request`: the
    first request since the target was set; it stays until the target is removed.
    """

    target: str
    kind: str
    namespaces: tuple[str, ...]
    from_stage: str
    first_request: int


@dataclass(frozen=True, slots=True)
class MirrorTargetRemoved:
    """Nothing is written to the target any more. What it has stays there."""

    target: str


@dataclass(frozen=True, slots=True)
class MirrorSurveyed:
    """All versions that were registered when the target was set have been requested."""

    target: str
    requested: int


@dataclass(frozen=True, slots=True)
class MirrorRequested:
    """A version has to be compared with the target, and written where it differs.

    `request` counts the requests of the target. `why`: the event that led to it.
    """

    target: str
    model_id: str
    model: str
    number: int
    request: int
    why: str
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The target shows the version as the registry has it. `written`: it did not do so before.

    `name`: what the model is called there, chosen when its first version came. `aliases` are those of the
    registry that it shows. `again`: another request came meanwhile.
    """

    target: str
    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    name: str
    address: str
    aliases: tuple[str, ...]
    position: str
    written: tuple[str, ...]
    again: bool
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorDeferred:
    """The version is not mirrored now.

    `absent`: it need not be there. `waiting`: its bytes are not verified yet.
    """

    target: str
    model_id: str
    model: str
    number: int
    status: Literal["absent", "waiting"]
    reason: str
    again: bool
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorFailed:
    """An attempt failed. `gave_up`: it is not tried again until the version is requested again.

    `code`: `refused` by the target, `unavailable`, or `unexpected`.
    """

    target: str
    model_id: str
    model: str
    number: int
    code: str
    detail: str
    attempt: int
    gave_up: bool
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorCheckRequested:
    """The target is compared with the registry. With `repair`, what differs is written again."""

    target: str
    check_id: str
    repair: bool


@dataclass(frozen=True, slots=True)
class MirrorDrifted:
    """A check found that the target shows something else than was written to it."""

    target: str
    model_id: str
    model: str
    number: int
    check_id: str
    differences: tuple[Differs, ...]
    repair: bool
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class MirrorCheckAdvanced:
    """A part of a check is done: up to this version, in order of model ids and numbers."""

    target: str
    check_id: str
    repair: bool
    model_id: str
    number: int
    compared: int
    drifted: int


@dataclass(frozen=True, slots=True)
class MirrorChecked:
    """A check ended. `problem`: why it ended early, or ""."""

    target: str
    check_id: str
    repair: bool
    compared: int
    drifted: int
    problem: str


TargetEvent = (
    MirrorTargetSet
    | MirrorTargetRemoved
    | MirrorSurveyed
    | MirrorRequested
    | Mirrored
    | MirrorDeferred
    | MirrorFailed
    | MirrorCheckRequested
    | MirrorDrifted
    | MirrorCheckAdvanced
    | MirrorChecked
)
