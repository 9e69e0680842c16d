"""Shapes of requests to cleanup, and of its answers.

`python -m tools.contracts` writes this file.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class CleanupRun(TypedDict):
    """`model_id` is empty for a cleanup run over all models. The figures grow until it is finished."""

    cleanup_run_id: str
    phase: Literal["planned", "finished"]
    trigger: Literal["schedule", "demand"]
    model_id: str
    actor: str
    at: str
    models: int
    versions: int
    finished_at: str | None


class CleanupRunAccepted(TypedDict):
    """GET /v1/cleanup-runs/{cleanup_run_id} shows the progress of the cleanup run."""

    cleanup_run_id: str
    dry_run: Literal[False]


class CleanupRunShown(TypedDict):
    """`verdicts` counts versions by verdict; `items` are those of models the caller may read."""

    cleanup_run_id: str
    phase: Literal["planned", "finished"]
    trigger: Literal["schedule", "demand"]
    model_id: str
    actor: str
    at: str
    models: int
    versions: int
    finished_at: str | None
    verdicts: dict[str, int]
    items: list[CleanupRunVerdict]
    next_page_token: str


class CleanupRunVerdict(TypedDict):
    model_id: str
    model: str
    number: int
    semver: str
    verdict: Literal["marked", "spared", "proposed", "retired", "refused"]
    rule: str
    reasons: list[Why]
    delete_after: str | None
    at: str


class CleanupRuns(TypedDict):
    items: list[CleanupRun]
    next_page_token: str


class Default(TypedDict):
    """The retention default of a namespace; `*` is everything. `revision` is its ETag."""

    namespace: str
    policy: PolicyOutput
    revision: int


class DefaultChanged(TypedDict):
    """`before` and `policy` are null where the namespace has no default."""

    namespace: str
    before: PolicyOutput | None
    policy: PolicyOutput | None
    revision: int
    changed: bool


class Defaults(TypedDict):
    items: list[Default]


class ModelUsed(TypedDict):
    """How often one version was used between two moments.

    Counts are increments: send each once, under one message id.
    """

    model: str
    model_id: NotRequired[str | None]
    number: int
    count: int
    window_start: str
    window_end: str
    environment: NotRequired[str]
    endpoint: NotRequired[str]


class NewCleanupRun(TypedDict):
    """A cleanup run over all models or one, beginning now.

    With `dry_run` the answer is the plan, under `policy` where one is given, and nothing is recorded.
    `namespace` limits a plan to the models below it.
    """

    dry_run: NotRequired[bool]
    model: NotRequired[str]
    namespace: NotRequired[str]
    policy: NotRequired[PolicyInput | None]


class PolicyInput(TypedDict):
    """A retention policy. A duration that is left out keeps the versions that it is about permanently."""

    unused: NotRequired[str | None]
    left_production: NotRequired[str | None]
    unknown: NotRequired[str | None]
    draft: NotRequired[str | None]
    rejected: NotRequired[str | None]
    keep_newest: NotRequired[int]
    grace: NotRequired[str | None]


class PolicyOutput(TypedDict):
    """A retention policy. A duration that is left out keeps the versions that it is about permanently."""

    unused: NotRequired[str | None]
    left_production: NotRequired[str | None]
    unknown: NotRequired[str | None]
    draft: NotRequired[str | None]
    rejected: NotRequired[str | None]
    keep_newest: NotRequired[int]
    grace: NotRequired[str | None]


class Retention(TypedDict):
    """`source` is where the policy comes from: `model`, a namespace, `*` for everything, or empty for
    none.

    Without a policy nothing is retired. `revision` is the ETag of the model's own policy, 0 without
    one.
    """

    model_id: str
    model: str
    policy: PolicyOutput
    source: str
    revision: int
    versions: list[Standing]
    next_page_token: str


class RetentionChanged(TypedDict):
    """`before` and `policy` are the policies in force, before the change and after it."""

    model_id: str
    model: str
    before: PolicyOutput
    policy: PolicyOutput
    source: str
    revision: int
    changed: bool


class Simulation(TypedDict):
    """The plan of a cleanup run now. Marked versions come first; `truncated`: not all versions are shown."""

    dry_run: Literal[True]
    at: str
    models: int
    versions: int
    verdicts: dict[str, int]
    items: list[Verdict]
    truncated: bool


class Standing(TypedDict):
    """A version, its uses and the newest verdict on it. `stage` is the registry's, also when it is
    retired.

    `uses` is null when no use was ever reported, `verdict` when no cleanup run has judged the version.
    """

    number: int
    semver: str
    stage: str
    retired: bool
    registered_at: str
    uses: int | None
    last_used_at: str | None
    verdict: Literal["marked", "spared", "proposed", "retired", "refused"] | None
    rule: str | None
    reasons: list[Why]
    delete_after: str | None
    cleanup_run_id: str | None
    at: str | None


class Usage(TypedDict):
    """All versions ever used; by day for the last month."""

    model_id: str
    model: str
    versions: list[Uses]
    days: list[UsesOfDay]
    next_page_token: str


class UsageTaken(TypedDict):
    model_id: str
    number: int
    total: int
    last_used_at: str


class Uses(TypedDict):
    number: int
    total: int
    last_used_at: str


class UsesOfDay(TypedDict):
    """`day` is a UTC date."""

    day: str
    number: int
    total: int


class Verdict(TypedDict):
    """The verdict on a version: the rule by which it may be retired, or every reason to keep it."""

    model_id: str
    model: str
    number: int
    semver: str
    verdict: Literal["marked", "spared", "proposed", "retired", "refused"]
    rule: str
    reasons: list[Why]
    delete_after: str | None


class Why(TypedDict):
    """`code` is stable, `detail` for people."""

    code: str
    detail: str
