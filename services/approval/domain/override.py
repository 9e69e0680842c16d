"""The break-glass override: it grants a promotion that the policy has not granted.

Its after-review is mandatory, has a due time, and decides whether the version may get further traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from services.approval.domain import outcomes, review, version_gates
from services.approval.domain.assessment import (
    Assessment,
    Situation,
    assess_promotion,
    is_validated,
    new_verdict,
    situation,
)
from services.approval.domain.evidence import digest_of
from services.approval.domain.facts import TERMINAL, Promotion
from services.approval.domain.gate_checks import duration
from services.approval.domain.gate_events import (
    AfterReviewDone,
    AfterReviewOwed,
    OverrideStands,
    OverrideWithdrawn,
)
from services.approval.domain.independence import (
    OVERRODE,
    check_human,
    check_no_maker,
    check_not_appointed,
    identity,
    same_as,
)
from services.approval.domain.noted import ImportName
from services.approval.domain.promotion import review_of
from services.approval.domain.review import ReviewOverride, ReviewState, existing
from services.approval.domain.review_events import Adoption, OverrideReviewed, OverrideUsed
from shared.deciding.decider import NO_TIME, Joint, NotFound, RuleBroken, Streams, Unprocessable
from shared.deciding.person import Person


@dataclass(frozen=True, slots=True)
class Override:
    """Grant what the policy has not granted. `people`: the actor, and who made or requested the version."""

    promotion_id: str
    model_id: str
    number: int
    by: str
    reason: str
    name: str = ""
    people: dict[str, Person] = field(default_factory=dict)
    now: datetime = NO_TIME
    adopts: Adoption | None = None


def override(command: Override, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the override with its grant; for a promotion that is over, one that the next request uses."""
    s = situation(command.model_id, command.number, streams)
    promotion, state = s.gate.promotions.get(command.promotion_id), review_of(command.promotion_id, streams)
    if promotion is None or s.gate.version is None:
        raise NotFound("unknown_promotion", "there is no such promotion; request one first")
    if not command.reason.strip():
        raise Unprocessable(
            "reason_missing", "an override needs a reason that the after-review can judge; give one"
        )
    if command.by in state.overridden_by and _holds(s, promotion, state):
        _check_adoption(command.adopts, s, promotion)
        if command.adopts is not None and not state.adopts:
            raise RuleBroken(
                "overridden_without_adoption",
                "you overrode this promotion without stating what it takes over: that stands in the log; add "
                "a comment to the review",
            )
        return _added(promotion.id, state, command.by, command.reason)
    check_human(command.by, streams, "override")
    _check_overridable(s, promotion)
    _check_adoption(command.adopts, s, promotion)
    a = assess_promotion(s, promotion)
    used = _used(command, s, promotion, state, a, by_maker=_is_maker(command, s, a, streams))
    owed = AfterReviewOwed(
        promotion.id, command.number, command.by, used.due_at or command.now, used.overdue == "block"
    )
    if promotion.status == "open":
        grant = outcomes.granted(promotion, a, (command.by,), promotion.id, override=True)
        decided = [*new_verdict(s, a, promotion), grant]
    else:
        decided = [
            OverrideStands(
                promotion_id=promotion.id,
                model_id=command.model_id,
                number=command.number,
                environment=promotion.environment,
                by=command.by,
                sealed_digest=digest_of(a.seal),
            )
        ]
    return {
        review.stream_of(promotion.id): [used],
        s.stream: decided,
        version_gates.stream_of(command.model_id): [owed],
    }


def _added(promotion_id: str, state: ReviewState, by: str, text: str) -> Mapping[str, Sequence[Any]]:
    """Return what a repeated decision adds to the first one: its text, as a comment."""
    commented = review.repeated(state, by, text)
    return {review.stream_of(promotion_id): commented} if commented else {}


def _holds(s: Situation, promotion: Promotion, state: ReviewState) -> bool:
    """Return whether an override waits for its after-review, or stands after one for the next request."""
    stands = any(o.promotion_id == promotion.id for o in s.gate.overrides.values())
    return state.status == "overridden" or stands


def _check_overridable(s: Situation, promotion: Promotion) -> None:
    """Raise RuleBroken for a promotion or a version that no override passes."""
    if promotion.status not in {"open", "denied"}:
        raise RuleBroken("promotion_closed", f"the promotion is {promotion.status}; request a new one")
    ended = s.gate.version is not None and s.gate.version.stage in TERMINAL
    if s.gate.artifact != "released" or ended or not is_validated(s):
        raise RuleBroken(
            "not_overridable",
            "an override needs a Validated version with a verified artifact; publish such a version first",
        )


