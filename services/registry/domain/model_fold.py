"""How a model's events fold into its state. It never raises and holds no rules: whatever was stored has happened."""

from __future__ import annotations

import hashlib
from typing import Any

from immutables import Map
from msgspec.structs import replace

from services.registry.domain import model_events as e
from services.registry.domain import noted
from services.registry.domain.metadata import short
from services.registry.domain.model_state import Alias, EvaluationRef, ModelState, OpenPromotion, Rollout, VersionState, there, with_version
from shared.events import Noted, encode


def evolve(state: ModelState, event: e.ModelEvent | Noted) -> ModelState:
    """One event further."""
    if isinstance(event, e.VersionRegistered):  # by far the most frequent: one copy of the state instead of two
        return _born(state, event)
    state = replace(state, revision=state.revision + 1)
    match event:
        case Noted():
            return _note(state, event)
        case e.MetadataAdded():
            return _learnt(state, event)
        case e.VersionValidated():
            return replace(with_version(state, event.number, stage="Validated"), newest_validated=max(state.newest_validated, event.number))
        case e.VersionRejected():
            return with_version(state, event.number, stage="Rejected")
        case e.VersionRecalled():
            return with_version(state, event.number, recalled=True)
        case e.VersionArchived():
            return with_version(state, event.number, stage="Archived")
        case e.VersionRetired():
            return with_version(state, event.number, stage="Archived", retired=True)
        case e.RetireRefused():
            return with_version(state, event.number)
        case e.LegalHoldPlaced():
            return with_version(state, event.number, held=True)
        case e.LegalHoldReleased():
            return with_version(state, event.number, held=False)
        case e.EvaluationRecorded():
            refs = (*state.evaluations.get(event.number, ()), EvaluationRef(state.revision, evaluation_digest(event.evaluation)))
            return with_version(replace(state, evaluations=state.evaluations.set(event.number, refs)), event.number)
        case e.RegistrationRefused():
            return state
        case _:
            return _evolve_model(state, event)


def _evolve_model(state: ModelState, event: e.ModelEvent) -> ModelState:
    match event:
        case e.ModelRegistered():
            return replace(
                state, model=event.model, kind=event.kind, owner=event.owner, description=event.description, tier=event.tier,
                tags=Map(event.tags), described=state.revision,
            )  # fmt: skip
        case e.ModelRenamed():
            return replace(state, model=event.model, described=state.revision)
        case e.OwnerChanged():
            return replace(state, owner=event.owner, described=state.revision)
        case e.TagsChanged():
            return replace(state, tags=Map(event.tags), tier=event.tier, description=event.description, described=state.revision)
        case e.ChildLinked():
            return _children(state, event.number, 1)
        case e.ChildUnlinked():
            return _children(state, event.number, -1)
        case e.AliasSet():
            alias = Alias(event.number, event.protected, state.revision)
            return with_version(replace(state, aliases=state.aliases.set(event.alias, alias)), event.number)
        case e.AliasRemoved():
            return with_version(replace(state, aliases=_without(state.aliases, event.alias)), event.number)
        case _:
            return _evolve_service(state, event)


def _evolve_service(state: ModelState, event: e.ModelEvent) -> ModelState:
    match event:
        case e.PromotionRequested():
            promotion = OpenPromotion(event.number, event.environment, event.digest, state.revision)
            return with_version(replace(state, promotions=state.promotions.set(event.promotion_id, promotion)), event.number)
        case e.PromotionRefused():
            return with_version(replace(state, promotions=_without(state.promotions, event.promotion_id)), event.number)
        case e.VersionPromoted():
            promoted = state.promoted.set(there(event.environment, event.number), event.promotion_id)
            state = replace(state, promoted=promoted, promotions=_without(state.promotions, event.promotion_id))
            return with_version(state, event.number, stage="Production")
        case e.RolloutChanged():
            return _rolled_out(state, event)
        case e.RolledBack():
            marks = state.rolled_back.set(there(event.environment, event.from_number), state.revision)
            state = _rolled_out(replace(state, rolled_back=_without(marks, there(event.environment, event.to_number))), event)
            return with_version(state, event.to_number, stage="Production")
    return state


def _born(state: ModelState, event: e.VersionRegistered) -> ModelState:
    revision = state.revision + 1
    version = VersionState(event.semver, "Staging" if event.semver else "Draft", revision, revision)
    complete = _numbered(state, event) if event.semver else {}
    versions = state.versions.set(event.number, version)
    return replace(state, revision=revision, newest=max(state.newest, event.number), versions=versions, **complete)


def _learnt(state: ModelState, event: e.MetadataAdded) -> ModelState:
    if not event.semver:
        return with_version(state, event.number, document=state.revision)
    state = with_version(state, event.number, document=state.revision, semver=event.semver, stage="Staging")
    return replace(state, **_numbered(state, event))


def _numbered(state: ModelState, event: e.VersionRegistered | e.MetadataAdded) -> dict[str, Any]:
    """What changes of the model when a version gets its semantic version."""
    major, minor, patch = map(int, event.semver.split("."))
    line = f"{major}.{minor}"
    return {
        "newest_complete": max(state.newest_complete, event.number),
        "highest_major": max(state.highest_major, major),
        "minors": state.minors if state.minors.get(major, -1) >= minor else state.minors.set(major, minor),
        "patches": state.patches if state.patches.get(line, -1) >= patch else state.patches.set(line, patch),
        "identities": state.identities.set(short(event.identity), event.number),
    }


def _children(state: ModelState, number: int, by: int) -> ModelState:
    return replace(state, children=state.children.set(number, max(0, state.children.get(number, 0) + by)))


def _rolled_out(state: ModelState, event: e.RolloutChanged | e.RolledBack) -> ModelState:
    """A version's first requests in an environment are remembered with the champion of just before: that is where a rollback goes."""
    before = next((x.number for x in event.previous if x.role == "champion"), 0)
    served = state.served
    for entry in event.entries:
        if entry.percent and there(event.environment, entry.number) not in served:
            served = served.set(there(event.environment, entry.number), before)
    return replace(state, served=served, rollouts=state.rollouts.set(event.environment, Rollout(event.entries, state.revision)))


def _note(state: ModelState, note: Noted) -> ModelState:
    told, revision = noted.read(note), note.source.revision
    match told:
        case noted.GatesEvaluated():
            passed = {"gates_passed": told.passed} if told.stage == "Validated" else {}
            return with_version(state, told.number, gates=revision, **passed)
        case noted.ArtifactNews():
            return with_version(state, told.number, artifact=revision, released=note.source.type == noted.ARTIFACT_RELEASED)
    return state


def evaluation_digest(evaluation: e.Evaluation) -> str:
    """Short enough for the state; a collision would only swallow a repetition."""
    return hashlib.sha256(encode(evaluation)).hexdigest()[:16]


def _without(map_: Map[str, Any], key: str) -> Map[str, Any]:
    return map_.delete(key) if key in map_ else map_
