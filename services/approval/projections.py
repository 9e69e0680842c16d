"""The row changes of each event, as data. Live projection and rebuild use the same code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import msgspec

from services.approval import tables as t
from services.approval.domain import noted
from services.approval.domain.gate_events import (
    GatesEvaluated,
    OverrideStands,
    OverrideWithdrawn,
    PromotionDenied,
    PromotionGranted,
)
from services.approval.domain.policy import PolicyApplied, PolicyListed, PolicyPublished
from services.approval.domain.review import (
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
from services.approval.stored_events import ApprovalEvent
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Noted, Recorded
from shared.log.due_work import DUE

EXPIRY, POLICY_CHANGE = "review-expiry", "policy-change"
"""The kinds of due work."""

plain = msgspec.to_builtins


def project(r: Recorded) -> Iterable[Change]:
    """Return the row changes of one event."""
    event: ApprovalEvent = r.event
    match event:
        case Noted():
            return _noted(r, event)
        case GatesEvaluated():
            return [_verdict(r, event)]
        case PromotionGranted() | PromotionDenied():
            return [_decided(r, event)]
        case OverrideStands() | OverrideWithdrawn():
            return [
                Patch(
                    t.PROMOTIONS,
                    {"promotion_id": event.promotion_id},
                    {"override": isinstance(event, OverrideStands)},
                )
            ]
        case PolicyPublished():
            return _published(r, event)
        case PolicyApplied():
            return [Drop(DUE, {"kind": POLICY_CHANGE, "key": f"{event.name}@{event.revision}"})]
        case PolicyListed():
            return []
        case _:
            return _review(r, event)


def _noted(r: Recorded, note: Noted) -> Iterator[Change]:
    event, type_ = noted.read_note(note), note.source.type
    match event:
        case noted.ModelEvent(model_id=model_id):
            if event.model:
                yield Put(t.NAMES, {"name": event.model, "model_id": model_id})
            if type_ == noted.MODEL_REGISTERED:
                yield Put(t.MODELS, {"model_id": model_id, "model": event.model or ""})
            elif event.model:
                yield Patch(t.MODELS, {"model_id": model_id}, {"model": event.model})
        case noted.RolloutEvent(model_id=model_id, environment=environment, champion=champion):
            key = {"model_id": model_id, "environment": environment}
            if champion is None:
                yield Drop(t.CHAMPIONS, key)
            else:
                served = {"number": champion.number, "production": event.production}
                yield Put(t.CHAMPIONS, {**key, **served})
        case noted.VersionRegistered(model_id=model_id, number=number):
            row = {
                "model_id": model_id,
                "number": number,
                "semver": event.semver or "",
                "stage": "Staging",
                "recalled": False,
                "retired": False,
            }
            yield Put(t.VERSIONS, {**row, "artifact_digest": event.artifact.digest if event.artifact else ""})
        case noted.VersionPromoted() | noted.PromotionSpent():
            yield from _carried_out(event)
        case noted.VersionEvent(model_id=model_id, number=number):
            withdrawn = {noted.VERSION_RECALLED: "recalled", noted.VERSION_RETIRED: "retired"}.get(type_)
            change = {withdrawn: True} if withdrawn else {"stage": noted.STAGE_AFTER[type_]}
            yield Patch(t.VERSIONS, {"model_id": model_id, "number": number}, change)
        case noted.VersionReinstated(model_id=model_id, number=number, stage=stage):
            yield Patch(
                t.VERSIONS, {"model_id": model_id, "number": number}, {"stage": stage, "recalled": False}
            )
        case noted.ArtifactEvent(digest=digest, model_id=model_id, number=number):
            state = noted.ARTIFACT_STATE_AFTER[type_]
            yield Put(t.ARTIFACTS, {"model_id": model_id, "number": number, "digest": digest, "state": state})
        case noted.PromotionRequested():
            yield _requested(r, event)
        case noted.PromotionRefused(promotion_id=str(promotion_id)):
            yield Patch(
                t.PROMOTIONS,
                {"promotion_id": promotion_id},
                {"state": "refused", "decided_at": r.recorded_at},
            )


def _carried_out(event: noted.VersionPromoted | noted.PromotionSpent) -> Iterator[Change]:
    """Yield the state of a promotion that the registry carried out, and the version's stage."""
    promoted = isinstance(event, noted.VersionPromoted)
    if event.promotion_id:
        state = "promoted" if promoted else "spent"
        yield Patch(t.PROMOTIONS, {"promotion_id": event.promotion_id}, {"state": state})
    if isinstance(event, noted.VersionPromoted) and event.production:
        key = {"model_id": event.model_id, "number": event.number}
        yield Patch(t.VERSIONS, key, {"stage": "Production"})


