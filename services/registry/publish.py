"""The public messages of the registry's events. Field names are a contract: see schemas/public."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from services.registry.domain.model import events as e
from services.registry.domain.model.events import Champion, Correction, Entry, Evaluation, Skipped
from services.registry.domain.model.imported import ImportedFrom
from services.registry.domain.model.metadata import (
    Artifact,
    Parent,
    Problem,
    Signature,
    Training,
    callers_signature,
)
from services.registry.domain.serving import environment
from services.registry.domain.versioning.bump import Bump
from shared.deciding.events import Recorded
from shared.deciding.service import PublicEvent


@dataclass(frozen=True, slots=True)
class ModelRegistered:
    model_id: str
    model: str
    kind: str
    owner: str
    tier: str
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelRenamed:
    """The old name stays a redirect to the model."""

    model_id: str
    model: str
    previous: str


@dataclass(frozen=True, slots=True)
class OwnerChanged:
    model_id: str
    model: str
    owner: str


@dataclass(frozen=True, slots=True)
class TagsChanged:
    model_id: str
    model: str
    tags: dict[str, str]
    tier: str


@dataclass(frozen=True, slots=True)
class DraftRegistered:
    """An incomplete version: it has a number, but no semantic version yet.

    `artifact`: the files that a client of MLflow uploaded for it; they are verified before it is complete.
    """

    model_id: str
    model: str
    number: int
    artifact: Artifact | None = None
    requester_subject: str = ""
    contributors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionRegistered:
    """A version is complete (`missing` is empty).

    `champion` is production's champion at that moment. `contributors` sent any of the version's metadata,
    or started the job that did.
    `imported_from`: what another registry states about it, as its importer read it.
    """

    model_id: str
    model: str
    kind: str
    tier: str
    tags: dict[str, str]
    owner: str
    number: int
    semver: str
    creator: str
    on_behalf_of: str | None
    requester_subject: str
    artifact: Artifact | None
    training: Training
    signature: Signature | None
    parents: tuple[Parent, ...]
    bump: Bump | None
    champion: Champion | None
    contributors: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    imported_from: ImportedFrom | None = None


@dataclass(frozen=True, slots=True)
class VersionDescribed:
    """Description or tags of a version changed."""

    model_id: str
    model: str
    number: int
    semver: str
    description: str
    tags: dict[str, str]
    previous_description: str
    previous_tags: dict[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class NoteAdded:
    """`by` noted something about a version. `note` counts the notes of the version from 1."""

    model_id: str
    model: str
    number: int
    semver: str
    note: int
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class NoteCorrected:
    """The author replaced the text of a note."""

    model_id: str
    model: str
    number: int
    semver: str
    note: int
    text: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class MetadataCorrected:
    """Metadata that no decision is bound to were corrected. `VersionRegistered` has them as they were.

    `corrected`: every correction of the version that is valid now, by path.
    """

    model_id: str
    model: str
    number: int
    semver: str
    changes: tuple[Correction, ...]
    corrected: dict[str, str | None]
    reason: str


@dataclass(frozen=True, slots=True)
class RegistrationRefused:
    """Every rule that failed. `number` is the draft to be completed, 0 for a new version."""

    model: str
    problems: tuple[Problem, ...]
    number: int
    artifact_digest: str
    creator: str
    requester_subject: str


@dataclass(frozen=True, slots=True)
class ChildLinked:
    """A version was made from this one."""

    model_id: str
    model: str
    number: int
    child_model_id: str
    child_model: str
    child_number: int


@dataclass(frozen=True, slots=True)
class ChildUnlinked:
    """A version made from this one was retired."""

    model_id: str
    model: str
    number: int
    child_model_id: str
    child_model: str
    child_number: int


@dataclass(frozen=True, slots=True)
class EvaluationRecorded:
    model_id: str
    model: str
    number: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class VersionValidated:
    model_id: str
    model: str
    number: int
    semver: str


@dataclass(frozen=True, slots=True)
class VersionRejected:
    model_id: str
    model: str
    number: int
    semver: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecallProposed:
    """A withdrawal that needs a second person by its policy. Nothing changes until that person confirms."""

    model_id: str
    model: str
    number: int
    reason: str
    by: str
    withdrawal_id: str


@dataclass(frozen=True, slots=True)
class VersionRecalled:
    """The version must not be used any more, wherever it is.

    `withdrawal_id`: the step that withdrew several versions, empty for a single withdrawal.
    """

    model_id: str
    model: str
    number: int
    reason: str
    artifact_digest: str
    withdrawal_id: str = ""


@dataclass(frozen=True, slots=True)
class VersionReopened:
    """An archived version is in Staging again: its gates are assessed again."""

    model_id: str
    model: str
    number: int
    semver: str
    reason: str


@dataclass(frozen=True, slots=True)
class VersionReinstated:
    """A withdrawal was reversed: the version may be used again in its stage."""

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    artifact_digest: str
    recalled_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class VersionArchived:
    model_id: str
    model: str
    number: int


@dataclass(frozen=True, slots=True)
class LegalHoldPlaced:
    model_id: str
    model: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class LegalHoldReleased:
    model_id: str
    model: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class PromotionRequested:
    """`digest` is the RFC 8785 digest of `evidence`. A grant repeats it with the promotion's id.

    `serve`: the grant gives the version all requests, where no version serves. `production`: whether the
    environment is one.
    """

    model_id: str
    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    digest: str
    requester: str
    creator: str
    on_behalf_of: str | None
    evidence: dict[str, Any]
    serve: bool = False
    production: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PromotionSpent:
    """A grant ended before its version was champion. `champion`: the version that serves, 0 for none."""

    model_id: str
    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    champion: int


@dataclass(frozen=True, slots=True)
class PromotionRefused:
    model_id: str
    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionPromoted:
    """Only a `production` environment gives the version the stage Production."""

    model_id: str
    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    production: bool = True
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GrantWithdrawn:
    """The override that granted the promotion was not justified: the version gets no further requests.

    `not_rolled_back`: why it keeps those that it has although the policy wants a rollback.
    """

    model_id: str
    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    not_rolled_back: str = ""


@dataclass(frozen=True, slots=True)
class RolloutChanged:
    """Without `entries` the rollout is stopped: no version serves in the environment."""

    model_id: str
    model: str
    environment: str
    entries: tuple[Entry, ...]
    previous: tuple[Entry, ...]
    champion: Champion | None
    production: bool = True


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A rollback that ends a split has the champion as `from_number` and `to_number`."""

    model_id: str
    model: str
    environment: str
    entries: tuple[Entry, ...]
    previous: tuple[Entry, ...]
    champion: Champion | None
    from_number: int
    to_number: int
    reason: str
    skipped: tuple[Skipped, ...] = ()
    warning: str = ""
    production: bool = True


