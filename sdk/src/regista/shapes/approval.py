"""Shapes of requests to approval, and of its answers.

`python -m tools.contracts` writes this file.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class AdoptionBody(TypedDict):
    """A version in another registry that serves in production there, as the caller read it at `read_at`.

    `system`, `uri`, `id` (the model) and `number` are those of its `imported_from`. `stage`: the words
    of that registry.
    """

    system: str
    uri: str
    id: str
    number: str
    stage: str
    read_at: str


class AfterReviewBody(TypedDict):
    """The after-review of a break-glass override."""

    justified: bool
    comment: NotRequired[str]


class ApproveBody(TypedDict):
    """`accepts`: the gates whose result is only good if each approver accepts it by name."""

    comment: NotRequired[str]
    conditions: NotRequired[list[str]]
    accepts: NotRequired[list[str]]


class BreakGlassBody(TypedDict):
    """What an override of the policy entails.

    `by_maker`: who made the version may override. `after_review_in`: when the after-review is overdue
    (72h, 3d). `overdue`: `block` grants the model nothing meanwhile. `unjustified`: a version whose
    override was not justified gets no further traffic; `roll_back` also takes the traffic that it has.
    """

    by_maker: NotRequired[bool]
    after_review_in: NotRequired[str]
    overdue: NotRequired[Literal["remind", "block"]]
    unjustified: NotRequired[Literal["stop", "roll_back"]]


class Callers(TypedDict):
    """What callers of the champion will notice. `breaks`: each way in which their calls would fail."""

    bump: str
    breaks: list[str]
    notice: str


class ChampionLine(TypedDict):
    number: int
    semver: str


class CommentBody(TypedDict):
    comment: str


class Compared(TypedDict):
    """One value beside the champion's. `note`: `same data`, `not comparable`, or empty."""

    name: str
    champion: Any
    candidate: Any
    note: NotRequired[str]


class ConfirmBody(TypedDict):
    """`revision`: that of the proposal, as it was read. `reason`: why it is right; the log stores it."""

    revision: int
    reason: NotRequired[str]


class Decider(TypedDict):
    """A person with a role that the review needs. `why_not` is empty for one who may decide."""

    subject: str
    may_decide: bool
    why_not: str


class Entry(TypedDict):
    """`justified`: what an after-review found about the override; None for every other entry."""

    revision: int
    kind: str
    by: str
    name: str
    text: str
    conditions: list[str]
    justified: bool | None
    at: str


class GateBody(TypedDict):
    """One gate: its kind and the parameters of that kind.

    - metadata_complete: The version has all mandatory metadata. No parameters. - artifact_verified: The
    stored bytes match the registered digest. No parameters. - metric_threshold {metric, min, max,
    dataset}: The metric is within bounds. `min`, `max`: inclusive; give at least one. `dataset`: a name
    or digest; without it the metric must be within bounds on every data set that it was measured on. -
    no_regression {metric, tolerance, different_data}: The metric is not worse than the champion's on
    the same data set. `metric`: without it, the version's primary one. `tolerance`: absolute.
    `different_data`: the result when the two versions were not measured on the same data set; with
    `tick`, each approver must accept it. - schema_compatible {allow_major, breaking}: The champion's
    callers can call the version unchanged. `allow_major`: a MAJOR version may break them. `breaking`:
    the result when it breaks them; with `tick`, each approver must accept it. - lineage_sound: No
    version that this one was made from, at any distance, is withdrawn. No parameters. -
    independent_evaluation {metric}: Someone who did not make the version has evaluated it. `metric`:
    without it, any metric. - manual {approvers, roles, expires_in, machines, dependent_because,
    sign_in}: People approve, in Production only. `approvers`: how many distinct people. `roles`: each
    of them has one of these in the model's namespace. `expires_in`: how long the review stays open
    (30m, 12h, 7d). `machines`: subjects that may approve without being people, each with the reason.
    `dependent_because`: why approvers count whom a maker or the requester created, granted or keyed;
    without a reason they do not. `sign_in` {max_age, acr, amr}: approvers sign in at a trusted issuer,
    at most `max_age` ago (15m), with a level of `acr` and a method of `amr`.
    """

    kind: str
    params: NotRequired[dict[str, Any]]
    name: NotRequired[str]


class GateResult(TypedDict):
    gate: str
    passed: bool
    detail: str
    inputs_digest: str
    tick: NotRequired[bool]


class GatesAnswer(TypedDict):
    """`stage` is the registry's. `waits_for`: what must arrive before the gates can be checked."""

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    withdrawn: bool
    retired: bool
    artifact_digest: str
    artifact: str
    waits_for: list[str]
    gates: list[Verdict]
    promotions: list[PromotionListed]


class ModelChange(TypedDict):
    """A model to which another policy, or the same with another quorum, applies for a stage.

    `approvers`: None where no policy has gates for the stage, 0 where no person approves.
    """

    model: str
    stage: str
    policy_before: str
    policy_after: str
    approvers_before: int | None
    approvers_after: int | None


class OverrideBody(TypedDict):
    """`adopts`: the promotion takes over what serves in another registry. That needs the role admin, too."""

    reason: str
    adopts: NotRequired[AdoptionBody | None]


