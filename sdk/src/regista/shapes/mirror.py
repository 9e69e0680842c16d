"""Shapes of requests to mirror, and of its answers.

`python -m tools.contracts` writes this file.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class CheckAccepted(TypedDict):
    """GET /v1/mirrors/{target} shows the progress of the check."""

    target: str
    check_id: str
    repair: bool


class CheckAnswer(TypedDict):
    """The newest check of a target. The figures grow while it runs. `problem`: why it ended early, or ""."""

    check_id: str
    repair: bool
    running: bool
    compared: int
    drifted: int
    problem: str
    at: str


class DifferenceAnswer(TypedDict):
    """`found` is null where the target lacks the version."""

    field: str
    wanted: str
    found: str | None


class MirroredVersion(TypedDict):
    """A version at a target. `detail` explains the standing; `address` is empty before it is there.

    `semver`, `stage` and `position` (the registry's stream and revision) are those that the target
    showed last.
    """

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    status: Literal["due", "mirrored", "drifted", "waiting", "absent", "failed"]
    attempts: int
    at: str
    code: str
    detail: str
    differences: list[DifferenceAnswer]
    address: str
    position: str
    shown_at: str | None


class MirroredVersions(TypedDict):
    items: list[MirroredVersion]
    next_page_token: str


class NewCheck(TypedDict):
    """With `repair`, what differs is written again, and what failed is tried again."""

    repair: NotRequired[bool]


class TargetAnswer(TypedDict):
    """A target. `surveyed`: all versions that were registered before it was set have been requested.

    `versions` counts those of models that the caller may read, by standing: `due` (waits for an
    attempt), `mirrored` (in step), `drifted` (changed there), `waiting` (for its bytes), `absent` (need
    not be there), `failed` (not tried again by itself). `failure`: the newest failed attempt since one
    succeeded; `next_at`: when the next attempt is due.
    """

    target: str
    kind: str
    namespaces: list[str]
    from_stage: Literal["Staging", "Validated", "Production"]
    set_at: str
    set_by: str
    surveyed: bool
    versions: dict[str, int]
    failure: str | None
    failed_at: str | None
    next_at: str | None
    check: CheckAnswer | None


class TargetRemoved(TypedDict):
    """What the target has stays there."""

    target: str


class TargetSettings(TypedDict):
    """What is mirrored to a target. Its address and credentials are in its settings file at the service."""

    kind: str
    namespaces: NotRequired[list[str]]
    from_stage: NotRequired[Literal["Staging", "Validated", "Production"]]


class Targets(TypedDict):
    items: list[TargetAnswer]
