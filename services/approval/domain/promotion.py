"""How a promotion is decided: over the version's gate, its model's facts, the policies and the review, in one decision.

- requested, and a gate fails: PromotionDenied
- requested, the gates pass, and no people are asked: PromotionGranted
- requested, the gates pass, and the policy has a manual gate: ReviewOpened; then
  - the last approval needed: PromotionGranted
  - rejected, lapsed or expired: PromotionDenied
- open, and somebody breaks the glass: OverrideUsed, PromotionGranted (override), an after-review is owed
- denied, and somebody breaks the glass: OverrideUsed, OverrideStands; the next request over the same facts is granted by it,
  unless the after-review came first and found it unjustified: OverrideReviewed, OverrideWithdrawn
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from services.approval.domain import gate, outcomes, policy, review
from services.approval.domain.assessment import Assessment, Situation, assess, evaluated, situation
from services.approval.domain.evidence import digest_of
from services.approval.domain.facts import TERMINAL, Promotion
from services.approval.domain.gate import OverrideStands, OverrideWithdrawn
from services.approval.domain.outcomes import Decided
from services.approval.domain.policy import PRODUCTION, VALIDATED
from services.approval.domain.review import (
    About,
    OverrideUsed,
    ReviewApproved,
    ReviewOverride,
    ReviewRefreshed,
    ReviewRejected,
    ReviewState,
    Seal,
)
from shared.deciding.decider import NO_TIME, Misrouted, NotFound, RuleBroken, Stale, Streams, Unprocessable


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Ask the version's open gates again, and let its open promotions follow."""

    model_id: str
    number: int
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class Approve:
    """`expected` is the revision of the review that the approver saw: there is no approval of whatever it is now.

    `name` is printed on the record; `former` are names before a correction, by which the version may still
    name its maker.
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
    former: tuple[str, ...] = ()
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
    """The review's time is up."""

    promotion_id: str
    model_id: str
    number: int
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class Override:
    """Break-glass: grant what the policy has not."""

    promotion_id: str
    model_id: str
    number: int
    by: str
    reason: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """The streams of a command about one version: those it writes, the main one first, and those it depends on."""

    writes: tuple[str, ...]
    depends_on: tuple[str, ...] = field(default=())


def streams_of(
    model_id: str, number: int, promotion_ids: Iterable[str], policy_names: Iterable[str]
) -> Named:
    """What each command of this file needs.

    Misrouted tells that a promotion or a policy came up after they were looked up.
    """
    reviews = tuple(review.stream_of(p) for p in sorted(promotion_ids))
    policies = tuple(policy.stream_of(name) for name in sorted(policy_names))
    return Named(
        (gate.stream_of(model_id, number), *reviews), (gate.stream_of(model_id), policy.ALL, *policies)
    )


