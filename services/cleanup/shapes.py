"""The JSON of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from services.cleanup.domain.policy import DEFAULT_POLICY, RetentionPolicy
from shared.http.routes import Body, PageQuery

Kind = Literal["marked", "spared", "proposed", "retired", "refused"]


class Policy(Body):
    """A retention policy. A field that is left out takes the default.

    Durations are seconds; null keeps a version permanently.
    """

    unused_seconds: float | None = Field(
        DEFAULT_POLICY.unused_seconds, ge=0, le=1e10, description="since the last use"
    )
    left_production_seconds: float | None = Field(
        DEFAULT_POLICY.left_production_seconds, ge=0, le=1e10, description="since it left Production"
    )
    unknown_seconds: float | None = Field(
        DEFAULT_POLICY.unknown_seconds,
        ge=0,
        le=1e10,
        description="since registration, if no use was ever reported",
    )
    draft_seconds: float | None = Field(DEFAULT_POLICY.draft_seconds, ge=0, le=1e10)
    rejected_seconds: float | None = Field(DEFAULT_POLICY.rejected_seconds, ge=0, le=1e10)
    keep_newest: int = Field(DEFAULT_POLICY.keep_newest, ge=0, le=1_000_000)
    grace_seconds: float = Field(
        DEFAULT_POLICY.grace_seconds, ge=0, le=1e10, description="between the mark and the proposal"
    )

    def to_domain(self) -> RetentionPolicy:
        return RetentionPolicy(**self.model_dump())


class NewSweep(Body):
    """A sweep over all models or one, beginning now.

    With `dry_run` the answer is the plan, under `policy` where one is given, and nothing is recorded.
    """

    dry_run: bool = False
    model: str = Field("", max_length=200, description="name or id; empty for all models")
    policy: Policy | None = None


class VerdictQuery(PageQuery):
    page_size: int = Field(500, ge=1, le=500)
    verdict: Kind | Literal[""] = Field("", description="only versions with this verdict")


class Why(BaseModel):
    """`code` is stable, `detail` for people."""

    code: str
    detail: str


class Verdict(BaseModel):
    """The verdict on a version: the rule by which it may be retired, or every reason to keep it."""

    model_id: str
    model: str
    number: int
    semver: str
    verdict: Kind
    rule: str
    reasons: list[Why]
    delete_after: datetime | None


class SweepVerdict(Verdict):
    at: datetime


class Sweep(BaseModel):
    """`model_id` is empty for a sweep over all models. The figures grow until it is finished."""

    sweep_id: str
    phase: Literal["planned", "finished"]
    trigger: Literal["schedule", "demand"]
    model_id: str
    actor: str
    at: datetime
    models: int
    versions: int
    finished_at: datetime | None


class SweepShown(Sweep):
    """`verdicts` counts versions by verdict; `items` are those of models the caller may read."""

    verdicts: dict[Kind, int]
    items: list[SweepVerdict]
    next_page_token: str


class Sweeps(BaseModel):
    items: list[Sweep]
    next_page_token: str


class SweepAccepted(BaseModel):
    """GET /v1/sweeps/{sweep_id} shows the progress of the sweep."""

    sweep_id: str
    dry_run: Literal[False]


class Simulation(BaseModel):
    """The plan of a sweep now. Marked versions come first; `truncated`: not all versions are shown."""

    dry_run: Literal[True]
    at: datetime
    models: int
    versions: int
    verdicts: dict[Kind, int]
    items: list[Verdict]
    truncated: bool


class Standing(BaseModel):
    """A version, its uses and the newest verdict on it.

    `uses` is null when no use was ever reported, `verdict` when no sweep has judged the version.
    """

    number: int
    semver: str
    stage: str
    registered_at: datetime
    uses: int | None
    last_used_at: datetime | None
    verdict: Kind | None
    rule: str | None
    reasons: list[Why]
    delete_after: datetime | None
    sweep_id: str | None
    at: datetime | None


class Retention(BaseModel):
    """`revision` is the ETag of the policy, 0 while the default applies."""

    model_id: str
    model: str
    policy: Policy
    is_default: bool
    revision: int
    versions: list[Standing]
    next_page_token: str


class RetentionChanged(BaseModel):
    model_id: str
    model: str
    policy: Policy
    revision: int
    changed: bool


class Uses(BaseModel):
    number: int
    total: int
    last_used_at: datetime


class UsesOfDay(BaseModel):
    """`day` is a UTC date."""

    day: str
    number: int
    total: int


class Usage(BaseModel):
    """All versions ever used; by day for the last month."""

    model_id: str
    model: str
    versions: list[Uses]
    days: list[UsesOfDay]
    next_page_token: str


class UsageTaken(BaseModel):
    model_id: str
    number: int
    total: int
    last_used_at: datetime
