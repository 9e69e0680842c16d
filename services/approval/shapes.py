"""The JSON bodies, queries and answers of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from services.approval.domain.gate_kinds import KINDS, Kind
from shared.http.routes import Body, PageQuery

Stage = Literal["Validated", "Production"]
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
    """The models that a policy is for.

    An empty field selects any; a namespace selects those below it, too.
    """

    namespaces: tuple[str, ...] = Field(default=(), max_length=100)
    kinds: tuple[str, ...] = Field(default=(), max_length=20)
    tiers: tuple[Literal["low", "medium", "high"], ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)


class BreakGlassBody(Body):
    """What an override of the policy entails.

    `by_maker`: who made the version may override. `after_review_in`: when the after-review is overdue (72h,
    3d). `overdue`: `block` grants the model nothing meanwhile. `unjustified`: a version whose override was
    not justified gets no further traffic; `roll_back` also takes the traffic that it has.
    """

    by_maker: bool = False
    after_review_in: str = Field(default="3d", max_length=20)
    overdue: Literal["remind", "block"] = "remind"
    unjustified: Literal["stop", "roll_back"] = "stop"


class PolicyBody(Body):
    """Gates by stage, and the models that they are for.

    Gates for Production need a manual one, or `unreviewed: true` with the `unreviewed_reason`.
    """

    stages: dict[Stage, tuple[GateBody, ...]]
    applies_to: SelectorBody = SelectorBody()
    description: str = Long
    priority: int = Field(default=0, ge=-1000, le=1000)
    active: bool = True
    unreviewed: bool = False
    unreviewed_reason: str = Field(default="", max_length=2_000)
    break_glass: BreakGlassBody = BreakGlassBody()


class ConfirmBody(Body):
    """`revision`: that of the proposal, as it was read."""

    revision: int = Field(ge=1)


class PolicyQuery(Body):
    revision: int | None = Field(default=None, ge=1)


class ReviewsQuery(PageQuery):
    """`pending`: open reviews, and overrides whose after-review is missing."""

    state: (
        Literal["pending", "open", "approved", "rejected", "lapsed", "expired", "overridden", "closed"] | None
    ) = None
    model: str | None = Field(default=None, max_length=300)


class ApproveBody(Body):
    """`accepts`: the gates whose result is only good if each approver accepts it by name."""

    comment: str = Long
    conditions: tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...] = Field(
        default=(), max_length=50
    )
    accepts: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=50)


class ReasonBody(Body):
    reason: str = Field(min_length=1, max_length=10_000)


class CommentBody(Body):
    comment: str = Field(min_length=1, max_length=10_000)


class AfterReviewBody(Body):
    """The after-review of a break-glass override."""

    justified: bool
    comment: str = Long


class Proposal(BaseModel):
    """A weaker revision that waits for a second admin. `weaker`: how it asks for less than before."""

    revision: int
    digest: str
    policy: dict[str, Any]
    weaker: list[str]
    proposed_at: datetime
    proposed_by: str


class ModelChange(BaseModel):
    """A model to which another policy, or the same with another quorum, applies for a stage.

    `approvers`: None where no policy has gates for the stage, 0 where no person approves.
    """

    model: str
    stage: str
    policy_before: str
    policy_after: str
    approvers_before: int | None
    approvers_after: int | None


class ReviewChange(BaseModel):
    """An open review that the policy concerns. `then`: `lapses`, or `goes on`."""

    review_id: str
    model: str
    number: int
    needs_before: int
    needs_after: int | None
    then: str


class PolicyPreview(BaseModel):
    """What publishing the policy would change. `second_admin`: it needs another admin's confirmation.

    `models` are the first of `models_changed`, and `reviews` those of `reviews_changed`.
    """

    weaker: list[str]
    second_admin: bool
    models: list[ModelChange]
    models_changed: int
    reviews: list[ReviewChange]
    reviews_changed: int


class PolicyAnswer(BaseModel):
    """A policy. `revision` 0: no revision is published yet, only proposed."""

    name: str
    revision: int
    digest: str
    policy: dict[str, Any]
    active: bool
    published_at: datetime | None
    published_by: str
    proposal: Proposal | None


class PolicyPage(BaseModel):
    items: list[PolicyAnswer]
    next_page_token: str


class GateResult(BaseModel):
    gate: str
    passed: bool
    detail: str
    inputs_digest: str
    tick: bool = False


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
    """`override` with state `denied`: an override stands; it grants the next request over the same facts."""

    promotion_id: str
    environment: str
    requester: str
    reason: str
    state: Literal["open", "granted", "denied", "refused"]
    reasons: list[str]
    conditions: list[str]
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
    """`waits_for`: what must arrive before the gates can be checked."""

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
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
    results: list[GateResult]
    opened_at: datetime
    expires_at: datetime | None
    requester: str
    due_at: datetime | None
    overdue_since: datetime | None


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
    """A person with a role that the review asks for. `why_not` is empty for one who may decide."""

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


class PolicyLine(BaseModel):
    name: str
    revision: int
    approvers: int
    roles: list[str]
    machines: dict[str, str]
    dependent_because: str


class Summary(BaseModel):
    """The first screen of a review: who asks, why, what changed, who notices, who may decide.

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


class ReviewAnswer(ReviewListed):
    """`evidence`: all that the gates were checked on; empty after an override without a review."""

    summary: Summary
    evidence: dict[str, Any]
    entries: list[Entry]