@dataclass(frozen=True, slots=True)
class EnvironmentCreated:
    """A target of serving was declared. Its models are those in the namespace; empty: all models."""

    namespace: str
    name: str
    production: bool
    order: int
    description: str


@dataclass(frozen=True, slots=True)
class EnvironmentEdited:
    namespace: str
    name: str
    order: int
    description: str


@dataclass(frozen=True, slots=True)
class EnvironmentRetired:
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class AliasSet:
    model_id: str
    model: str
    alias: str
    number: int


@dataclass(frozen=True, slots=True)
class AliasRemoved:
    model_id: str
    model: str
    alias: str
    number: int


@dataclass(frozen=True, slots=True)
class VersionRetired:
    """`stage` is the stage in which the version ended: Archived, or Draft or Rejected as before."""

    model_id: str
    model: str
    number: int
    artifact_digest: str
    rule: str
    sweep_id: str
    stage: str = "Archived"


@dataclass(frozen=True, slots=True)
class RetireRefused:
    model_id: str
    model: str
    number: int
    reasons: tuple[str, ...]
    sweep_id: str


_CLASSES: tuple[type, ...] = (
    ModelRegistered,
    ModelRenamed,
    OwnerChanged,
    TagsChanged,
    DraftRegistered,
    VersionRegistered,
    VersionDescribed,
    NoteAdded,
    NoteCorrected,
    MetadataCorrected,
    RegistrationRefused,
    ChildLinked,
    ChildUnlinked,
    EvaluationRecorded,
    VersionValidated,
    VersionRejected,
    VersionReopened,
    RecallProposed,
    VersionRecalled,
    VersionReinstated,
    VersionArchived,
    LegalHoldPlaced,
    LegalHoldReleased,
    PromotionRequested,
    PromotionSpent,
    PromotionRefused,
    VersionPromoted,
    GrantWithdrawn,
    RolloutChanged,
    RolledBack,
    EnvironmentCreated,
    EnvironmentEdited,
    EnvironmentRetired,
    AliasSet,
    AliasRemoved,
    VersionRetired,
    RetireRefused,
)
PUBLIC: dict[str, type] = {f"regista.registry.{class_.__name__}.v1": class_ for class_ in _CLASSES}
"""Every public type and the shape of its data."""

