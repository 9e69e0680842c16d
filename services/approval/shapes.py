"""What the API takes and gives, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.http.routes import Body, PageQuery

Stage = Literal["Validated", "Production"]
Short = Field(default="", max_length=200)
Long = Field(default="", max_length=10_000)


class GateBody(Body):
    """One gate, by its kind and the parameters of that kind.

    metadata_complete, artifact_verified, metric_threshold {metric, min, max, dataset}, no_regression {metric,
    tolerance, different_data}, schema_compatible {allow_major}, independent_evaluation {metric}, manual
    {approvers, roles, expires_in}.
    """

    kind: str = Field(max_length=100)
    params: dict[str, Any] = Field(default_factory=dict)
    name: str = Short


class SelectorBody(Body):
    """Empty means any."""

    namespaces: tuple[str, ...] = Field(default=(), max_length=100)
    kinds: tuple[str, ...] = Field(default=(), max_length=20)
    tiers: tuple[Literal["low", "medium", "high"], ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)


class PolicyBody(Body):
    """Gates by stage, and the models they are for."""

    stages: dict[Stage, tuple[GateBody, ...]]
    applies_to: SelectorBody = SelectorBody()
    description: str = Long
    priority: int = Field(default=0, ge=-1000, le=1000)
    active: bool = True


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


class LookBackBody(Body):
    """The after-review of a break-glass grant."""

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


class Answered(BaseModel):
    gate: str
    passed: bool
    detail: str
    inputs_digest: str


class PolicyNamed(BaseModel):
    name: str
    revision: int
    digest: str


class EvaluationAnswer(BaseModel):
    stage: str
    passed: bool
    results: list[Answered]
    policy: PolicyNamed
    evidence_digest: str
    evidence: dict[str, Any]
    promotion_id: str | None
    evaluated_at: datetime


class PromotionListed(BaseModel):
    """`override` while denied: the glass was broken, and the next request over the same facts is granted."""

    promotion_id: str
    environment: str
    requester: str
    state: Literal["open", "granted", "denied", "refused"]
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
    """`waits_for` names what must arrive before the gates can be asked."""

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    artifact_digest: str
    artifact: str
    waits_for: list[str]
    gates: list[EvaluationAnswer]
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
    review_id: str
    revision: int
    state: str
    model_id: str
    model: str
    number: int
    semver: str
    environment: str
    needs: int
    approvers: list[str]
    roles: list[str]
    excluded: list[str]
    seal: dict[str, str]
    sealed_digest: str
    policy: dict[str, Any]
    evidence_digest: str
    results: list[Answered]
    opened_at: datetime
    expires_at: datetime | None


class ReviewPage(BaseModel):
    items: list[ReviewListed]
    next_page_token: str


class ReviewAnswer(ReviewListed):
    """`evidence` is all that the gates looked at; empty when the glass was broken without a review."""

    evidence: dict[str, Any]
    entries: list[Entry]
