"""`review-<promotion_id>`: people approve what the review shows, or review an override afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, assert_never

from services.approval.domain.evidence import Evidence
from services.approval.domain.gate_kinds import Result
from services.approval.domain.policy import PolicyRef
from shared.deciding.access import normalized_name
from shared.deciding.decider import Decider, NotFound, RuleBroken


@dataclass(frozen=True, slots=True)
class About:
    """The promotion and the version that a review is about. The review has the promotion's id."""

    promotion_id: str
    model_id: str
    model: str
    number: int


@dataclass(frozen=True, slots=True)
class Seal:
    """Digests of what the review shows. When one of them changes, the review lapses."""

    version: str
    artifact: str
    evidence: str
    policy: str


# commands


@dataclass(frozen=True, slots=True)
class Comment:
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class ReviewOverride:
    """The mandatory after-review of a break-glass override, by another person.

    `names`: the reviewer's printed name now and before.
    """

    promotion_id: str
    model_id: str
    number: int
    by: str
    justified: bool
    comment: str
    names: tuple[str, ...] = ()


# events


@dataclass(frozen=True, slots=True)
class ReviewOpened:
    """`needs` distinct people with one of `roles` must approve; people in `excluded` may not.

    `serve`: the last approval gives the version all requests where no version serves. `production`: whether
    the environment is one.
    """

    SCHEMA: ClassVar[int] = 2

    about: About
    semver: str
    environment: str
    needs: int
    roles: tuple[str, ...]
    excluded: tuple[str, ...]
    seal: Seal
    sealed_digest: str
    policy: PolicyRef
    evidence_digest: str
    evidence: Evidence
    results: tuple[Result, ...]
    expires_at: datetime
    serve: bool = False
    production: bool = True


@dataclass(frozen=True, slots=True)
class ReviewRefreshed:
    """The champion or the model's name changed and the gates still pass.

    The review shows the new evidence and goes on.
    """

    SCHEMA: ClassVar[int] = 2

    about: About
    evidence_digest: str
    evidence: Evidence
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class ReviewApproved:
    """`approvers`: everyone who has approved so far. `complete`: this was the last approval needed.

    `approver_name` is kept as long as the record.
    """

    about: About
    approver: str
    approver_name: str
    role: str
    comment: str
    conditions: tuple[str, ...]
    sealed_digest: str
    approvers: tuple[str, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class ReviewRejected:
    about: About
    by: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReviewCommented:
    about: About
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class ReviewLapsed:
    """What the review showed has changed. A new promotion request opens a new review."""

    about: About
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReviewExpired:
    about: About
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OverrideUsed:
    """A break-glass override.

    `bypassed`: the gates and approvals that were missing. An after-review is due.
    """

    SCHEMA: ClassVar[int] = 2

    about: About
    environment: str
    by: str
    name: str
    reason: str
    bypassed: tuple[str, ...]
    excluded: tuple[str, ...]
    seal: Seal
    evidence_digest: str
    serve: bool = False
    production: bool = True


@dataclass(frozen=True, slots=True)
class OverrideReviewed:
    about: About
    by: str
    justified: bool
    comment: str


ReviewEvent = (
    ReviewOpened
    | ReviewRefreshed
    | ReviewApproved
    | ReviewRejected
    | ReviewCommented
    | ReviewLapsed
    | ReviewExpired
    | OverrideUsed
    | OverrideReviewed
)


@dataclass(frozen=True, slots=True)
class ReviewState:
    """`status`: "" (none), open, approved, rejected, lapsed, expired, overridden, closed.

    overridden: the after-review is due; closed: it is done.
    """

    revision: int = 0
    status: str = ""
    about: About | None = None
    needs: int = 0
    roles: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    seal: Seal | None = None
    sealed_digest: str = ""
    shown: str = ""
    approvals: tuple[str, ...] = ()
    expires_at: datetime | None = None
    overridden_by: tuple[str, ...] = ()

    def excludes(self, *people: str) -> bool:
        """Return whether one of these names is that of a person who made or requested the version.

        Metadata may name a maker by subject or by printed name, in any case and Unicode form.
        """
        return bool({normalized_name(p) for p in people if p} & {normalized_name(p) for p in self.excluded})


def stream_of(promotion_id: str) -> str:
    return f"review-{promotion_id}"


def decide(
    command: Comment | ReviewOverride, state: ReviewState
) -> Sequence[ReviewCommented | OverrideReviewed]:
    if state.about is None:
        raise NotFound(
            "unknown_review", "there is no such review; list the open ones with GET /v1/reviews?state=open"
        )
    match command:
        case Comment(by=by, comment=comment):
            return [ReviewCommented(state.about, by, comment)]
        case ReviewOverride(by=by, justified=justified, comment=comment, names=names):
            if state.status == "closed":
                return []
            if state.status != "overridden":
                raise RuleBroken(
                    "no_override",
                    "this promotion was not overridden; choose one whose review has the state overridden",
                )
            if by in state.overridden_by or state.excludes(by, *names):
                raise RuleBroken(
                    "own_work",
                    "you overrode, made or requested this promotion; ask another approver to review it",
                )
            return [OverrideReviewed(state.about, by, justified, comment)]
        case _:
            assert_never(command)


def evolve(state: ReviewState, event: ReviewEvent) -> ReviewState:
    state = replace(state, revision=state.revision + 1, about=event.about)
    match event:
        case ReviewOpened():
            return replace(
                state,
                status="open",
                needs=event.needs,
                roles=event.roles,
                excluded=event.excluded,
                seal=event.seal,
                sealed_digest=event.sealed_digest,
                shown=event.evidence_digest,
                expires_at=event.expires_at,
            )
        case ReviewRefreshed(evidence_digest=shown):
            return replace(state, shown=shown)
        case ReviewApproved(approvers=approvers, complete=complete):
            return replace(state, approvals=approvers, status="approved" if complete else state.status)
        case ReviewRejected():
            return replace(state, status="rejected")
        case ReviewLapsed():
            return replace(state, status="lapsed")
        case ReviewExpired():
            return replace(state, status="expired")
        case OverrideUsed(by=by, excluded=excluded):
            return replace(
                state, status="overridden", overridden_by=(*state.overridden_by, by), excluded=excluded
            )
        case OverrideReviewed():
            return replace(state, status="closed")
        case ReviewCommented():
            return state
        case _:
            assert_never(event)


REVIEW: Decider[Comment | ReviewOverride, ReviewEvent, ReviewState] = Decider(
    "review", ReviewState(), evolve, decide=decide
)