def decide_evaluate(command: Evaluate, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Nothing changed since the last evaluation: no events."""
    s = situation(command.model_id, command.number, streams)
    decided: Decided = {s.stream: []}
    if gate.may_validate(s.gate):
        decided[s.stream] += evaluated(s, assess(s, VALIDATED))
    for promotion in s.gate.open_promotions:
        for stream, events in settle(s, promotion, _review(promotion.id, streams), command.now).items():
            decided.setdefault(stream, []).extend(events)
    return decided | _left_behind(s, streams)


def _left_behind(s: Situation, streams: Streams) -> Decided:
    """Lapses the reviews whose promotion registry has refused: superseded by a newer request, say."""
    over = {review.stream_of(p.id): p for _, p in sorted(s.gate.promotions.items()) if p.status != "open"}
    named = [(stream, p, streams.states[stream]) for stream, p in over.items() if stream in streams.states]
    return {
        stream: outcomes.lapsed(state, [f"the promotion was {p.status}"])
        for stream, p, state in named
        if state.status == "open"
    }


def settle(s: Situation, promotion: Promotion, state: ReviewState, now: datetime) -> Decided:
    """Brings an open promotion up to date with all that is known: opened, granted, denied, lapsed, or nothing new."""
    version = s.gate.version
    if version is not None and version.stage in TERMINAL:
        return outcomes.lapse(
            s, promotion, state, [f"the version was {version.stage.lower()}"], "publish another version"
        )
    if s.gate.waits_for:
        return {}
    a = assess(s, PRODUCTION, promotion.environment)
    decided: Decided = {s.stream: [*evaluated(s, a, promotion)]}
    if state.status == "open":
        more = _go_on(s, promotion, state, a)
    elif version and version.stage == "Staging":
        more = {
            s.stream: [outcomes.denied(s, promotion, ("the version is not Validated; its gates say why",))]
        }
    elif (
        (standing := s.gate.overrides.get(promotion.environment))
        and standing.sealed_digest == digest_of(a.seal)
        and (a.manual or not a.passed)
    ):
        more = {
            s.stream: [outcomes.granted(promotion, a, (standing.by,), standing.promotion_id, override=True)]
        }
    elif not a.passed:
        more = {s.stream: [outcomes.denied(s, promotion, a.reasons)]}
    elif a.manual:
        more = {review.stream_of(promotion.id): [outcomes.opened(promotion, a, a.manual, now)]}
    else:
        more = {s.stream: [outcomes.granted(promotion, a, ())]}
    for stream, events in more.items():
        decided.setdefault(stream, []).extend(events)
    return decided


def _go_on(s: Situation, promotion: Promotion, state: ReviewState, a: Assessment) -> Decided:
    """An open review lapses when what it sealed changed or a gate flipped; a new champion is shown."""
    changed = _changes(state.seal, a.seal)
    if changed or not a.passed:
        return outcomes.lapse(
            s, promotion, state, [f"the {what} changed" for what in changed] + list(a.reasons)
        )
    if state.shown != a.evidence_digest:
        return {
            review.stream_of(promotion.id): [
                ReviewRefreshed(outcomes.about(promotion, a), a.evidence_digest, a.evidence, a.results)
            ]
        }
    return {}


def _changes(sealed: Seal | None, current: Seal) -> list[str]:
    return [
        f.name for f in fields(Seal) if sealed is None or getattr(sealed, f.name) != getattr(current, f.name)
    ]


def decide_approve(command: Approve, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """One more approval, and the grant when it was the last one needed.

    What is not current any more lapses instead, or is shown first.
    """
    s = situation(command.model_id, command.number, streams)
    state, promotion = _open_review(command.promotion_id, s, streams)
    if state.excludes(command.by, command.name, *command.former):
        raise RuleBroken(
            "own_work",
            f"{command.by} made this version or asked for its promotion; another approver has to decide",
        )
    _check_role(command.role, state)
    if command.by in state.approvals:
        return {}
    _check_seen(command.expected, state)
    if _past(state, command.now):
        return outcomes.expire(s, promotion, state)
    not_current = settle(s, promotion, state, command.now)
    if any(not_current.values()):
        return not_current
    current, approvers = assess(s, PRODUCTION, promotion.environment), (*state.approvals, command.by)
    complete = len(approvers) >= state.needs
    approved = ReviewApproved(
        outcomes.about(promotion, current),
        command.by,
        command.name,
        command.role,
        command.comment,
        command.conditions,
        state.sealed_digest,
        approvers,
        complete,
    )
    granted = [outcomes.granted(promotion, current, approvers, promotion.id)] if complete else []
    return {review.stream_of(command.promotion_id): [approved], s.stream: granted}


def decide_reject(command: Reject, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """One rejection is enough."""
    s = situation(command.model_id, command.number, streams)
    state, promotion = _open_review(command.promotion_id, s, streams)
    _check_role(command.role, state)
    _check_seen(command.expected, state)
    if not command.reason.strip():
        raise Unprocessable("reason_missing", "a rejection says why: give a reason")
    about = state.about or About(promotion.id, command.model_id, "", command.number)
    return {
        review.stream_of(promotion.id): [ReviewRejected(about, command.by, command.name, command.reason)],
        s.stream: [outcomes.denied(s, promotion, (f"rejected by {command.by}: {command.reason}",))],
    }


def decide_expire(command: Expire, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Nothing for a review that was decided in time.

    By a clock that was set back it is not due yet, which is no outcome: it is tried again.
    """
    s = situation(command.model_id, command.number, streams)
    state = _review(command.promotion_id, streams)
    if state.status != "open":
        return {}
    if not _past(state, command.now):
        raise RuleBroken("not_due", f"the review stays open until {state.expires_at}")
    promotion = s.gate.promotions[command.promotion_id]
    return outcomes.expire(s, promotion, state) if promotion.status == "open" else _left_behind(s, streams)


def decide_override(command: Override, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """The grant that the policy has not given; for a promotion that is over, the next request is granted.

    Unverified bytes never pass.
    """
    s = situation(command.model_id, command.number, streams)
    promotion, state = s.gate.promotions.get(command.promotion_id), _review(command.promotion_id, streams)
    if promotion is None or s.gate.version is None:
        raise NotFound("unknown_promotion", "there is no such promotion; request one first")
    if not command.reason.strip():
        raise Unprocessable(
            "reason_missing", "breaking the glass needs a reason that the after-review can judge"
        )
    if command.by in state.overridden_by:
        return {}
    if promotion.status not in {"open", "denied"}:
        raise RuleBroken("promotion_closed", f"the promotion was {promotion.status}; request a new one")
    if s.gate.artifact != "released" or s.gate.version.stage in {*TERMINAL, "Staging"}:
        raise RuleBroken(
            "not_overridable",
            "only a Validated version whose artifact is verified can go to Production, by override, too",
        )
    a = assess(s, PRODUCTION, promotion.environment)
    people = (
        f"{len(state.approvals)} of {state.needs} approvals"
        if state.status == "open"
        else f"the review was {state.status}"
        if state.status
        else ""
    )
    bypassed = (*a.reasons, *([people] if people else []))
    excluded = tuple(dict.fromkeys((*s.gate.version.makers, *promotion.people)))
    used = OverrideUsed(
        outcomes.about(promotion, a),
        promotion.environment,
        command.by,
        command.name,
        command.reason,
        bypassed,
        excluded,
        a.seal,
        a.evidence_digest,
    )
    stands = OverrideStands(
        promotion.id, command.model_id, command.number, promotion.environment, command.by, digest_of(a.seal)
    )
    granted = [
        *evaluated(s, a, promotion),
        outcomes.granted(promotion, a, (command.by,), promotion.id, override=True),
    ]
    return {
        review.stream_of(promotion.id): [used],
        s.stream: granted if promotion.status == "open" else [stands],
    }


def decide_review_override(command: ReviewOverride, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """The look back; an override that was not justified grants nothing from then on.

    What it has granted stays granted: recall the version for that.
    """
    stream, gate_stream = (
        review.stream_of(command.promotion_id),
        gate.stream_of(command.model_id, command.number),
    )
    reviewed = review.decide(command, _review(command.promotion_id, streams))
    state: gate.GateState = streams.states[gate_stream]
    unjustified = bool(reviewed) and not command.justified
    standing = [
        o
        for _, o in sorted(state.overrides.items())
        if unjustified and o.promotion_id == command.promotion_id
    ]
    withdrawn = [
        OverrideWithdrawn(o.promotion_id, o.model_id, o.number, o.environment, command.by) for o in standing
    ]
    return {stream: reviewed, gate_stream: withdrawn}


def _review(promotion_id: str, streams: Streams) -> ReviewState:
    stream = review.stream_of(promotion_id)
    if stream not in streams.states:
        raise Misrouted(
            "promotion_opened", "a promotion was requested meanwhile; look it up again, then repeat"
        )
    state: ReviewState = streams.states[stream]
    return state


def _open_review(promotion_id: str, s: Situation, streams: Streams) -> tuple[ReviewState, Promotion]:
    state = _review(promotion_id, streams)
    if state.about is None:
        raise NotFound(
            "unknown_review", "there is no such review; list the open ones with GET /v1/reviews?state=open"
        )
    promotion = s.gate.promotions[promotion_id]
    if state.status != "open" or promotion.status != "open":
        found = (
            f"the review is {state.status}"
            if state.status != "open"
            else f"the promotion was {promotion.status}"
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
            f"the policy asks for {' or '.join(state.roles)}; {role} does not count",
            roles=state.roles,
        )


def _check_seen(expected: int | None, state: ReviewState) -> None:
    if expected is not None and expected != state.revision:
        raise Stale(
            "stale_review",
            f"the review is at revision {state.revision} now; read it again, then repeat",
            revision=state.revision,
        )


def _past(state: ReviewState, now: datetime) -> bool:
    return state.expires_at is not None and now >= state.expires_at
