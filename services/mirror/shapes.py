"""The JSON of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from shared.http.routes import Body, PageQuery

Status = Literal["due", "mirrored", "drifted", "waiting", "absent", "failed"]
FromStage = Literal["Staging", "Validated", "Production"]
Namespace = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class TargetSettings(Body):
    """What is mirrored to a target. Its address and credentials are in its settings file at the service."""

    kind: str = Field(max_length=40, description="the kind of registry: mlflow, sagemaker or azureml")
    namespaces: list[Namespace] = Field(default=["*"], min_length=1, max_length=100, description="* is all")
    from_stage: FromStage = "Validated"


class NewCheck(Body):
    """With `repair`, what differs is written again, and what failed is tried again."""

    repair: bool = False


class CheckAnswer(BaseModel):
    """The newest check of a target. The figures grow while it runs. `problem`: why it ended early, or ""."""

    check_id: str
    repair: bool
    running: bool
    compared: int
    drifted: int
    problem: str
    at: datetime


class TargetAnswer(BaseModel):
    """A target. `surveyed`: all versions that were registered before it was set have been requested.

    `versions` counts those of models that the caller may read, by standing: `due` (waits for an attempt),
    `mirrored` (in step), `drifted` (changed there), `waiting` (for its bytes), `absent` (need not be there),
    `failed` (not tried again by itself). `failure`: the newest failed attempt since one succeeded; `next_at`:
    when the next attempt is due.
    """

    target: str
    kind: str
    namespaces: list[str]
    from_stage: FromStage
    set_at: datetime
    set_by: str
    surveyed: bool
    versions: dict[Status, int]
    failure: str | None
    failed_at: datetime | None
    next_at: datetime | None
    check: CheckAnswer | None


class Targets(BaseModel):
    items: list[TargetAnswer]


class TargetRemoved(BaseModel):
    """What the target has stays there."""

    target: str


class CheckAccepted(BaseModel):
    """GET /v1/mirrors/{target} shows the progress of the check."""

    target: str
    check_id: str
    repair: bool


class MirrorQuery(PageQuery):
    status: Status | Literal[""] = Field("", description="only versions of this standing")


class DifferenceAnswer(BaseModel):
    """`found` is null where the target lacks the version."""

    field: str
    wanted: str
    found: str | None


class MirroredVersion(BaseModel):
    """A version at a target. `detail` explains the standing; `address` is empty before it is there.

    `semver`, `stage` and `position` (the registry's stream and revision) are those that the target showed
    last.
    """

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    status: Status
    attempts: int
    at: datetime
    code: str
    detail: str
    differences: list[DifferenceAnswer]
    address: str
    position: str
    shown_at: datetime | None


class MirroredVersions(BaseModel):
    items: list[MirroredVersion]
    next_page_token: str
