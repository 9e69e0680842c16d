"""Event → row changes; live and rebuild use the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from services.registry import schema_words
from services.registry.brief import BriefVersion
from services.registry.domain import noted
from services.registry.domain.labels.modes import MlflowModeSet
from services.registry.domain.model import events as e
from services.registry.domain.naming.name import NameClaimed
from services.registry.domain.serving.environment import (
    EnvironmentCreated,
    EnvironmentEdited,
    EnvironmentEvent,
    EnvironmentRetired,
)
from services.registry.labels import projections as labels
from services.registry.lineage import projections as lineage
from services.registry.remarks import projections as remarks
from services.registry.search import projections as search
from services.registry.serving import projections as serving
from services.registry.serving.projections import patch_version, revise_version, touch_model
from services.registry.tables import (
    EVALUATIONS,
    MODELS,
    NAMES,
    REFUSALS,
    VERSIONS,
)
from shared.deciding.access import namespace_of
from shared.deciding.changes import Change, Patch, Put
from shared.deciding.events import Noted, Recorded

IMPORT_NAME = ("system", "uri", "id", "number")
"""The fields that name a version in another registry."""


def project(r: Recorded) -> Iterable[Change]:
    """Return the row changes of one event of the registry."""
    event: e.ModelEvent | BriefVersion | NameClaimed | EnvironmentEvent | MlflowModeSet | Noted = r.event
    match event:
        case e.VersionRegistered() | BriefVersion():
            return _registered(r, event)
        case Noted():
            return _noted(r, event)
        case NameClaimed():
            return (Put(NAMES, {"name": event.name, "model_id": event.model_id}),)
        case EnvironmentCreated() | EnvironmentEdited() | EnvironmentRetired():
            return (serving.environment(r, event),)
        case e.RegistrationRefused():
            return _refused(r, event)
        case e.ModelRegistered() | e.ModelRenamed() | e.OwnerChanged() | e.TagsChanged():
            return _model(r, event)
        case e.AliasSet() | e.AliasRemoved():
            return serving.aliased(r, event)
        case e.LabelsChanged():
            return labels.changed(r, event)
        case MlflowModeSet():
            return (labels.mode(r, event),)
        case e.RolloutChanged() | e.RolledBack():
            return serving.rolled_out(r, event)
        case (
            e.PromotionRequested()
            | e.PromotionSpent()
            | e.PromotionRefused()
            | e.VersionPromoted()
            | e.GrantWithdrawn()
        ):
            return serving.promotion(r, event)
        case e.ChildLinked():
            return (lineage.linked(r, event),)
        case e.VersionDescribed() | e.NoteAdded() | e.NoteCorrected() | e.MetadataCorrected():
            return remarks.remarked(r, event)
        case e.ChildUnlinked():
            return ()
        case _:
            return _version(r, event)


def _model_id(r: Recorded) -> str:
    return r.stream.removeprefix("model-")


def _described_by(r: Recorded, event: e.VersionRegistered | e.MetadataAdded | BriefVersion) -> dict[str, Any]:
    training, bump, external = event.metadata.training, event.bump, event.metadata.external
    imported = event.metadata.imported_from
    return {
        "semver": event.semver or None,
        "stage": "Staging" if event.semver else "Draft",
        "artifact_digest": event.metadata.artifact.digest if event.metadata.artifact else None,
        "identity": event.identity,
        "document": r.revision,
        "bump_level": bump.level if bump else None,
        "bump_rule": schema_words.rule(bump.rule) if bump else None,
        "missing": event.missing or None,
        "creator": training.creator,
        "dataset_name": training.dataset.name if training.dataset else None,
        "dataset_digest": training.dataset.digest if training.dataset else None,
        "external": external,
        "run_id": external.run_id or None if external else None,
        "import_key": imported.key if imported else None,
        "imported_from": {name: getattr(imported, name) for name in IMPORT_NAME} if imported else None,
    }


def _registered(r: Recorded, event: e.VersionRegistered | BriefVersion) -> Iterable[Change]:
    row = {
        "model_id": _model_id(r),
        "number": event.number,
        **_described_by(r, event),
        "registered_at": r.recorded_at,
        "registered_by": r.actor.subject,
        "correlation_id": r.correlation_id,
        "message_id": r.causation_id,
        "registration_notes": event.notes or None,
        "label": "None",
        "changed_at": r.recorded_at,
        "revision": r.revision,
    }
    return (Put(VERSIONS, row), *lineage.described(r, event), *search.claimed(r, event))


_OfVersion = (
    e.MetadataAdded
    | e.VersionValidated
    | e.VersionRejected
    | e.VersionReopened
    | e.RecallProposed
    | e.VersionRecalled
    | e.VersionReinstated
    | e.VersionArchived
    | e.LegalHoldPlaced
    | e.LegalHoldReleased
    | e.VersionRetired
    | e.RetireRefused
    | e.EvaluationRecorded
)


def _version(r: Recorded, event: _OfVersion) -> Iterable[Change]:
    match event:
        case e.MetadataAdded():
            patch = patch_version(r, event.number, **_described_by(r, event))
            return (patch, *lineage.described(r, event), *search.claimed(r, event))
        case e.VersionValidated():
            return (patch_version(r, event.number, stage="Validated"),)
        case e.VersionRejected():
            return patch_version(r, event.number, stage="Rejected", reasons=event.reasons), touch_model(r)
        case e.VersionReopened():
            return patch_version(r, event.number, stage="Staging", gates=None), touch_model(r)
        case e.RecallProposed():
            proposed = {"by": event.by, "reason": r.reason, "at": r.recorded_at}
            return (patch_version(r, event.number, withdrawal_proposed=proposed),)
        case e.VersionRecalled():
            withdrawn = {"withdrawn": r.reason or "withdrawn", "withdrawal_id": event.withdrawal_id or None}
            return (patch_version(r, event.number, withdrawal_proposed=None, **withdrawn),)
        case e.VersionReinstated():
            again = {"stage": event.stage, "withdrawn": None, "withdrawal_id": None}
            return patch_version(r, event.number, **again), touch_model(r)
        case e.VersionArchived():
            return patch_version(r, event.number, stage="Archived"), touch_model(r)
        case e.LegalHoldPlaced():
            return (patch_version(r, event.number, legal_hold=r.reason or "legal hold"),)
        case e.LegalHoldReleased():
            return (patch_version(r, event.number, legal_hold=None),)
        case e.VersionRetired():
            tombstone = {"rule": event.rule, "cleanup_run_id": event.sweep_id, "at": r.recorded_at}
            return patch_version(r, event.number, stage=event.stage, retired=tombstone), touch_model(r)
        case e.RetireRefused():
            return (revise_version(r, event.number),)
        case e.EvaluationRecorded():
            data = lineage.evaluated(_model_id(r), event)
            counted = search.measured(r, event.number, event.evaluation)
            return (_evaluation(r, event), data, counted, patch_version(r, event.number))
        case _:
            assert_never(event)


def _evaluation(r: Recorded, event: e.EvaluationRecorded) -> Put:
    x = event.evaluation
    return Put(
        EVALUATIONS,
        {
            "model_id": _model_id(r),
            "revision": r.revision,
            "number": event.number,
            "name": x.name,
            "value": x.value,
            "dataset_digest": x.dataset_digest,
            "dataset_name": x.dataset_name,
            "definition": x.definition,
            "higher_is_better": x.higher_is_better,
            "primary_metric": x.primary,
            "independent": x.independent,
            "measured_by": x.by,
            "recorded_at": r.recorded_at,
        },
    )


def _model(
    r: Recorded, event: e.ModelRegistered | e.ModelRenamed | e.OwnerChanged | e.TagsChanged
) -> Iterable[Change]:
    key, changed = {"model_id": _model_id(r)}, {"revision": r.revision, "changed_at": r.recorded_at}
    match event:
        case e.ModelRegistered():
            row = {
                "name": event.model,
                "namespace": namespace_of(event.model),
                "kind": event.kind,
                "owner": event.owner,
                "tier": event.tier,
                "description": event.description,
                "tags": event.tags,
                "registered_at": r.recorded_at,
                "registered_by": r.actor.subject,
                "changed_at": r.recorded_at,
                "revision": r.revision,
            }
            return (Put(MODELS, {**key, **row}),)
        case e.ModelRenamed():
            return Patch(MODELS, key, {"name": event.model, **changed}), labels.shown(r)
        case e.OwnerChanged():
            return (Patch(MODELS, key, {"owner": event.owner, **changed}),)
        case e.TagsChanged():
            described = {"tags": event.tags, "tier": event.tier, "description": event.description}
            if event.tags_only:
                del changed["changed_at"]
            return (Patch(MODELS, key, {**described, **changed}),)
        case _:
            assert_never(event)


def _refused(r: Recorded, event: e.RegistrationRefused) -> Iterable[Change]:
    return (
        Put(
            REFUSALS,
            {
                "stream": r.stream,
                "revision": r.revision,
                "model": event.model,
                "number": event.number,
                "problems": event.problems,
                "proof": event.proof,
                "artifact_digest": event.artifact_digest,
                "creator": event.creator,
                "refused_at": r.recorded_at,
                "refused_of": r.actor.subject,
                "correlation_id": r.correlation_id,
                "message_id": r.causation_id,
            },
        ),
    )


def _noted(r: Recorded, note: Noted) -> Iterable[Change]:
    content, state = noted.read(note), noted.ARTIFACT_STATES.get(note.source.type)
    match content:
        case noted.GatesEvaluated(stage="Validated"):
            gates = {
                "passed": content.passed,
                "results": content.results,
                "policy": content.policy,
                "at": r.recorded_at,
            }
            return (patch_version(r, content.number, gates=gates),)
        case noted.GatesEvaluated():  # notes of older releases
            return (patch_version(r, content.number),)
        case noted.ArtifactReport():
            detail = content.detail or content.reason or None
            uri = {"artifact_uri": content.uri} if content.uri else {}
            return (patch_version(r, content.number, artifact_state=state, artifact_detail=detail, **uri),)
        case noted.ArtifactEnded():
            own = [v.number for v in content.versions if v.model_id == _model_id(r)]
            ended = [
                Patch(VERSIONS, {"model_id": _model_id(r), "number": number}, {"artifact_state": state})
                for number in own
            ]
            return (*ended, labels.shown(r)) if ended else ()
    return ()
