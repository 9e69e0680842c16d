"""Shapes of policies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.approval.domain.gate_kinds import KINDS, Kind
from shared.http.routes import Body

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

    `Validated`: gates of that stage; `Production` and `NonProduction`: gates of a promotion to an environment
    that is production or not. `challenger_cap`: the percent of the requests in a production environment that
    versions which the policy validated may take without a promotion; without it the model's tier decides.
    `two_to_recall`: the withdrawal of such a version needs a second person. Gates for Production need a
    manual one, or `unreviewed: true` with the `unreviewed_reason`.
    """

    stages: dict[Stage, tuple[GateBody, ...]]
    applies_to: SelectorBody = SelectorBody()
    description: str = Long
    priority: int = Field(default=0, ge=-1000, le=1000)
    active: bool = True
    challenger_cap: int | None = Field(default=None, ge=0, le=100)
    two_to_recall: bool = False
    unreviewed: bool = False
    unreviewed_reason: str = Field(default="", max_length=2_000)
    break_glass: BreakGlassBody = BreakGlassBody()


class ConfirmBody(Body):
    """`revision`: that of the proposal, as it was read. `reason`: why it is right; the log stores it."""

    revision: int = Field(ge=1)
    reason: str = Field(default="", max_length=2_000)


class PublicationQuery(Body):
    """Why the policy changes. The log stores it permanently."""

    reason: str = Field(default="", max_length=2_000)


class PolicyQuery(Body):
    revision: int | None = Field(default=None, ge=1)


class Proposal(BaseModel):
    """A weaker revision that waits for a second admin. `weaker`: how it requires less than before."""

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