def _check_adoption(adopts: Adoption | None, s: Situation, promotion: Promotion) -> None:
    """Raise RuleBroken unless the version was imported from there and its promotion makes it serve."""
    if adopts is None:
        return
    version = s.gate.version
    if version is None or version.imported_from != ImportName(
        adopts.system, adopts.uri, adopts.id, adopts.number
    ):
        raise RuleBroken(
            "not_imported_from",
            f"this version was not imported from {adopts.system} {adopts.uri}, {adopts.id} version "
            f"{adopts.number}; adopt the version that was",
        )
    if not promotion.serve:
        raise RuleBroken(
            "not_requested_to_serve",
            "an adopted version takes all requests; request its promotion with `serve`",
        )


def _is_maker(command: Override, s: Situation, a: Assessment, streams: Streams) -> bool:
    """Return whether the actor made the version. Raise RuleBroken unless the policy lets makers override."""
    makers = s.gate.version.makers if s.gate.version else ()
    if not same_as(command.by, makers, command.people, partial(identity, streams=streams)):
        return False
    if not a.break_glass.by_maker:
        raise RuleBroken(
            "own_work",
            f"{command.by} made this version, and policy {a.policy.name or 'none'} lets no maker override; "
            "ask another person with the role override",
        )
    return True


def _used(
    command: Override,
    s: Situation,
    promotion: Promotion,
    state: ReviewState,
    a: Assessment,
    *,
    by_maker: bool,
) -> OverrideUsed:
    makers = s.gate.version.makers if s.gate.version else ()
    return OverrideUsed(
        about=outcomes.about(promotion, a),
        environment=promotion.environment,
        by=command.by,
        name=command.name,
        reason=command.reason,
        bypassed=(*a.reasons, *_missing_approvals(state)),
        excluded=tuple(dict.fromkeys((*makers, *promotion.people))),
        seal=a.seal,
        evidence_digest=a.evidence_digest,
        serve=promotion.serve,
        production=promotion.production,
        due_at=command.now + duration(a.break_glass.after_review_in),
        unjustified=a.break_glass.unjustified,
        overdue=a.break_glass.overdue,
        by_maker=by_maker,
        adopts=command.adopts,
    )


def _missing_approvals(state: ReviewState) -> tuple[str, ...]:
    if state.status == "open":
        return (f"{len(state.approvals)} of {state.needs} approvals",)
    return (f"the review was {state.status}",) if state.status else ()


def review_override(command: ReviewOverride, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the after-review. An override that was not justified grants nothing from then on.

    registry then takes the grant from the version, and rolls back where the policy requires it.
    """
    state = review_of(command.promotion_id, streams)
    about = existing(state)
    if state.status == "closed":
        _check_same_verdict(command, state)
        return _added(command.promotion_id, state, command.by, command.comment)
    _check_reviewer(command, state, streams)
    gate_stream = version_gates.stream_of(command.model_id, command.number)
    standing: list[OverrideStands] = []
    if not command.justified:
        overrides = sorted(streams.state(version_gates.VERSION_GATES, gate_stream).overrides.items())
        standing = [o for _, o in overrides if o.promotion_id == command.promotion_id]
    reviewed = OverrideReviewed(
        about=about,
        by=command.by,
        justified=command.justified,
        comment=command.comment,
        environment=state.environment,
        consequence="" if command.justified else state.unjustified,
    )
    return {
        review.stream_of(command.promotion_id): [reviewed],
        gate_stream: [
            OverrideWithdrawn(o.promotion_id, o.model_id, o.number, o.environment, command.by)
            for o in standing
        ],
        version_gates.stream_of(command.model_id): [AfterReviewDone(command.promotion_id)],
    }


def _check_same_verdict(command: ReviewOverride, state: ReviewState) -> None:
    """Raise RuleBroken when the after-review was made with the opposite verdict."""
    if command.justified == state.justified:
        return
    found, further = (
        ("justified", "to take the version out of use, roll it back or withdraw it")
        if state.justified
        else ("unjustified", "to promote the version, request its promotion again")
    )
    raise RuleBroken(
        "review_closed", f"the after-review was made, and the override was found {found}; {further}"
    )


def _check_reviewer(command: ReviewOverride, state: ReviewState, streams: Streams) -> None:
    """Raise RuleBroken unless the reviewer is a person who is independent of the override."""
    if state.status != "overridden":
        raise RuleBroken(
            "no_override",
            "this promotion was not overridden; choose one whose review has the state overridden",
        )
    check_human(command.by, streams, "review an override")
    involved = (*state.excluded, *state.overridden_by)
    check_no_maker(command.by, command.people, involved, streams, OVERRODE)
    check_not_appointed(command.by, command.people, involved, streams)


DECIDERS: dict[type, Joint[Any]] = {Override: Joint(override), ReviewOverride: Joint(review_override)}
