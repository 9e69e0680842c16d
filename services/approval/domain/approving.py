"""Decide on approvals and rejections in a review, and end it when its time is up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.approval.domain import outcomes, review
from services.approval.domain.assessment import Assessment, Situation, assess_promotion, situation
from services.approval.domain.facts import Promotion, shown
from services.approval.domain.independence import (
    MADE,
    check_distinct,
    check_human,
    check_no_maker,
    check_not_appointed,
    still_count,
)
from services.approval.domain.promotion import left_behind, review_of, settle
from services.approval.domain.review import ReviewState
from services.approval.domain.review_events import ReviewApproved, ReviewRejected
from services.approval.domain.sign_in import Authentication, check_sign_in
from shared.deciding.decider import NO_TIME, Joint, RuleBroken, Stale, Streams, Unprocessable
from shared.deciding.person import Person


@dataclass(frozen=True, slots=True)
class Approve:
    """Approve what the review shows.

    `expected`: the revision of the review that the approver read. `name`: printed on the record. `accepts`:
    the gates whose result needs each approver's acceptance. `people`: all by which the approver, those who
    appointed the approver, the earlier approvers and the excluded people are recognised. `authentication`:
    how the approver signed in, None for an API key.
    """

    promotion_id: str
    model_id: str
    number: int
    by: str
    role: str
    expected: int
    name: str = ""
    comment: str = ""
    conditions: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    people: dict[str, Person] = field(default_factory=dict)
    authentication: Authentication | None = None
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class Reject:
    promotion_id: str
    model_id: str
    number: int
    by: str
    role: str
    reason: str
    name: str = ""
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """End the review because its time is up."""

    promotion_id: str
    model_id: str
    number: int
    now: datetime = NO_TIME


def approve(command: Approve, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the approval, and the grant when it was the last one needed.

    When what the review shows is no longer current, return what follows from that instead (lapsed, expired,
    refreshed). A second approval of the same person adds its comment only. Earlier approvers who do not count
    any more, as a link recorded since shows, are not among the approvers.
    """
    s = situation(command.model_id, command.number, streams)
    state, promotion = _open_review(command.promotion_id, s, streams)
    machine_because = check_human(command.by, streams, "approve", state.machines)
    check_no_maker(command.by, command.people, state.excluded, streams, MADE)
    _check_role(command.role, state)
    if command.by in state.approvals:
        return _again(command, state)
    check_sign_in(state.sign_in, command.authentication, command.now)
    _check_seen(command.expected, state)
    dependent = bool(state.dependent_because)
    if not dependent:
        check_not_appointed(command.by, command.people, state.excluded, streams)
    check_distinct(command.by, command.people, state.approval_names, streams, dependent=dependent)
    if _is_past(state, command.now):
        return outcomes.expire(s, promotion, state)
    not_current = settle(s, promotion, state, command.now)
    if any(not_current.values()):
        return not_current
    counting = still_count(command.people, state.approval_names, state.excluded, streams)
    current, approvers = assess_promotion(s, promotion), (*counting, command.by)
    accepted = _accepted(command, current)
    complete = len(approvers) >= state.needs
    approved = ReviewApproved(
        about=outcomes.about(promotion, current),
        approver=command.by,
        approver_name=command.name,
        role=command.role,
        comment=command.comment,
        conditions=command.conditions,
        sealed_digest=state.sealed_digest,
        approvers=approvers,
        complete=complete,
        accepted=accepted,
        machine_because=machine_because,
        authentication=command.authentication,
    )
    conditions = tuple(dict.fromkeys((*state.conditions, *command.conditions)))
    grant = outcomes.granted(promotion, current, approvers, promotion.id, conditions=conditions)
    return {review.stream_of(command.promotion_id): [approved], s.stream: [grant] if complete else []}