def _requested(r: Recorded, event: noted.PromotionRequested) -> Change:
    row = {
        "promotion_id": event.promotion_id,
        "model_id": event.model_id,
        "number": event.number,
        "environment": event.environment,
        "digest": event.digest,
    }
    blank = {
        "state": "open",
        "reasons": [],
        "approvers": [],
        "override": False,
        "requested_at": r.recorded_at,
        "decided_at": None,
    }
    return Put(t.PROMOTIONS, {**row, "requester": event.requester or "", **blank})


def _verdict(r: Recorded, e: GatesEvaluated) -> Change:
    row = {
        name: getattr(e, name)
        for name in ("model_id", "number", "stage", "passed", "evidence_digest", "promotion_id")
    }
    documents = {"results": plain(e.results), "policy": plain(e.policy), "evidence": plain(e.evidence)}
    return Put(t.GATES, {**row, **documents, "evaluated_at": r.recorded_at})


def _decided(r: Recorded, e: PromotionGranted | PromotionDenied) -> Change:
    granted = isinstance(e, PromotionGranted)
    columns: dict[str, Any] = {"state": "granted" if granted else "refused", "decided_at": r.recorded_at}
    if isinstance(e, PromotionGranted):
        columns |= {"approvers": list(e.approvers), "override": e.override}
    else:
        columns |= {"reasons": list(e.reasons)}
    return Patch(t.PROMOTIONS, {"promotion_id": e.promotion_id}, columns)


def _published(r: Recorded, e: PolicyPublished) -> Iterator[Change]:
    row = {
        "name": e.name,
        "revision": r.revision,
        "digest": e.digest,
        "policy": plain(e.policy),
        "active": e.policy.active,
        "published_at": r.recorded_at,
        "published_by": r.actor.subject,
    }
    yield Put(t.POLICIES, row)
    yield Put(t.POLICY_REVISIONS, row)
    data = {"name": e.name, "revision": r.revision}
    yield Put(
        DUE, {"kind": POLICY_CHANGE, "key": f"{e.name}@{r.revision}", "due_at": r.recorded_at, "data": data}
    )


def _review(r: Recorded, e: ReviewEvent) -> Iterator[Change]:
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
            yield Patch(t.REVIEWS, key, {"revision": r.revision, **shown})
            return
        case OverrideUsed() if r.revision == 1:
            yield _overridden(r, e)
        case _:
            state = _state_after(e)
            yield Patch(t.REVIEWS, key, {"revision": r.revision} | ({"state": state} if state else {}))
            if isinstance(e, ReviewApproved):
                yield Patch(t.REVIEWS, key, {"approvers": list(e.approvers)})
            if state:
                yield Drop(DUE, {"kind": EXPIRY, "key": e.about.promotion_id})
    yield _entry(r, e)


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
        case ReviewOpened() | ReviewRefreshed() | ReviewCommented():
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
        case ReviewOpened() | ReviewRefreshed() | ReviewExpired():
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
    }
    return Put(t.REVIEW_ENTRIES, {**row, "conditions": list(conditions), "at": r.recorded_at})