_FIELDS: dict[type, tuple[str, ...]] = {
    class_: tuple(field.name for field in fields(class_)) for class_ in _CLASSES
}
_SAME_NAME: dict[type, type] = {
    stored: public
    for public in _CLASSES
    if (stored := getattr(e, public.__name__, None) or getattr(environment, public.__name__, None))
    is not None
    and public is not VersionRegistered
}


def publish(recorded: Recorded) -> PublicEvent | None:
    """Return the public form of an event; None for an event that stays internal."""
    data = _public(recorded)
    return PublicEvent(f"regista.registry.{type(data).__name__}.v1", data) if data is not None else None


def _public(recorded: Recorded) -> object | None:
    event = recorded.event
    match event:
        case e.VersionRegistered() | e.MetadataAdded():
            return _version(recorded, event)
        case _ if type(event) in _SAME_NAME:
            return _same_name(recorded, _SAME_NAME[type(event)])
    return None  # NameClaimed (the model's own events have its names), Noted


def _version(recorded: Recorded, event: e.VersionRegistered | e.MetadataAdded) -> object | None:
    """Return the message of a new draft or version.

    Metadata that leaves a draft incomplete has none, unless MLflow's clients read the draft: its files may be
    new, and are verified before it is complete.
    """
    model_id, training = recorded.stream.removeprefix("model-"), event.metadata.training
    if not event.semver:
        artifact = event.metadata.artifact if event.metadata.external else None
        if not isinstance(event, e.VersionRegistered) and artifact is None:
            return None
        maker, others = recorded.actor.subject, _contributors(event)
        return DraftRegistered(model_id, event.model, event.number, artifact, maker, others)
    return VersionRegistered(
        model_id,
        event.model,
        event.kind,
        event.tier,
        event.tags,
        event.owner,
        event.number,
        event.semver,
        training.creator or "",
        training.on_behalf_of,
        recorded.actor.subject,
        event.metadata.artifact,
        training,
        callers_signature(event.metadata),
        event.metadata.parents,
        event.bump,
        event.champion,
        _contributors(event),
        event.missing,
        event.metadata.imported_from,
    )


def _contributors(event: e.VersionRegistered | e.MetadataAdded) -> tuple[str, ...]:
    """Return who sent any of the metadata, and who started the jobs that did."""
    return tuple(dict.fromkeys((*event.contributors, *event.started_by)))


_FROM_ENVELOPE: dict[str, Callable[[Recorded], str]] = {
    "model_id": lambda r: r.stream.removeprefix("model-"),
    "reason": lambda r: r.reason,
    "requester_subject": lambda r: r.actor.subject,
}


def _same_name(recorded: Recorded, public: type) -> object:
    """Return the message, each field from the event or, when the event lacks it, from the envelope.

    The tests fail for a field that both lack.
    """
    event = recorded.event
    return public(
        **{
            name: getattr(event, name) if hasattr(event, name) else _FROM_ENVELOPE[name](recorded)
            for name in _FIELDS[public]
        }
    )