class PolicyAnswer(TypedDict):
    """A policy. `revision` 0: no revision is published yet, only proposed."""

    name: str
    revision: int
    digest: str
    policy: dict[str, Any]
    active: bool
    published_at: str | None
    published_by: str
    proposal: Proposal | None


class PolicyBody(TypedDict):
    """Gates by stage, and the models that they are for.

    `Validated`: gates of that stage; `Production` and `NonProduction`: gates of a promotion to an
    environment that is production or not. `challenger_cap`: the percent of the requests in a production
    environment that versions which the policy validated may take without a promotion; without it the
    model's tier decides. `two_to_recall`: the withdrawal of such a version needs a second person. Gates
    for Production need a manual one, or `unreviewed: true` with the `unreviewed_reason`.
    """

    stages: dict[str, list[GateBody]]
    applies_to: NotRequired[SelectorBody]
    description: NotRequired[str]
    priority: NotRequired[int]
    active: NotRequired[bool]
    challenger_cap: NotRequired[int | None]
    two_to_recall: NotRequired[bool]
    unreviewed: NotRequired[bool]
    unreviewed_reason: NotRequired[str]
    break_glass: NotRequired[BreakGlassBody]


class PolicyLine(TypedDict):
    name: str
    revision: int
    approvers: int
    roles: list[str]
    machines: dict[str, str]
    dependent_because: str
    sign_in: SignInLine | None


class PolicyPage(TypedDict):
    items: list[PolicyAnswer]
    next_page_token: str


class PolicyPreview(TypedDict):
    """What publishing the policy would change. `second_admin`: it needs another admin's confirmation.

    `models` are the first of `models_changed`, and `reviews` those of `reviews_changed`.
    """

    weaker: list[str]
    second_admin: bool
    models: list[ModelChange]
    models_changed: int
    reviews: list[ReviewChange]
    reviews_changed: int


class PolicyReference(TypedDict):
    name: str
    revision: int
    digest: str


class PromotionAnswer(TypedDict):
    promotion_id: str
    environment: str
    requester: str
    reason: str
    state: Literal["open", "granted", "promoted", "spent", "refused"]
    reasons: list[str]
    conditions: list[str]
    approvers: list[str]
    override: bool
    requested_at: str
    decided_at: str | None
    model_id: str
    model: str
    number: int
    digest: str


class PromotionListed(TypedDict):
    """A promotion.

    `granted`: the registry has not carried the grant out yet; `promoted`: it has. `spent`: the grant
    ended before the version was champion. `refused`: by approval or by the registry, `reasons` state
    why. With `override`, an override stands that grants the next request over the same facts.
    """

    promotion_id: str
    environment: str
    requester: str
    reason: str
    state: Literal["open", "granted", "promoted", "spent", "refused"]
    reasons: list[str]
    conditions: list[str]
    approvers: list[str]
    override: bool
    requested_at: str
    decided_at: str | None


class Proposal(TypedDict):
    """A weaker revision that waits for a second admin. `weaker`: how it requires less than before."""

    revision: int
    digest: str
    policy: dict[str, Any]
    weaker: list[str]
    proposed_at: str
    proposed_by: str


class ReasonBody(TypedDict):
    reason: str


class Requested(TypedDict):
    by: str
    reason: str
    at: str | None
    environment: str


class ReviewAnswer(TypedDict):
    """`evidence`: all that the gates were checked on; empty after an override without a review."""

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
    opened_at: str
    expires_at: str | None
    requester: str
    due_at: str | None
    overdue_since: str | None
    summary: Summary
    evidence: dict[str, Any]
    entries: list[Entry]


class ReviewChange(TypedDict):
    """An open review that the policy concerns. `then`: `lapses`, or `goes on`."""

    review_id: str
    model: str
    number: int
    needs_before: int
    needs_after: int | None
    then: str


class ReviewListed(TypedDict):
    """`may_decide`: whether the caller may decide it now; `why_not` is empty when it is over."""

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
    opened_at: str
    expires_at: str | None
    requester: str
    due_at: str | None
    overdue_since: str | None
    may_decide: bool
    why_not: str


class ReviewPage(TypedDict):
    items: list[ReviewListed]
    next_page_token: str


class SelectorBody(TypedDict):
    """The models and the environments that a policy is for.

    An empty field selects any; a namespace selects those below it, too. A policy with `environments` is
    only for promotions there.
    """

    namespaces: NotRequired[list[str]]
    kinds: NotRequired[list[str]]
    tiers: NotRequired[list[Literal["low", "medium", "high"]]]
    tags: NotRequired[dict[str, str]]
    environments: NotRequired[list[str]]


class SignInLine(TypedDict):
    """How approvers must have signed in: at most `max_age` ago, with a level of `acr`, a method of `amr`."""

    max_age: str
    acr: list[str]
    amr: list[str]


class Summary(TypedDict):
    """The first screen of a review: who requests it, why, what changed, who notices, who may decide.

    `accept`: the gates that each approver must accept by name. `sealed`: the digests that approvals are
    bound to.
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


class Verdict(TypedDict):
    stage: str
    passed: bool
    results: list[GateResult]
    policy: PolicyReference
    evidence_digest: str
    evidence: dict[str, Any]
    promotion_id: str | None
    evaluated_at: str
