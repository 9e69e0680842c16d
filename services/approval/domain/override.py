"""The break-glass override: it grants a promotion that the policy has not granted.

Its after-review is mandatory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.approval.domain import gate, outcomes, review
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
from services.approval.domain.gate_events import OverrideStands, OverrideWithdrawn
from services.approval.domain.promotion import review_of
from services.approval.domain.review import OverrideUsed, ReviewOverride, ReviewState
from shared.deciding.decider import Joint, NotFound, RuleBroken, Streams, Unprocessable


@dataclass(frozen=True, slots=True)
class Override:
    """Grant what the policy has not granted."""

    promotion_id: str
    model_id: str
    number: int
    by: str
    reason: str
    name: str = ""


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
    if command.by in state.overridden_by:
        return {}
    _check_overridable(s, promotion)
    a = assess_promotion(s, promotion)
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
    return {review.stream_of(promotion.id): [_used(command, s, promotion, state, a)], s.stream: decided}


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


def _used(
    command: Override, s: Situation, promotion: Promotion, state: ReviewState, a: Assessment
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
    )


def _missing_approvals(state: ReviewState) -> tuple[str, ...]:
    if state.status == "open":
        return (f"{len(state.approvals)} of {state.needs} approvals",)
    return (f"the review was {state.status}",) if state.status else ()


def review_override(command: ReviewOverride, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the after-review. An override that was not justified grants nothing from then on.

    What it has granted stays granted; recall the version to undo that.
    """
    stream = review.stream_of(command.promotion_id)
    gate_stream = gate.stream_of(command.model_id, command.number)
    reviewed = review.decide(command, review_of(command.promotion_id, streams))
    standing: list[OverrideStands] = []
    if reviewed and not command.justified:
        overrides = sorted(streams.state(gate.GATE, gate_stream).overrides.items())
        standing = [o for _, o in overrides if o.promotion_id == command.promotion_id]
    withdrawn = [
        OverrideWithdrawn(o.promotion_id, o.model_id, o.number, o.environment, command.by) for o in standing
    ]
    return {stream: reviewed, gate_stream: withdrawn}


DECIDERS: dict[type, Joint[Any]] = {Override: Joint(override), ReviewOverride: Joint(review_override)}
