"""Shapes of reviews."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from services.approval.shapes.gates import GateResult
from shared.http.routes import Body, PageQuery

Long = Field(default="", max_length=10_000)


class ReviewsQuery(PageQuery):
    """`pending`: open reviews, and overrides whose after-review is missing.

    `mine`: only those that the caller may decide. `id_prefix`: only those whose id begins so.
    """

    state: (
        Literal["pending", "open", "approved", "rejected", "lapsed", "expired", "overridden", "closed"] | None
    ) = None
    model: str | None = Field(default=None, max_length=300)
    mine: bool = False
    id_prefix: str | None = Field(default=None, min_length=1, max_length=100)


class ApproveBody(Body):
    """`accepts`: the gates whose result is only good if each approver accepts it by name."""

    comment: str = Long
    conditions: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(
        default=(), max_length=50
    )
    accepts: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=50)


class CommentBody(Body):
    comment: str = Field(min_length=1, max_length=10_000)


class AfterReviewBody(Body):
    """The after-review of a break-glass override."""

    justified: bool
    comment: str = Long


class Entry(BaseModel):
    """`justified`: what an after-review found about the override; None for every other entry."""

    revision: int
    kind: str
    by: str
    name: str
    text: str
    conditions: list[str]
    justified: bool | None
    at: datetime


class ReviewSummary(BaseModel):
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
    requester: str
    due_at: datetime | None
    overdue_since: datetime | None


class ReviewListed(ReviewSummary):
    """`may_decide`: whether the caller may decide it now; `why_not` is empty when it is over."""

    may_decide: bool
    why_not: str


class ReviewPage(BaseModel):
    items: list[ReviewListed]
    next_page_token: str


class Compared(BaseModel):
    """One value beside the champion's. `note`: `same data`, `not comparable`, or empty."""

    name: str
    champion: Any
    candidate: Any
    note: str = ""


class Decider(BaseModel):
    """A person with a role that the review needs. `why_not` is empty for one who may decide."""

    subject: str
    may_decide: bool
    why_not: str


class Requested(BaseModel):
    by: str
    reason: str
    at: datetime | None
    environment: str


class ChampionLine(BaseModel):
    number: int
    semver: str


class Callers(BaseModel):
    """What callers of the champion will notice. `breaks`: each way in which their calls would fail."""

    bump: str
    breaks: list[str]
    notice: str


class SignInLine(BaseModel):
    """How approvers must have signed in: at most `max_age` ago, with a level of `acr`, a method of `amr`."""

    max_age: str
    acr: list[str]
    amr: list[str]


class PolicyLine(BaseModel):
    name: str
    revision: int
    approvers: int
    roles: list[str]
    machines: dict[str, str]
    dependent_because: str
    sign_in: SignInLine | None


class Summary(BaseModel):
    """The first screen of a review: who requests it, why, what changed, who notices, who may decide.

    `accept`: the gates that each approver must accept by name. `sealed`: the digests that approvals are bound
    to.
    """

    requested: Requested
    creator: str
    run_url: str
    champion: ChampionLine | None
    changes: dict[str, list[Compared]]
    callers: Callers
    policy: PolicyLine
    accept: list[str]
    sealed: dict[str, str]
    deciders: list[Decider]


class ReviewAnswer(ReviewSummary):
    """`evidence`: all that the gates were checked on; empty after an override without a review."""

    summary: Summary
    evidence: dict[str, Any]
    entries: list[Entry]