def _again(command: Approve, state: ReviewState) -> Mapping[str, Sequence[Any]]:
    """Return the comment of an approver who has approved. Raise RuleBroken for a new condition."""
    if new := [one for one in command.conditions if one not in state.conditions]:
        raise RuleBroken(
            "approved_already",
            f"you have approved this review, and an approval is not changed ({'; '.join(new)}); comment on "
            "the review, and ask the next approver for this condition",
            conditions=new,
        )
    commented = review.repeated(state, command.by, command.comment)
    return {review.stream_of(command.promotion_id): commented} if commented else {}


def _accepted(command: Approve, current: Assessment) -> tuple[str, ...]:
    """Return the gates that the approver accepts. Raise RuleBroken when one is missing."""
    needed = {result.gate: result.detail for result in current.results if result.tick}
    if missing := [gate for gate in needed if gate not in command.accepts]:
        reported = "; ".join(f"{gate}: {_shortened(needed[gate])}" for gate in missing)
        other = sorted(set(command.accepts) - needed.keys())
        unknown = f"{', '.join(other)}: no gate of that name waits for it; " if other else ""
        raise RuleBroken(
            "not_accepted",
            f"{unknown}an approver must accept by name what the gates leave open ({reported}); approve with "
            f"{' '.join(f'--accept {gate}' for gate in missing)}, or reject",
            gates=missing,
        )
    return tuple(needed)


def _shortened(detail: str, most: int = 160) -> str:
    """Return what a gate found as one line of an error; the review shows all of it."""
    return detail if len(detail) <= most else f"{detail[:most]}…"


def reject(command: Reject, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the rejection and the denial: one rejection is enough."""
    s = situation(command.model_id, command.number, streams)
    state, promotion = _open_review(command.promotion_id, s, streams)
    _check_role(command.role, state)
    _check_seen(command.expected, state)
    if not command.reason.strip():
        raise Unprocessable("reason_missing", "a rejection needs a reason; give one")
    about = review.existing(state)
    return {
        review.stream_of(promotion.id): [ReviewRejected(about, command.by, command.name, command.reason)],
        s.stream: [outcomes.denied(s, promotion, (f"rejected by {command.by}: {command.reason}",))],
    }


def expire(command: Expire, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the end of the review and the denial; no events for a review that was decided in time.

    Raises RuleBroken when it is not due yet, as after a clock was set back: the due work tries again later.
    An empty answer would be kept as the outcome of all later attempts.
    """
    s = situation(command.model_id, command.number, streams)
    state = review_of(command.promotion_id, streams)
    if state.status != "open":
        return {}
    if not _is_past(state, command.now):
        raise RuleBroken("not_due", f"the review stays open until {state.expires_at}")
    promotion = s.gate.promotions[command.promotion_id]
    return outcomes.expire(s, promotion, state) if promotion.status == "open" else left_behind(s, streams)


def _open_review(promotion_id: str, s: Situation, streams: Streams) -> tuple[ReviewState, Promotion]:
    """Return the review and its promotion. Raises NotFound or RuleBroken unless both are open."""
    state = review_of(promotion_id, streams)
    review.existing(state)
    promotion = s.gate.promotions[promotion_id]
    if state.status != "open" or promotion.status != "open":
        found = (
            f"the review is {state.status}"
            if state.status != "open"
            else f"the promotion is {shown(promotion.status)}"
        )
        raise RuleBroken(
            "review_closed",
            f"{found}; request the promotion again to open a new one",
            review_state=state.status,
        )
    return state, promotion


def _check_role(role: str, state: ReviewState) -> None:
    if role not in state.roles:
        raise RuleBroken(
            "role_not_asked",
            f"the policy requires {' or '.join(state.roles)}; {role} does not count",
            roles=state.roles,
        )


def _check_seen(expected: int | None, state: ReviewState) -> None:
    if expected is not None and expected != state.revision:
        raise Stale(
            "stale_review",
            f"the review is at revision {state.revision} now; read it again, then repeat",
            revision=state.revision,
        )


def _is_past(state: ReviewState, now: datetime) -> bool:
    return state.expires_at is not None and now >= state.expires_at


DECIDERS: dict[type, Joint[Any]] = {Approve: Joint(approve), Reject: Joint(reject), Expire: Joint(expire)}
