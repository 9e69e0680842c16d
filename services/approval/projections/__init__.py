"""The row changes of each event, as data. Live projection and rebuild use the same code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from services.approval import tables as t
from services.approval.domain import noted
from services.approval.domain.facts import makers_of
from services.approval.domain.gate_events import (
    AfterReviewDone,
    AfterReviewOwed,
    GatesEvaluated,
    OverrideStands,
    OverrideWithdrawn,
    PromotionDenied,
    PromotionGranted,
)
from services.approval.domain.policy import (
    PolicyApplied,
    PolicyListed,
    PolicyProposed,
    PolicyPublished,
    ProposalWithdrawn,
)
from services.approval.projections import reviews
from services.approval.stored_events import ApprovalEvent
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Noted, Recorded
from shared.deciding.noted_environments import ENVIRONMENT_CREATED
from shared.log.due_work import DUE

POLICY_CHANGE = "policy-change"
"""The kind of due work about a policy."""

plain = msgspec.to_builtins


def project(r: Recorded) -> Iterable[Change]:
    """Return the row changes of one event."""
    event: ApprovalEvent = r.event
    match event:
        case Noted(source=source, data=data) if source.type == ENVIRONMENT_CREATED:
            return [Put(t.ENVIRONMENTS, {"namespace": data["namespace"], "name": data["name"]})]
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
        case PolicyProposed():
            return [_proposed(r, event)]
        case ProposalWithdrawn(name=name):
            return [Drop(t.PROPOSALS, {"name": name})]
        case PolicyListed() | AfterReviewOwed() | AfterReviewDone():
            return []
        case _:
            return reviews.project(r, event)


def _noted(r: Recorded, note: Noted) -> Iterator[Change]:
    event, type_ = noted.read_note(note), note.source.type
    match event:
        case noted.ModelEvent(model_id=model_id):
            if event.model:
                yield Put(t.NAMES, {"name": event.model, "model_id": model_id})
            if type_ == noted.MODEL_REGISTERED:
                described = {
                    "kind": event.kind or "model",
                    "tier": event.tier or "medium",
                    "tags": event.tags or {},
                }
                yield Put(t.MODELS, {"model_id": model_id, "model": event.model or "", **described})
            else:
                given = ((name, getattr(event, name)) for name in ("model", "tier", "tags"))
                changed = {name: value for name, value in given if value is not None}
                yield Patch(t.MODELS, {"model_id": model_id}, changed)
        case noted.RolloutEvent(model_id=model_id, environment=environment, champion=champion):
            key = {"model_id": model_id, "environment": environment}
            if champion is None:
                yield Drop(t.CHAMPIONS, key)
            else:
                served = {"number": champion.number, "production": event.production}
                yield Put(t.CHAMPIONS, {**key, **served})
        case noted.VersionRegistered():
            yield _registered(note, event)
        case noted.VersionPromoted() | noted.PromotionSpent():
            yield from _carried_out(event)
        case noted.VersionEvent(model_id=model_id, number=number):
            withdrawn = {noted.VERSION_RECALLED: "withdrawn", noted.VERSION_RETIRED: "retired"}.get(type_)
            change = {withdrawn: True} if withdrawn else {"stage": noted.STAGE_AFTER[type_]}
            yield Patch(t.VERSIONS, {"model_id": model_id, "number": number}, change)
        case noted.VersionReinstated(model_id=model_id, number=number, stage=stage):
            yield Patch(
                t.VERSIONS, {"model_id": model_id, "number": number}, {"stage": stage, "withdrawn": False}
            )
        case noted.ArtifactEvent(digest=digest, model_id=model_id, number=number):
            state = noted.ARTIFACT_STATE_AFTER[type_]
            state = {"released": "available", "recalled": "withdrawn"}.get(state, state)
            yield Put(t.ARTIFACTS, {"model_id": model_id, "number": number, "digest": digest, "state": state})
        case noted.PromotionRequested():
            yield _requested(r, event)
        case noted.PromotionRefused(promotion_id=str(promotion_id)):
            yield Patch(
                t.PROMOTIONS,
                {"promotion_id": promotion_id},
                {"state": "refused", "decided_at": r.recorded_at},
            )


def _registered(note: Noted, event: noted.VersionRegistered) -> Change:
    row = {
        "model_id": event.model_id,
        "number": event.number,
        "semver": event.semver or "",
        "bump": (event.bump and event.bump.level) or "",
        "makers": list(makers_of(event)),
        "training": _shown_training(note.data),
        "signature": note.data.get("signature"),
        "stage": "Staging",
        "withdrawn": False,
        "retired": False,
    }
    return Put(t.VERSIONS, {**row, "artifact_digest": event.artifact.digest if event.artifact else ""})


def _shown_training(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a review compares with the champion. Measurements are in the evidence."""
    training = data.get("training") or {}
    shown = {name: value for name, value in training.items() if name not in {"metrics", "environment"}}
    return shown | {"parents": data.get("parents") or []}


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
    why = {"requester": event.requester or "", "reason": event.reason, "conditions": []}
    return Put(t.PROMOTIONS, {**row, **why, **blank})


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
        columns |= {
            "approvers": list(e.approvers),
            "override": e.override,
            "conditions": list(e.conditions),
        }
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
    yield Drop(t.PROPOSALS, {"name": e.name})
    data = {"name": e.name, "revision": r.revision}
    yield Put(
        DUE, {"kind": POLICY_CHANGE, "key": f"{e.name}@{r.revision}", "due_at": r.recorded_at, "data": data}
    )


def _proposed(r: Recorded, e: PolicyProposed) -> Change:
    row = {"name": e.name, "revision": r.revision, "digest": e.digest, "policy": plain(e.policy)}
    who = {"weaker": list(e.weaker), "proposed_at": r.recorded_at, "proposed_by": e.by}
    return Put(t.PROPOSALS, row | who)
