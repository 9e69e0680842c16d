"""Grant or deny an open promotion by its gates, or open its review.

A decision reads gates, model facts, policies and the review.

- requested, and a gate fails: PromotionDenied
- requested, the gates pass, and the policy has no manual gate: PromotionGranted
- requested, the gates pass, and the policy has a manual gate: ReviewOpened; then (approving.py)
  - the last approval needed: PromotionGranted
  - rejected, lapsed or expired: PromotionDenied
- open, and someone uses the break-glass override (override.py): OverrideUsed, PromotionGranted
- denied, and someone uses the override: OverrideUsed, OverrideStands. The next request over the same facts is
  granted, unless the after-review found the override unjustified: OverrideReviewed, OverrideWithdrawn
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from services.approval.domain import outcomes, policy, review, version_gates
from services.approval.domain.assessment import (
    Assessment,
    Situation,
    assess_promotion,
    assess_validated,
    is_validated,
    new_verdict,
    situation,
)
from services.approval.domain.evidence import digest_of
from services.approval.domain.facts import TERMINAL, Promotion, shown
from services.approval.domain.gate_checks import Manual
from services.approval.domain.gate_events import OverrideStands
from services.approval.domain.outcomes import Decided
from services.approval.domain.review import REVIEW, Quorum, ReviewState
from services.approval.domain.review_events import ReviewRefreshed, Seal
from services.approval.domain.sign_in import in_words
from shared.deciding.decider import NO_TIME, Joint, Misrouted, Streams


@dataclass(frozen=True, slots=True)
class AssessGates:
    """Check the version's gates if their verdict still matters, and bring its open promotions up to date."""

    model_id: str
    number: int
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class CommandStreams:
    """The streams that a command about one version writes (the version's first) and reads."""

    writes: tuple[str, ...]
    depends_on: tuple[str, ...] = field(default=())


def streams_of(
    model_id: str, number: int, promotion_ids: Iterable[str], policy_names: Iterable[str]
) -> CommandStreams:
    """Return the streams that a command about the version needs.

    `promotion_ids`: its open promotions, and those whose review may be open. `policy_names`: all policies. A
    decision that finds others raises Misrouted; look them up again then.
    """
    reviews = tuple(review.stream_of(p) for p in sorted(promotion_ids))
    policies = tuple(policy.stream_of(name) for name in sorted(policy_names))
    return CommandStreams(
        (version_gates.stream_of(model_id, number), *reviews),
        (version_gates.stream_of(model_id), policy.ALL, *policies),
    )


