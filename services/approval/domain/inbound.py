"""What approval reads of the other services' public events: only the fields it uses; whatever else a message says is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from immutables import Map

from shared.events import Noted


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One metric, measured on one data set. `independent`: not measured by those who made the version."""

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
        """A later evaluation with the same key replaces the earlier one."""
        return "|".join((self.name, self.dataset_digest or "", self.definition or "", "independent" if self.independent else "claimed"))


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


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves as champion in an environment, as registry tells it."""

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
    """Presence is what matters here; the content is registry's business."""

    config: Any = None
    code: Mapping[str, Any] | None = None
    dataset: Mapping[str, Any] | None = None
    metrics: tuple[Evaluation, ...] = ()
    trained_at: str | None = None
    creator: str | None = None


@dataclass(frozen=True, slots=True)
class Bump:
    level: str | None = None


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """ModelRegistered, ModelRenamed, TagsChanged: each tells the facts that it knows, None leaves a fact as it was."""

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


@dataclass(frozen=True, slots=True)
class VersionRegistered:
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


@dataclass(frozen=True, slots=True)
class EvaluationRecorded:
    model_id: str
    number: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class VersionEvent:
    """The version went to another stage, see STAGE_AFTER."""

    model_id: str
    number: int


@dataclass(frozen=True, slots=True)
class PromotionRequested:
    model_id: str
    number: int
    promotion_id: str
    environment: str
    digest: str
    model: str | None = None
    semver: str | None = None
    requester: str | None = None
    creator: str | None = None
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class PromotionRefused:
    model_id: str
    number: int
    promotion_id: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactEvent:
    """What artifact says of the bytes of one version. What it says of bytes alone comes after every version with them is retired."""

    digest: str
    model_id: str
    number: int


STAGE_AFTER = Map(
    VersionValidated="Validated", VersionRejected="Rejected", VersionPromoted="Production", VersionArchived="Archived", VersionRecalled="Recalled",
    VersionRetired="Retired",
)  # fmt: skip
ARTIFACT_STATE_AFTER = Map(
    ArtifactReleased="released", ArtifactMismatched="mismatched", ArtifactQuarantined="quarantined", ArtifactRecalled="recalled",
)  # fmt: skip

MODEL_EVENTS: Mapping[str, type] = {
    "ModelRegistered": ModelEvent, "ModelRenamed": ModelEvent, "TagsChanged": ModelEvent,
    "RolloutChanged": RolloutEvent, "RolledBack": RolloutEvent,
}  # fmt: skip
VERSION_EVENTS: Mapping[str, type] = {
    "VersionRegistered": VersionRegistered, "EvaluationRecorded": EvaluationRecorded, "PromotionRequested": PromotionRequested,
    "PromotionRefused": PromotionRefused, **dict.fromkeys(STAGE_AFTER, VersionEvent),
}  # fmt: skip
ARTIFACT_EVENTS: Mapping[str, type] = dict.fromkeys(ARTIFACT_STATE_AFTER, ArtifactEvent)
_READERS = {**MODEL_EVENTS, **VERSION_EVENTS, **ARTIFACT_EVENTS}


def read(name: str, data: Mapping[str, Any]) -> Any:
    """The reader's dataclass for the event called `name`. Raises KeyError for an unknown name, msgspec.ValidationError where it does not fit."""
    return msgspec.convert(data, _READERS[name], strict=False)


def read_noted(noted: Noted) -> Any:
    """What was noted; None for an event that is not read any more."""
    return read(noted.source.type, noted.data) if noted.source.type in _READERS else None
