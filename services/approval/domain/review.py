"""`review-<promotion_id>`: people approve what the review shows, or review an override afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from services.approval.domain.review_events import (
    About,
    AfterReviewOverdue,
    OverrideReviewed,
    OverrideUsed,
    ReviewApproved,
    ReviewCommented,
    ReviewEvent,
    ReviewExpired,
    ReviewLapsed,
    ReviewOpened,
    ReviewRefreshed,
    ReviewRejected,
    Seal,
)
from services.approval.domain.sign_in import SignInAsked
from shared.deciding.decider import NO_TIME, Decider, NotFound, RuleBroken
from shared.deciding.person import Person


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whose decision a review needs. `dependent`: also people whom the makers appointed.

    `sign_in`: how they must have signed in.
    """

    approvers: int
    roles: tuple[str, ...]
    machines: tuple[str, ...]
    dependent: bool
    sign_in: SignInAsked | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    by: str
    comment: str


@dataclass(frozen=True, slots=True)
class ReviewOverride:
    """The mandatory after-review of a break-glass override, by another person.

    `people`: as in Approve.
    """

    promotion_id: str
    model_id: str
    number: int
    by: str
    justified: bool
    comment: str
    people: dict[str, Person] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemindAfterReview:
    """Report that an after-review is overdue."""

    now: datetime = NO_TIME


AFTER = timedelta(days=1)
"""The time between two reports of the same overdue after-review."""


@dataclass(frozen=True, slots=True)
class ReviewState:
    """`status`: "" (none), open, approved, rejected, lapsed, expired, overridden, closed.

    overridden: the after-review is due; closed: it is done, with the verdict `justified`. `names`: the
    printed names of approvers, by subject. `ticks`: the gates whose result each approver accepts.
    `reminders`: how often the after-review was reported as overdue. `texts`: digests of what people wrote.
    `adopts`: an override states what it takes over.
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
    conditions: tuple[str, ...] = ()
    ticks: tuple[str, ...] = ()
    expires_at: datetime | None = None
    overridden_by: tuple[str, ...] = ()
    machines: dict[str, str] = field(default_factory=dict)
    dependent_because: str = ""
    requester: str = ""
    names: dict[str, str] = field(default_factory=dict)
    environment: str = ""
    due_at: datetime | None = None
    unjustified: str = "stop"
    reminders: int = 0
    justified: bool | None = None
    texts: frozenset[str] = frozenset()
    sign_in: SignInAsked | None = None
    adopts: bool = False

    @property
    def approval_names(self) -> dict[str, str]:
        """The printed names of those whose approvals count, by subject."""
        return {who: self.names.get(who, "") for who in self.approvals}

    @property
    def quorum(self) -> Quorum:
        """Whose decision the review needs."""
        return Quorum(
            self.needs,
            tuple(sorted(self.roles)),
            tuple(sorted(self.machines)),
            bool(self.dependent_because),
            self.sign_in,
        )


def stream_of(promotion_id: str) -> str:
    return f"review-{promotion_id}"


def decide(
    command: Comment | RemindAfterReview, state: ReviewState
) -> Sequence[ReviewCommented | AfterReviewOverdue]:
    match command:
        case Comment(by=by, comment=comment):
            return [ReviewCommented(existing(state), by, comment)]
        case RemindAfterReview(now=now):
            return _remind(now, state)
        case _:
            assert_never(command)


def _remind(now: datetime, state: ReviewState) -> Sequence[AfterReviewOverdue]:
    """Return the report of an overdue after-review; nothing when it was made.

    Raises RuleBroken when it is not due yet, as after a clock was set back: the due work tries again later.
    """
    if state.status != "overridden" or state.about is None or state.due_at is None:
        return []
    if now < state.due_at + state.reminders * AFTER:
        raise RuleBroken("not_due", f"the after-review is due at {state.due_at}")
    return [AfterReviewOverdue(state.about, state.overridden_by[-1], state.due_at, state.reminders + 1)]


def existing(state: ReviewState) -> About:
    """Return what the review is about. Raises NotFound when there is no such review."""
    if state.about is None:
        raise unknown_review()
    return state.about


def unknown_review() -> NotFound:
    """Return the error about a review that does not exist, or that the caller may not read."""
    return NotFound(
        "unknown_review",
        "there is no such review: choose one of the list",
        listed_at="/v1/reviews?state=open",
    )


def repeated(state: ReviewState, by: str, text: str) -> list[ReviewCommented]:
    """Return what a person adds who decides again in the same way: a comment, unless the text is known."""
    if not text.strip() or _digest(by, text) in state.texts:
        return []
    return [ReviewCommented(existing(state), by, text)]


def _digest(by: str, text: str) -> str:
    return hashlib.sha256(f"{by}\n{text}".encode()).hexdigest()[:16]


def _with_text(state: ReviewState, event: ReviewEvent) -> ReviewState:
    match event:
        case ReviewApproved(approver=by, comment=text):
            pass
        case ReviewCommented(by=by, comment=text) | OverrideReviewed(by=by, comment=text):
            pass
        case OverrideUsed(by=by, reason=text):
            pass
        case _:
            return state
    return replace(state, texts=state.texts | {_digest(by, text)}) if text else state


def evolve(state: ReviewState, event: ReviewEvent) -> ReviewState:
    state = _with_text(replace(state, revision=state.revision + 1, about=event.about), event)
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
                ticks=tuple(r.gate for r in event.results if r.tick),
                expires_at=event.expires_at,
                machines=event.machines,
                dependent_because=event.dependent_because,
                requester=event.requester,
                environment=event.environment,
                sign_in=event.sign_in,
            )
        case ReviewRefreshed(evidence_digest=shown, policy=policy):
            seal = replace(state.seal, policy=policy.digest) if state.seal and policy else state.seal
            ticks = tuple(r.gate for r in event.results if r.tick)
            return replace(state, shown=shown, seal=seal, ticks=ticks)
        case ReviewApproved(approvers=approvers, complete=complete):
            return replace(
                state,
                approvals=approvers,
                status="approved" if complete else state.status,
                names={**state.names, event.approver: event.approver_name},
                conditions=(*dict.fromkeys((*state.conditions, *event.conditions)),),
            )
        case ReviewRejected():
            return replace(state, status="rejected")
        case ReviewLapsed():
            return replace(state, status="lapsed")
        case ReviewExpired():
            return replace(state, status="expired")
        case OverrideUsed() | AfterReviewOverdue():
            return _evolve_override(state, event)
        case OverrideReviewed():
            return replace(state, status="closed", justified=event.justified)
        case ReviewCommented():
            return state
        case _:
            assert_never(event)


def _evolve_override(state: ReviewState, event: OverrideUsed | AfterReviewOverdue) -> ReviewState:
    match event:
        case OverrideUsed(by=by, excluded=excluded):
            return replace(
                state,
                adopts=state.adopts or event.adopts is not None,
                status="overridden",
                overridden_by=(*state.overridden_by, by),
                excluded=excluded,
                environment=event.environment,
                due_at=event.due_at,
                unjustified=event.unjustified,
                reminders=0,
            )
        case AfterReviewOverdue(reminder=reminder):
            return replace(state, reminders=reminder)
        case _:
            assert_never(event)


REVIEW: Decider[Comment | RemindAfterReview, ReviewEvent, ReviewState] = Decider(
    "review", ReviewState(), evolve, decide=decide
)
