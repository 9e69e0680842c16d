"""Event → row changes of aliases, environments, rollouts and promotions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from services.registry.domain.model import events as e
from services.registry.domain.model.past import PRODUCTION
from services.registry.domain.serving.environment import (
    EnvironmentCreated,
    EnvironmentEdited,
    EnvironmentEvent,
    EnvironmentRetired,
)
from services.registry.lineage import projections as lineage
from services.registry.tables import ALIASES, ENVIRONMENTS, MODELS, PROMOTIONS, ROLLOUTS, VERSIONS
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Recorded


def _model_id(r: Recorded) -> str:
    return r.stream.removeprefix("model-")


def patch_version(r: Recorded, number: int, **columns: Any) -> Patch:
    """Change columns of a version, and its revision, which is its ETag."""
    changed = {**columns, "revision": r.revision, "changed_at": r.recorded_at}
    return Patch(VERSIONS, {"model_id": _model_id(r), "number": number}, changed)


def revise_version(r: Recorded, number: int, **columns: Any) -> Patch:
    """Change columns of a version, and its ETag: an act after which MLflow states no later change."""
    changed = {**columns, "revision": r.revision}
    return Patch(VERSIONS, {"model_id": _model_id(r), "number": number}, changed)


def touch_model(r: Recorded) -> Patch:
    """Set the time of the last change that MLflow's clients see of a model. Its ETag stays."""
    return Patch(MODELS, {"model_id": _model_id(r)}, {"changed_at": r.recorded_at})


def aliased(r: Recorded, event: e.AliasSet | e.AliasRemoved) -> Iterable[Change]:
    key = {"model_id": _model_id(r), "alias": event.alias}
    if isinstance(event, e.AliasRemoved):
        return Drop(ALIASES, key), revise_version(r, event.number)
    row = {
        "number": event.number,
        "semver": event.semver,
        "protected": event.protected,
        "set_at": r.recorded_at,
        "set_by": r.actor.subject,
        "revision": r.revision,
    }
    return Put(ALIASES, {**key, **row}), revise_version(r, event.number)


def rolled_out(r: Recorded, event: e.RolloutChanged | e.RolledBack) -> Iterable[Change]:
    champion = next((entry.number for entry in event.entries if entry.role == "champion"), 0)
    back = event if isinstance(event, e.RolledBack) else None
    left = back.from_number if back and back.from_number != back.to_number else None
    row = Put(
        ROLLOUTS,
        {
            "model_id": _model_id(r),
            "environment": event.environment,
            "production": event.production,
            "champion": champion,
            "entries": event.entries,
            "previous": event.previous,
            "rolled_back_from": left,
            "skipped": back.skipped if back else None,
            "warning": back.warning if back else "",
            "changed_at": r.recorded_at,
            "changed_by": r.actor.subject,
            "reason": r.reason,
            "revision": r.revision,
        },
    )
    served = (*lineage.served(r, event), *_labelled(r, event, champion))
    if back is None:
        return (row, *served)
    stage = {"stage": "Production"} if back.production else {}
    return (row, *served, patch_version(r, back.to_number, **stage))


def _labelled(r: Recorded, event: e.RolloutChanged | e.RolledBack, champion: int) -> Iterable[Patch]:
    """Return the times of what MLflow's clients see in another stage: `Production` is what serves there."""
    before = next((entry.number for entry in event.previous if entry.role == "champion"), 0)
    if event.environment != PRODUCTION or before == champion:
        return
    for number in sorted({before, champion} - {0}):
        yield Patch(VERSIONS, {"model_id": _model_id(r), "number": number}, {"changed_at": r.recorded_at})
    yield touch_model(r)


def environment(r: Recorded, event: EnvironmentEvent) -> Put | Patch:
    key = {"namespace": event.namespace, "name": event.name}
    changed = {"changed_at": r.recorded_at, "changed_by": r.actor.subject, "revision": r.revision}
    match event:
        case EnvironmentCreated():
            row = {"production": event.production, "retired": False, **changed}
            return Put(ENVIRONMENTS, {**key, "place": event.order, "description": event.description, **row})
        case EnvironmentEdited():
            edited = {"place": event.order, "description": event.description, **changed}
            return Patch(ENVIRONMENTS, key, edited)
        case EnvironmentRetired():
            return Patch(ENVIRONMENTS, key, {"retired": True, **changed})
        case _:
            assert_never(event)


def promotion(
    r: Recorded,
    event: e.PromotionRequested
    | e.PromotionSpent
    | e.PromotionRefused
    | e.VersionPromoted
    | e.GrantWithdrawn,
) -> Iterable[Change]:
    key = {"promotion_id": event.promotion_id}
    match event:
        case e.PromotionRequested():
            row = {
                "model_id": _model_id(r),
                "number": event.number,
                "environment": event.environment,
                "digest": event.digest,
                "state": "open",
                "requester": event.requester,
                "requested_at": r.recorded_at,
                "reason": r.reason,
                "serve": event.serve,
                "production": event.production,
            }
            return Put(PROMOTIONS, {**key, **row}), patch_version(r, event.number)
        case e.GrantWithdrawn():
            return Patch(PROMOTIONS, key, {"state": "withdrawn"}), patch_version(r, event.number)
        case e.PromotionSpent():
            return Patch(PROMOTIONS, key, {"state": "spent"}), patch_version(r, event.number)
        case e.PromotionRefused():
            return Patch(
                PROMOTIONS, key, {"state": "refused", "reasons": event.reasons, "closed_at": r.recorded_at}
            ), patch_version(r, event.number)
        case e.VersionPromoted():
            promoted = {
                "promotion_id": event.promotion_id,
                "environment": event.environment,
                "at": r.recorded_at,
                "approvers": event.approvers,
                "override": event.override,
                "conditions": event.conditions,
            }
            agreed = {"approvers": event.approvers, "conditions": event.conditions or None}
            closed = {"state": "promoted", **agreed, "closed_at": r.recorded_at}
            stage = {"stage": "Production"} if event.production else {}
            return Patch(PROMOTIONS, key, closed), patch_version(r, event.number, promoted=promoted, **stage)
        case _:
            assert_never(event)
