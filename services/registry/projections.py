"""Event → row changes; live and rebuild use the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

import msgspec

from services.registry.domain import noted
from services.registry.domain.model import events as e
from services.registry.domain.naming.name import NameClaimed
from services.registry.tables import (
    ALIASES,
    EVALUATIONS,
    IDENTITIES,
    KEYS,
    MODELS,
    NAMES,
    PROMOTIONS,
    REFUSALS,
    ROLES,
    ROLLOUTS,
    VERSIONS,
)
from shared.deciding.access import (
    AccessEvent,
    IdentityCreated,
    KeyIssued,
    KeyRevoked,
    NameErased,
    NameSet,
    RoleGranted,
    RoleRevoked,
    namespace_of,
)
from shared.deciding.changes import Change, Drop, Patch, Put
from shared.deciding.events import Noted, Recorded


class _Digest(msgspec.Struct, gc=False):
    digest: str


class _Dataset(msgspec.Struct, gc=False):
    name: str = ""
    digest: str | None = None


class _Training(msgspec.Struct, gc=False):
    creator: str | None = None
    dataset: _Dataset | None = None


class _Document(msgspec.Struct, gc=False):
    artifact: _Digest | None = None
    training: _Training = msgspec.field(default_factory=_Training)


class BriefVersion(msgspec.Struct, gc=False):
    """What the rows of a `VersionRegistered` need of it. Its document is nine tenths of the event."""

    number: int
    semver: str
    identity: str
    metadata: _Document
    bump: msgspec.Raw
    missing: tuple[str, ...] = ()


IN_BRIEF: Mapping[type, type] = {e.VersionRegistered: BriefVersion}


def project(r: Recorded) -> Iterable[Change]:
    """The rows that one event of the registry changes."""
    event: e.ModelEvent | BriefVersion | NameClaimed | Noted = r.event
    match event:
        case e.VersionRegistered() | BriefVersion():
            return _born(r, event)
        case Noted():
            return _noted(r, event)
        case NameClaimed():
            return (Put(NAMES, {"name": event.name, "model_id": event.model_id}),)
        case e.RegistrationRefused():
            return _refused(r, event)
        case e.ModelRegistered() | e.ModelRenamed() | e.OwnerChanged() | e.TagsChanged():
            return _described(r, event)
        case e.AliasSet() | e.AliasRemoved():
            return _aliased(r, event)
        case e.RolloutChanged() | e.RolledBack():
            return _rolled_out(r, event)
        case e.PromotionRequested() | e.PromotionRefused() | e.VersionPromoted():
            return _promotion(r, event)
        case e.ChildLinked() | e.ChildUnlinked():
            return ()
        case _:
            return _version(r, event)


def _model_id(r: Recorded) -> str:
    return r.stream.removeprefix("model-")


def _patch(r: Recorded, number: int, **columns: Any) -> Patch:
    """Every event about a version moves its revision, as the fold does: the row's is its ETag."""
    return Patch(VERSIONS, {"model_id": _model_id(r), "number": number}, {**columns, "revision": r.revision})


def _known(r: Recorded, event: e.VersionRegistered | e.MetadataAdded | BriefVersion) -> dict[str, Any]:
    training = event.metadata.training
    return {
        "semver": event.semver or None,
        "stage": "Staging" if event.semver else "Draft",
        "artifact_digest": event.metadata.artifact.digest if event.metadata.artifact else None,
        "identity": event.identity,
        "document": r.revision,
        "bump": event.bump if event.semver else None,
        "missing": event.missing or None,
        "creator": training.creator,
        "dataset_name": training.dataset.name if training.dataset else None,
        "dataset_digest": training.dataset.digest if training.dataset else None,
    }


def _born(r: Recorded, event: e.VersionRegistered | BriefVersion) -> Iterable[Change]:
    born = {
        "registered_at": r.recorded_at,
        "registered_by": r.actor.subject,
        "correlation_id": r.correlation_id,
        "message_id": r.causation_id,
        "revision": r.revision,
    }
    return (Put(VERSIONS, {"model_id": _model_id(r), "number": event.number, **_known(r, event), **born}),)


