"""The JSON of requests and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from services.cleanup.domain.policy import OFF, RetentionPolicy
from shared.deciding.durations import LONGEST, duration_text, parse_duration
from shared.http.routes import Body, PageQuery

Kind = Literal["marked", "spared", "proposed", "retired", "refused"]


def _seconds(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    float | None,
    BeforeValidator(_seconds),
    PlainSerializer(lambda seconds: None if seconds is None else duration_text(seconds)),
    WithJsonSchema({"type": ["string", "null"], "examples": ["180d", "12h", "30m", "45s"]}),
]
"""A number and one of s, m, h, d; null keeps a version permanently."""


class Policy(Body):
    """A retention policy. A duration that is left out keeps the versions that it is about permanently."""

    unused: Duration = Field(None, ge=0, le=LONGEST, description="since the last use")
    left_production: Duration = Field(None, ge=0, le=LONGEST, description="since it left Production")
    unknown: Duration = Field(
        None, ge=0, le=LONGEST, description="since registration, if no use was ever reported"
    )
    draft: Duration = Field(None, ge=0, le=LONGEST, description="a draft, since registration")
    rejected: Duration = Field(None, ge=0, le=LONGEST, description="a rejected one, since registration")
    keep_newest: int = Field(OFF.keep_newest, ge=0, le=1_000_000, description="usable versions, always kept")
    grace: Duration = Field(
        OFF.grace_seconds, ge=0, le=LONGEST, description="between the mark and the proposal"
    )

    @field_validator("grace")
    @classmethod
    def _has_grace(cls, grace: float | None) -> float:
        if grace is None:
            raise ValueError("grace must be a duration, such as 14d")
        return grace

    def to_domain(self) -> RetentionPolicy:
        return RetentionPolicy(
            unused_seconds=self.unused,
            left_production_seconds=self.left_production,
            unknown_seconds=self.unknown,
            draft_seconds=self.draft,
            rejected_seconds=self.rejected,
            keep_newest=self.keep_newest,
            grace_seconds=self.grace if self.grace is not None else OFF.grace_seconds,
        )


def policy_shown(policy: RetentionPolicy) -> dict[str, Any]:
    """Return a policy as the JSON of answers."""
    durations = {
        "unused": policy.unused_seconds,
        "left_production": policy.left_production_seconds,
        "unknown": policy.unknown_seconds,
        "draft": policy.draft_seconds,
        "rejected": policy.rejected_seconds,
        "grace": policy.grace_seconds,
    }
    shown = {name: None if s is None else duration_text(s) for name, s in durations.items()}
    return shown | {"keep_newest": policy.keep_newest}


class WhyQuery(Body):
    """Why the policy changes. The log stores it permanently."""

    reason: str = Field("", max_length=2_000)


class NewCleanupRun(Body):
    """A cleanup run over all models or one, beginning now.

    With `dry_run` the answer is the plan, under `policy` where one is given, and nothing is recorded.
    `namespace` limits a plan to the models below it.
    """

    dry_run: bool = False
    model: str = Field("", max_length=200, description="name or id; empty for all models")
    namespace: str = Field("", max_length=200, description="only with dry_run")
    policy: Policy | None = None

    @model_validator(mode="after")
    def _one_scope(self) -> NewCleanupRun:
        if self.namespace and (self.model or not self.dry_run):
            raise ValueError("namespace limits a dry run over all models: leave out model, set dry_run")
        return self


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


class CleanupRunVerdict(Verdict):
    at: datetime


class CleanupRun(BaseModel):
    """`model_id` is empty for a cleanup run over all models. The figures grow until it is finished."""

    cleanup_run_id: str
    phase: Literal["planned", "finished"]
    trigger: Literal["schedule", "demand"]
    model_id: str
    actor: str
    at: datetime
    models: int
    versions: int
    finished_at: datetime | None


class CleanupRunShown(CleanupRun):
    """`verdicts` counts versions by verdict; `items` are those of models the caller may read."""

    verdicts: dict[Kind, int]
    items: list[CleanupRunVerdict]
    next_page_token: str


class CleanupRuns(BaseModel):
    items: list[CleanupRun]
    next_page_token: str


class CleanupRunAccepted(BaseModel):
    """GET /v1/cleanup-runs/{cleanup_run_id} shows the progress of the cleanup run."""

    cleanup_run_id: str
    dry_run: Literal[False]


class Simulation(BaseModel):
    """The plan of a cleanup run now. Marked versions come first; `truncated`: not all versions are shown."""

    dry_run: Literal[True]
    at: datetime
    models: int
    versions: int
    verdicts: dict[Kind, int]
    items: list[Verdict]
    truncated: bool


class Standing(BaseModel):
    """A version, its uses and the newest verdict on it. `stage` is the registry's, also when it is retired.

    `uses` is null when no use was ever reported, `verdict` when no cleanup run has judged the version.
    """

    number: int
    semver: str
    stage: str
    retired: bool
    registered_at: datetime
    uses: int | None
    last_used_at: datetime | None
    verdict: Kind | None
    rule: str | None
    reasons: list[Why]
    delete_after: datetime | None
    cleanup_run_id: str | None
    at: datetime | None


class Retention(BaseModel):
    """`source` is where the policy comes from: `model`, a namespace, `*` for everything, or empty for none.

    Without a policy nothing is retired. `revision` is the ETag of the model's own policy, 0 without one.
    """

    model_id: str
    model: str
    policy: Policy
    source: str
    revision: int
    versions: list[Standing]
    next_page_token: str


class RetentionChanged(BaseModel):
    """`before` and `policy` are the policies in force, before the change and after it."""

    model_id: str
    model: str
    before: Policy
    policy: Policy
    source: str
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


class Default(BaseModel):
    """The retention default of a namespace; `*` is everything. `revision` is its ETag."""

    namespace: str
    policy: Policy
    revision: int


class Defaults(BaseModel):
    items: list[Default]


class DefaultChanged(BaseModel):
    """`before` and `policy` are null where the namespace has no default."""

    namespace: str
    before: Policy | None
    policy: Policy | None
    revision: int
    changed: bool


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