def assess_gates(command: AssessGates, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return what follows from the facts noted so far; no events when nothing changed since the last time."""
    s = situation(command.model_id, command.number, streams)
    decided: Decided = {s.stream: []}
    if version_gates.may_validate(s.gate):
        decided[s.stream] += new_verdict(s, assess_validated(s))
    for promotion in s.gate.open_promotions:
        for stream, events in settle(s, promotion, review_of(promotion.id, streams), command.now).items():
            decided.setdefault(stream, []).extend(events)
    return decided | left_behind(s, streams)


def left_behind(s: Situation, streams: Streams) -> Decided:
    """Return the end of open reviews whose promotion is over, for example superseded by a newer request."""
    over = {review.stream_of(p.id): p for _, p in sorted(s.gate.promotions.items()) if p.status != "open"}
    named = [
        (stream, p, streams.state(REVIEW, stream)) for stream, p in over.items() if stream in streams.states
    ]
    return {
        stream: outcomes.lapsed(state, [f"the promotion is {shown(p.status)}"])
        for stream, p, state in named
        if state.status == "open"
    }


def settle(s: Situation, promotion: Promotion, state: ReviewState, now: datetime) -> Decided:
    """Bring an open promotion up to date with the facts noted so far. `state`: its review."""
    version = s.gate.version
    if version is not None and version.stage in TERMINAL:
        reason = f"the version was {version.stage.lower()}"
        return outcomes.lapse(s, promotion, state, [reason], "publish another version")
    if s.gate.waits_for:
        return {}
    a = assess_promotion(s, promotion)
    decided: Decided = {s.stream: [*new_verdict(s, a, promotion)]}
    more = _keep_open(s, promotion, state, a) if state.status == "open" else _begin(s, promotion, a, now)
    for stream, events in more.items():
        decided.setdefault(stream, []).extend(events)
    return decided


def _begin(s: Situation, promotion: Promotion, a: Assessment, now: datetime) -> Decided:
    """Decide a promotion that has no open review: deny it, grant it, or open a review."""
    if not is_validated(s):
        reason = "the version is not Validated; read the results of its gates"
        return {s.stream: [outcomes.denied(s, promotion, (reason,))]}
    if standing := _standing_override(s, promotion, a):
        used = outcomes.granted(promotion, a, (standing.by,), standing.promotion_id, override=True)
        return {s.stream: [used]}
    if overdue := [id_ for id_, o in sorted(s.model.owed.items()) if o.blocks and o.due_at <= now]:
        reason = (
            f"the after-review of the override {overdue[0]} is overdue, and the policy then grants nothing; "
            "have another approver review it (`regista reviews`), then request again"
        )
        return {s.stream: [outcomes.denied(s, promotion, (reason,))]}
    if not a.passed:
        return {s.stream: [outcomes.denied(s, promotion, a.reasons)]}
    if manual := a.manual:
        return {review.stream_of(promotion.id): [outcomes.opened(promotion, a, manual, now)]}
    if left_open := [f"{r.gate}: {r.detail}" for r in a.results if r.tick]:
        return {
            s.stream: [outcomes.denied(s, promotion, [f"no person reviews this; {r}" for r in left_open])]
        }
    return {s.stream: [outcomes.granted(promotion, a, ())]}


def _standing_override(s: Situation, promotion: Promotion, a: Assessment) -> OverrideStands | None:
    """Return an earlier override over the same sealed facts, if the promotion needs one to be granted."""
    standing = s.gate.overrides.get(promotion.environment)
    if standing is None or (a.passed and not a.manual):
        return None
    return standing if standing.sealed_digest == digest_of(a.seal) else None


def _keep_open(s: Situation, promotion: Promotion, state: ReviewState, a: Assessment) -> Decided:
    """Let an open review lapse when its facts or its quorum changed, or a gate no longer passes.

    Show a new champion, and a new policy that needs the same people.
    """
    changed = [f"the {what} changed" for what in _changes(state.seal, a.seal) if what != "policy"]
    open_now = [r.gate for r in a.results if r.tick and state.approvals and r.gate not in state.ticks]
    accepted = [f"{gate} must be accepted by name now, which no approval did" for gate in open_now]
    reasons = [*changed, *_other_quorum(state, a), *accepted, *a.reasons]
    if reasons:
        return outcomes.lapse(s, promotion, state, reasons)
    other_policy = state.seal is not None and state.seal.policy != a.policy.digest
    if state.shown == a.evidence_digest and not other_policy:
        return {}
    why = f"policy {a.policy.name} revision {a.policy.revision} applies now" if other_policy else ""
    refreshed = ReviewRefreshed(
        about=outcomes.about(promotion, a),
        evidence_digest=a.evidence_digest,
        evidence=a.evidence,
        results=a.results,
        policy=a.policy if other_policy else None,
        why=why,
    )
    return {review.stream_of(promotion.id): [refreshed]}


def _other_quorum(state: ReviewState, a: Assessment) -> list[str]:
    """Return why the approvals given so far have another meaning under the policy that applies now."""
    if a.manual is None:
        return [f"policy {a.policy.name or 'none'} requires no person now"]
    now = quorum_of(a.manual)
    if now == state.quorum:
        return []
    named = f"policy {a.policy.name} revision {a.policy.revision}"
    return [f"{named} requires {_asked(now)}, before {_asked(state.quorum)}"]


def _asked(quorum: Quorum) -> str:
    machines = f" and the machines {', '.join(quorum.machines)}" if quorum.machines else ""
    dependent = ", who may depend on the makers" if quorum.dependent else ""
    sign_in = f", with a sign-in {in_words(quorum.sign_in)}" if quorum.sign_in else ""
    return f"{quorum.approvers} of {' or '.join(quorum.roles)}{machines}{dependent}{sign_in}"


def quorum_of(manual: Manual) -> Quorum:
    """Return the meaning of a manual gate's quorum."""
    return Quorum(
        manual.approvers,
        tuple(sorted(manual.roles)),
        tuple(sorted(manual.machines)),
        bool(manual.dependent_because),
        manual.sign_in,
    )


def _changes(sealed: Seal | None, current: Seal) -> list[str]:
    return [
        f.name for f in fields(Seal) if sealed is None or getattr(sealed, f.name) != getattr(current, f.name)
    ]


def review_of(promotion_id: str, streams: Streams) -> ReviewState:
    """Return the promotion's review.

    Raises Misrouted when the promotion came after the streams were looked up.
    """
    stream = review.stream_of(promotion_id)
    if stream not in streams.states:
        raise Misrouted(
            "promotion_opened", "a promotion was requested in the meantime; look it up again, then repeat"
        )
    return streams.state(REVIEW, stream)


DECIDERS: dict[type, Joint[Any]] = {AssessGates: Joint(assess_gates)}
