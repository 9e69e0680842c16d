"""The JSON bodies, queries and answers of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.approval.domain.gate_kinds import KINDS, Kind
from shared.http.routes import Body, PageQuery

Stage = Literal["Validated", "Production", "NonProduction"]
Short = Field(default="", max_length=200)
Long = Field(default="", max_length=10_000)


def _described(name: str, kind: Kind) -> str:
    """Describe a kind of gate: its name, its parameters, and the docstring of the class of its parameters."""
    parameters = f" {{{', '.join(kind.parameters)}}}" if kind.parameters else ""
    return f"- {name}{parameters}: {' '.join((kind.params.__doc__ or '').split())}"


class GateBody(Body):
    __doc__ = "\n".join(
        (
            "One gate: its kind and the parameters of that kind.",
            "",
            *(_described(name, kind) for name, kind in KINDS.items()),
        )
    )

    kind: str = Field(max_length=100, examples=list(KINDS))
    params: dict[str, Any] = Field(default_factory=dict)
    name: str = Short


class SelectorBody(Body):
    """The models and the environments that a policy is for.

    An empty field selects any; a namespace selects those below it, too. A policy with `environments` is only
    for promotions there.
    """

    namespaces: tuple[str, ...] = Field(default=(), max_length=100)
    kinds: tuple[str, ...] = Field(default=(), max_length=20)
    tiers: tuple[Literal["low", "medium", "high"], ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    environments: tuple[str, ...] = Field(default=(), max_length=100)


class PolicyBody(Body):
    """Gates by stage, and the models that they are for.

    `Validated`: gates of that stage; `Production` and `NonProduction`: gates of a promotion to an environment
    that is production or not. `challenger_cap`: the percent of the requests in a production environment that
    versions which the policy validated may take without a promotion; without it the model's tier decides.
    `two_to_recall`: the recall of such a version needs a second person.
    """

    stages: dict[Stage, tuple[GateBody, ...]]
    applies_to: SelectorBody = SelectorBody()
    description: str = Long
    priority: int = Field(default=0, ge=-1000, le=1000)
    active: bool = True
    challenger_cap: int | None = Field(default=None, ge=0, le=100)
    two_to_recall: bool = False


class PolicyQuery(Body):
    revision: int | None = Field(default=None, ge=1)


class ReviewsQuery(PageQuery):
    state: Literal["open", "approved", "rejected", "lapsed", "expired", "overridden", "closed"] | None = None
    model: str | None = Field(default=None, max_length=300)


class ApproveBody(Body):
    comment: str = Long
    conditions: tuple[str, ...] = Field(default=(), max_length=50)


class ReasonBody(Body):
    reason: str = Field(min_length=1, max_length=10_000)


class CommentBody(Body):
    comment: str = Field(min_length=1, max_length=10_000)


class AfterReviewBody(Body):
    """The after-review of a break-glass override."""

    justified: bool
    comment: str = Long


class PolicyAnswer(BaseModel):
    name: str
    revision: int
    digest: str
    policy: dict[str, Any]
    active: bool
    published_at: datetime
    published_by: str


class PolicyPage(BaseModel):
    items: list[PolicyAnswer]
    next_page_token: str


class GateResult(BaseModel):
    gate: str
    passed: bool
    detail: str
    inputs_digest: str


class PolicyReference(BaseModel):
    name: str
    revision: int
    digest: str


class Verdict(BaseModel):
    stage: str
    passed: bool
    results: list[GateResult]
    policy: PolicyReference
    evidence_digest: str
    evidence: dict[str, Any]
    promotion_id: str | None
    evaluated_at: datetime


class PromotionListed(BaseModel):
    """A promotion.

    `granted`: the registry has not carried the grant out yet; `promoted`: it has. `spent`: the grant ended
    before the version was champion. `refused`: by approval or by the registry, `reasons` state why. With
    `override`, an override stands that grants the next request over the same facts.
    """

    promotion_id: str
    environment: str
    requester: str
    state: Literal["open", "granted", "promoted", "spent", "refused"]
    reasons: list[str]
    approvers: list[str]
    override: bool
    requested_at: datetime
    decided_at: datetime | None


class PromotionAnswer(PromotionListed):
    model_id: str
    model: str
    number: int
    digest: str


class GatesAnswer(BaseModel):
    """`stage` is the registry's. `waits_for`: what must arrive before the gates can be checked."""

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    recalled: bool
    retired: bool
    artifact_digest: str
    artifact: str
    waits_for: list[str]
    gates: list[Verdict]
    promotions: list[PromotionListed]


class Entry(BaseModel):
    revision: int
    kind: str
    by: str
    name: str
    text: str
    conditions: list[str]
    at: datetime


class ReviewListed(BaseModel):
    """`serve`: the last approval gives the version all requests where no version serves.

    `production`: whether the environment is one.
    """

    review_id: str
    revision: int
    state: str
    model_id: str
    model: str
    number: int
    semver: str
    environment: str
    production: bool
    serve: bool
    needs: int
    approvers: list[str]
    roles: list[str]
    excluded: list[str]
    seal: dict[str, str]
    sealed_digest: str
    policy: dict[str, Any]
    evidence_digest: str
    results: list[GateResult]
    opened_at: datetime
    expires_at: datetime | None


class ReviewPage(BaseModel):
    items: list[ReviewListed]
    next_page_token: str


class ReviewAnswer(ReviewListed):
    """`evidence`: all that the gates were checked on; empty after an override without a review."""

    evidence: dict[str, Any]
    entries: list[Entry]