_OfVersion = (
    e.MetadataAdded
    | e.VersionValidated
    | e.VersionRejected
    | e.VersionRecalled
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
            return (_patch(r, event.number, **_known(r, event)),)
        case e.VersionValidated():
            return (_patch(r, event.number, stage="Validated"),)
        case e.VersionRejected():
            return (_patch(r, event.number, stage="Rejected", reasons=event.reasons),)
        case e.VersionRecalled():
            return (_patch(r, event.number, recalled=r.reason or "recalled"),)
        case e.VersionArchived():
            return (_patch(r, event.number, stage="Archived"),)
        case e.LegalHoldPlaced():
            return (_patch(r, event.number, held=r.reason or "held"),)
        case e.LegalHoldReleased():
            return (_patch(r, event.number, held=None),)
        case e.VersionRetired():
            tombstone = {"rule": event.rule, "sweep_id": event.sweep_id, "at": r.recorded_at}
            return (_patch(r, event.number, stage="Archived", retired=tombstone),)
        case e.RetireRefused():
            return (_patch(r, event.number),)
        case e.EvaluationRecorded():
            return (_evaluation(r, event), _patch(r, event.number))
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


def _described(
    r: Recorded, event: e.ModelRegistered | e.ModelRenamed | e.OwnerChanged | e.TagsChanged
) -> Iterable[Change]:
    key = {"model_id": _model_id(r)}
    match event:
        case e.ModelRegistered():
            told = {
                "name": event.model,
                "namespace": namespace_of(event.model),
                "kind": event.kind,
                "owner": event.owner,
                "tier": event.tier,
                "description": event.description,
                "tags": event.tags,
            }
            return (
                Put(
                    MODELS,
                    {
                        **key,
                        **told,
                        "registered_at": r.recorded_at,
                        "registered_by": r.actor.subject,
                        "revision": r.revision,
                    },
                ),
            )
        case e.ModelRenamed():
            return (Patch(MODELS, key, {"name": event.model, "revision": r.revision}),)
        case e.OwnerChanged():
            return (Patch(MODELS, key, {"owner": event.owner, "revision": r.revision}),)
        case e.TagsChanged():
            return (
                Patch(
                    MODELS,
                    key,
                    {
                        "tags": event.tags,
                        "tier": event.tier,
                        "description": event.description,
                        "revision": r.revision,
                    },
                ),
            )
        case _:
            assert_never(event)


def _aliased(r: Recorded, event: e.AliasSet | e.AliasRemoved) -> Iterable[Change]:
    key = {"model_id": _model_id(r), "alias": event.alias}
    if isinstance(event, e.AliasRemoved):
        return Drop(ALIASES, key), _patch(r, event.number)
    told = {"number": event.number, "semver": event.semver, "protected": event.protected}
    return Put(
        ALIASES, {**key, **told, "set_at": r.recorded_at, "set_by": r.actor.subject, "revision": r.revision}
    ), _patch(r, event.number)


def _rolled_out(r: Recorded, event: e.RolloutChanged | e.RolledBack) -> Iterable[Change]:
    champion = next(entry.number for entry in event.entries if entry.role == "champion")
    back = event if isinstance(event, e.RolledBack) else None
    row = Put(
        ROLLOUTS,
        {
            "model_id": _model_id(r),
            "environment": event.environment,
            "champion": champion,
            "entries": event.entries,
            "previous": event.previous,
            "rolled_back_from": back.from_number if back else None,
            "skipped": back.skipped if back else None,
            "changed_at": r.recorded_at,
            "changed_by": r.actor.subject,
            "reason": r.reason,
            "revision": r.revision,
        },
    )
    return (row, _patch(r, back.to_number, stage="Production")) if back else (row,)


def _promotion(
    r: Recorded, event: e.PromotionRequested | e.PromotionRefused | e.VersionPromoted
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
            }
            return Put(PROMOTIONS, {**key, **row}), _patch(r, event.number)
        case e.PromotionRefused():
            return Patch(
                PROMOTIONS, key, {"state": "refused", "reasons": event.reasons, "closed_at": r.recorded_at}
            ), _patch(r, event.number)
        case e.VersionPromoted():
            promoted = {
                "promotion_id": event.promotion_id,
                "environment": event.environment,
                "at": r.recorded_at,
                "approvers": event.approvers,
                "override": event.override,
            }
            closed = {"state": "promoted", "approvers": event.approvers, "closed_at": r.recorded_at}
            return Patch(PROMOTIONS, key, closed), _patch(
                r, event.number, stage="Production", promoted=promoted
            )
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
    told, state = noted.read(note), noted.ARTIFACT_STATES.get(note.source.type)
    match told:
        case noted.GatesEvaluated():
            gates = {
                "passed": told.passed,
                "results": note.data.get("results", []),
                "policy": note.data.get("policy"),
                "at": r.recorded_at,
            }
            return (_patch(r, told.number, **({"gates": gates} if told.stage == "Validated" else {})),)
        case noted.ArtifactNews():
            detail = told.detail or told.reason or None
            uri = {"artifact_uri": told.uri} if told.uri else {}
            return (_patch(r, told.number, artifact_state=state, artifact_detail=detail, **uri),)
        case noted.ArtifactEnded():
            own = [v.number for v in told.versions if v.model_id == _model_id(r)]
            return [
                Patch(VERSIONS, {"model_id": _model_id(r), "number": number}, {"artifact_state": state})
                for number in own
            ]
    return ()


def project_access(r: Recorded) -> Iterable[Change]:
    """The rows that one event of an identity changes."""
    event: AccessEvent = r.event
    match event:
        case IdentityCreated() as x:
            row = {
                "subject": x.subject,
                "kind": x.kind,
                "created_at": r.recorded_at,
                "created_by": r.actor.subject,
            }
            return (Put(IDENTITIES, row | {"name_revision": r.revision}),)
        case NameSet() as x:
            return (
                Patch(
                    IDENTITIES, {"subject": x.subject}, {"name_revision": r.revision, "name_erased_at": None}
                ),
            )
        case NameErased() as x:
            return (
                Patch(
                    IDENTITIES,
                    {"subject": x.subject},
                    {"name_revision": r.revision, "name_erased_at": r.recorded_at},
                ),
            )
        case KeyIssued() as x:
            row = {
                "subject": x.subject,
                "key_id": x.key_id,
                "algorithm": x.algorithm,
                "issued_at": r.recorded_at,
                "expires_at": x.expires_at,
            }
            return (Put(KEYS, row),)
        case KeyRevoked() as x:
            return (
                Patch(
                    KEYS,
                    {"subject": x.subject, "key_id": x.key_id},
                    {"compromised_at" if x.compromised else "revoked_at": r.recorded_at},
                ),
            )
        case RoleGranted() as x:
            return (Put(ROLES, {"subject": x.subject, "role": x.role, "namespace": x.namespace}),)
        case RoleRevoked() as x:
            return (Drop(ROLES, {"subject": x.subject, "role": x.role, "namespace": x.namespace}),)
        case _:
            assert_never(event)
