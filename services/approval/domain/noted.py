"""The fields of other services' public events that approval uses. A reader ignores every other field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.deciding.events import Noted
from shared.deciding.person import folded_name

MODEL_REGISTERED = "regista.registry.ModelRegistered.v1"
MODEL_RENAMED = "regista.registry.ModelRenamed.v1"
TAGS_CHANGED = "regista.registry.TagsChanged.v1"
ROLLOUT_CHANGED = "regista.registry.RolloutChanged.v1"
ROLLED_BACK = "regista.registry.RolledBack.v1"
VERSION_REGISTERED = "regista.registry.VersionRegistered.v1"
EVALUATION_RECORDED = "regista.registry.EvaluationRecorded.v1"
PROMOTION_REQUESTED = "regista.registry.PromotionRequested.v1"
PROMOTION_REFUSED = "regista.registry.PromotionRefused.v1"
PROMOTION_SPENT = "regista.registry.PromotionSpent.v1"
VERSION_VALIDATED = "regista.registry.VersionValidated.v1"
VERSION_REJECTED = "regista.registry.VersionRejected.v1"
VERSION_PROMOTED = "regista.registry.VersionPromoted.v1"
VERSION_ARCHIVED = "regista.registry.VersionArchived.v1"
VERSION_REOPENED = "regista.registry.VersionReopened.v1"
VERSION_RECALLED = "regista.registry.VersionRecalled.v1"
VERSION_REINSTATED = "regista.registry.VersionReinstated.v1"
VERSION_RETIRED = "regista.registry.VersionRetired.v1"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One metric, measured on one data set.

    `independent`: measured by someone who did not make the version.
    """

    name: str
    value: float | None = None
    dataset_digest: str | None = None
    dataset_name: str | None = None
    definition: str | None = None
    higher_is_better: bool = True
    primary: bool = False
    independent: bool = False
    by: str | None = None

    @property
    def key(self) -> str:
        """A later evaluation with the same key replaces the earlier one.

        A claim replaces any claim; an independent evaluation replaces only one by the same author.
        """
        author = f"independent|{folded_name(self.by or '')}" if self.independent else "claimed"
        return "|".join((self.name, self.dataset_digest or "", self.definition or "", author))


