"""The row changes of the events of a review."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

import msgspec

from services.approval import tables as t
from services.approval.domain.review import AFTER
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
)
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Recorded
from shared.log.due_work import DUE

EXPIRY, AFTER_REVIEW = "review-expiry", "after-review"
"""The kinds of due work about reviews."""

plain = msgspec.to_builtins


def project(r: Recorded, e: ReviewEvent) -> Iterator[Change]:
    """Yield the row changes of one event of a review."""
    key = {"review_id": e.about.promotion_id}
    match e:
        case ReviewOpened():
            yield _opened(r, e)
            data = {
                "promotion_id": e.about.promotion_id,
                "model_id": e.about.model_id,
                "number": e.about.number,
            }
            yield Put(
                DUE, {"kind": EXPIRY, "key": e.about.promotion_id, "due_at": e.expires_at, "data": data}
            )
            return
        case ReviewRefreshed():
            shown = {
                "model": e.about.model,
                "evidence_digest": e.evidence_digest,
                "evidence": plain(e.evidence),
                "results": plain(e.results),
            }
            policy = {"policy": plain(e.policy)} if e.policy else {}
            yield Patch(t.REVIEWS, key, {"revision": r.revision, **shown, **policy})
            if not e.policy:
                return
        case OverrideUsed() if r.revision == 1:
            yield _overridden(r, e)
            yield _due_again(e.about, e.due_at or r.recorded_at)
        case _:
            state = _state_after(e)
            yield Patch(t.REVIEWS, key, {"revision": r.revision} | ({"state": state} if state else {}))
            if isinstance(e, ReviewApproved):
                yield Patch(t.REVIEWS, key, {"approvers": list(e.approvers)})
            if state:
                yield Drop(DUE, {"kind": EXPIRY, "key": e.about.promotion_id})
            yield from _after_review(r, e)
    yield _entry(r, e)


def _after_review(r: Recorded, e: ReviewEvent) -> Iterator[Change]:
    """Yield what an override, a report that its after-review is overdue, or the after-review changes."""
    key = {"review_id": e.about.promotion_id}
    match e:
        case OverrideUsed(due_at=due_at):
            yield Patch(t.REVIEWS, key, {"due_at": due_at, "excluded": list(e.excluded)})
            yield _due_again(e.about, due_at or r.recorded_at)
        case AfterReviewOverdue(due_at=due_at, reminder=reminder):
            yield Patch(t.REVIEWS, key, {"overdue_since": due_at})
            yield _due_again(e.about, due_at + reminder * AFTER)
        case OverrideReviewed():
            yield Patch(t.REVIEWS, key, {"overdue_since": None})
            yield Drop(DUE, {"kind": AFTER_REVIEW, "key": e.about.promotion_id})


def _due_again(about: About, due_at: datetime) -> Change:
    """Return the row by which the after-review is reported as overdue at that time."""
    data = {"promotion_id": about.promotion_id}
    return Put(DUE, {"kind": AFTER_REVIEW, "key": about.promotion_id, "due_at": due_at, "data": data})


def _state_after(e: ReviewEvent) -> str:
    match e:
        case ReviewApproved(complete=complete):
            return "approved" if complete else ""
        case ReviewRejected():
            return "rejected"
        case ReviewLapsed():
            return "lapsed"
        case ReviewExpired():
            return "expired"
        case OverrideUsed():
            return "overridden"
        case OverrideReviewed():
            return "closed"
        case ReviewOpened() | ReviewRefreshed() | ReviewCommented() | AfterReviewOverdue():
            return ""
        case _:
            assert_never(e)


def _opened(r: Recorded, e: ReviewOpened) -> Change:
    row = {
        "review_id": e.about.promotion_id,
        "revision": r.revision,
        "state": "open",
        "model_id": e.about.model_id,
        "model": e.about.model,
        "number": e.about.number,
        "semver": e.semver,
        "environment": e.environment,
        "production": e.production,
        "serve": e.serve,
        "needs": e.needs,
        "approvers": [],
        "roles": list(e.roles),
        "excluded": list(e.excluded),
        "sealed_digest": e.sealed_digest,
        "evidence_digest": e.evidence_digest,
        "opened_at": r.recorded_at,
        "expires_at": e.expires_at,
        "requester": e.requester,
        "machines": e.machines,
        "dependent_because": e.dependent_because,
        "sign_in": plain(e.sign_in),
        "due_at": None,
        "overdue_since": None,
    }
    return Put(
        t.REVIEWS, row | {name: plain(getattr(e, name)) for name in ("seal", "policy", "evidence", "results")}
    )


def _overridden(r: Recorded, e: OverrideUsed) -> Change:
    """Return the review of an override on a promotion that the gates had denied, so that had no review."""
    row = {
        "review_id": e.about.promotion_id,
        "revision": r.revision,
        "state": "overridden",
        "model_id": e.about.model_id,
        "model": e.about.model,
        "number": e.about.number,
        "semver": "",
        "environment": e.environment,
        "production": e.production,
        "serve": e.serve,
        "needs": 0,
        "approvers": [],
        "roles": ["approver"],
        "excluded": list(e.excluded),
        "seal": plain(e.seal),
        "sealed_digest": "",
        "policy": {},
        "evidence_digest": e.evidence_digest,
        "evidence": {},
        "results": [],
        "opened_at": r.recorded_at,
        "expires_at": None,
        "requester": "",
        "machines": {},
        "dependent_because": "",
        "sign_in": None,
        "due_at": e.due_at,
        "overdue_since": None,
    }
    return Put(t.REVIEWS, row)


def _entry(r: Recorded, e: ReviewEvent) -> Change:
    name, text, conditions = "", "", tuple[str, ...]()
    match e:
        case ReviewApproved():
            name, text, conditions = e.approver_name, e.comment, e.conditions
        case ReviewRejected() | OverrideUsed():
            name, text = e.name, e.reason
        case ReviewCommented() | OverrideReviewed():
            text = e.comment
        case ReviewLapsed():
            text = "; ".join(e.reasons)
        case ReviewRefreshed():
            text = e.why
        case AfterReviewOverdue(due_at=due_at):
            text = f"the after-review was due at {due_at:%Y-%m-%d %H:%M} UTC"
        case ReviewOpened() | ReviewExpired():
            pass
        case _:
            assert_never(e)
    kind = type(e).__name__
    row = {
        "review_id": e.about.promotion_id,
        "revision": r.revision,
        "kind": kind,
        "by": r.actor.subject,
        "name": name,
        "text": text,
        "conditions": list(conditions),
        "justified": e.justified if isinstance(e, OverrideReviewed) else None,
        "at": r.recorded_at,
    }
    return Put(t.REVIEW_ENTRIES, row)