@dataclass(frozen=True, slots=True)
class SignatureField:
    name: str
    type: str = ""
    required: bool = True
    unit: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    inputs: tuple[SignatureField, ...] = ()
    outputs: tuple[SignatureField, ...] = ()
    inputs_by: str | None = None
    outputs_by: str | None = None
    columns: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves as champion in an environment, as registry publishes it."""

    number: int
    semver: str | None = None
    artifact_digest: str | None = None
    signature: Signature | None = None
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifact:
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Training:
    metrics: tuple[Evaluation, ...] = ()
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Bump:
    level: str | None = None


@dataclass(frozen=True, slots=True)
class ImportName:
    """What names a version in another registry. What that registry states of it is not read here."""

    system: str
    uri: str
    id: str
    number: str


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """ModelRegistered, ModelRenamed, TagsChanged. A field that is None leaves the fact as it was."""

    model_id: str
    model: str | None = None
    kind: str | None = None
    tier: str | None = None
    tags: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """RolloutChanged, RolledBack."""

    model_id: str
    environment: str
    champion: Champion | None = None
    production: bool = True


@dataclass(frozen=True, slots=True)
class VersionRegistered:
    """`contributors`: everyone who registered or completed the version.

    `missing`: the mandatory fields that are absent, by registry's rule.
    """

    model_id: str
    model: str
    number: int
    kind: str = "model"
    tier: str | None = None
    tags: dict[str, str] | None = None
    semver: str | None = None
    creator: str | None = None
    on_behalf_of: str | None = None
    requester_subject: str | None = None
    artifact: Artifact | None = None
    training: Training | None = None
    signature: Signature | None = None
    bump: Bump | None = None
    contributors: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    imported_from: ImportName | None = None


@dataclass(frozen=True, slots=True)
class EvaluationRecorded:
    model_id: str
    number: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class VersionEvent:
    """The version moved to another stage, see STAGE_AFTER."""

    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class VersionPromoted(VersionEvent):
    """The registry carried a grant out.

    A promotion to an environment that is no `production` leaves the stage as it is.
    """

    promotion_id: str | None = None
    production: bool = True


@dataclass(frozen=True, slots=True)
class VersionReinstated:
    """The withdrawal of the version was undone; it is in `stage`."""

    model_id: str
    number: int
    stage: str


@dataclass(frozen=True, slots=True)
class RequestEvidence:
    """`recalled_ancestors`: the withdrawn versions that the version was made from, in words."""

    recalled_ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromotionRequested:
    model_id: str
    number: int
    promotion_id: str
    environment: str
    digest: str
    requester: str | None = None
    creator: str | None = None
    on_behalf_of: str | None = None
    serve: bool = False
    production: bool = True
    reason: str = ""
    evidence: RequestEvidence = RequestEvidence()


@dataclass(frozen=True, slots=True)
class PromotionRefused:
    model_id: str
    number: int
    promotion_id: str | None = None


@dataclass(frozen=True, slots=True)
class PromotionSpent:
    """The grant ended before the version was champion."""

    model_id: str
    number: int
    promotion_id: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactEvent:
    """The state of the bytes of one version.

    Events of artifact about bytes alone are not read: they follow the retirement of every version that has
    the bytes.
    """

    digest: str
    model_id: str
    number: int


STAGE_AFTER: Mapping[str, str] = {
    VERSION_VALIDATED: "Validated",
    VERSION_REJECTED: "Rejected",
    VERSION_PROMOTED: "Production",
    VERSION_ARCHIVED: "Archived",
    VERSION_REOPENED: "Staging",
    VERSION_RECALLED: "Withdrawn",
    VERSION_RETIRED: "Retired",
}
ARTIFACT_STATE_AFTER: Mapping[str, str] = {
    "regista.artifact.ArtifactReleased.v1": "released",
    "regista.artifact.ArtifactMismatched.v1": "mismatched",
    "regista.artifact.ArtifactQuarantined.v1": "quarantined",
    "regista.artifact.ArtifactRecalled.v1": "recalled",
}

MODEL_EVENTS: Mapping[str, type] = {
    MODEL_REGISTERED: ModelEvent,
    MODEL_RENAMED: ModelEvent,
    TAGS_CHANGED: ModelEvent,
    ROLLOUT_CHANGED: RolloutEvent,
    ROLLED_BACK: RolloutEvent,
}
VERSION_EVENTS: Mapping[str, type] = {
    VERSION_REGISTERED: VersionRegistered,
    EVALUATION_RECORDED: EvaluationRecorded,
    PROMOTION_REQUESTED: PromotionRequested,
    PROMOTION_REFUSED: PromotionRefused,
    PROMOTION_SPENT: PromotionSpent,
    VERSION_REINSTATED: VersionReinstated,
    **dict.fromkeys(STAGE_AFTER, VersionEvent),
    VERSION_PROMOTED: VersionPromoted,
}
ARTIFACT_EVENTS: Mapping[str, type] = dict.fromkeys(ARTIFACT_STATE_AFTER, ArtifactEvent)
_READERS = {**MODEL_EVENTS, **VERSION_EVENTS, **ARTIFACT_EVENTS}


def read(type_: str, data: Mapping[str, Any]) -> Any:
    """Convert an event's data to the reader's dataclass for its public type.

    Raises KeyError for an unknown type and msgspec.ValidationError for data that does not fit.
    """
    return msgspec.convert(data, _READERS[type_], strict=False)


def read_note(note: Noted) -> Any:
    """Return the noted event as its reader's dataclass, or None for a type that is no longer read."""
    return read(note.source.type, note.data) if note.source.type in _READERS else None
