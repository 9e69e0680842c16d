"""Shapes of versions. Answers are not checked at run time; the tests check every answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from services.registry.domain.model.events import Role
from services.registry.domain.model.metadata import Kind, Relation
from services.registry.domain.model.state import Stage
from services.registry.domain.versioning.change import Level
from services.registry.inbound import (
    Artifact,
    External,
    ImportedFrom,
    Label,
    ModelTrained,
    Name,
    Shape,
    Signature,
    Text,
    Training,
)
from services.registry.shapes.common import OptionalReason
from services.registry.shapes.remarks import CorrectionAnswer, NoteAnswer
from shared.http.routes import Body


class Registration(ModelTrained):
    """The data of a `ModelTrained` message. The path names the model; `model` may be left out."""

    model: Name = ""


VersionReference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
"""A number, a semantic version or @ with `latest`, an alias or an environment."""


class DiffQuery(Body):
    """Two versions, each a number, a semantic version or @ with an alias or environment."""

    from_: VersionReference = Field(alias="from")
    to: VersionReference


class NewEvaluation(Body):
    """A metric measured on a named data set. `independent`: not by those who made the version."""

    name: Name
    value: float
    dataset_digest: Label
    dataset_name: Label = ""
    definition: Text | None = None
    higher_is_better: bool = True
    primary: bool = False
    independent: bool = False


class PromotionRequest(OptionalReason):
    """`serve`: the grant gives the version all requests, where no version serves.

    Without it a grant switches nothing.
    """

    environment: str = Field(default="production", max_length=40)
    serve: bool = False


class PromotionAnswer(Body):
    """The request is open, or was granted before (`state`). `digest` covers all the evidence.

    `serve`: the grant gives the version all requests. `new` is false when the promotion stood before this
    request, which then changed nothing: `requested_by` and `reason` are those of the earlier one.
    `superseded` are the open promotions in whose place a new one stands; their approvals count no more.
    """

    promotion_id: str
    model_id: str
    number: int
    environment: str
    digest: str
    serve: bool
    state: str
    new: bool
    requested_by: str
    reason: str
    superseded: list[str]


class ParentAnswer(Shape):
    """A parent. One that is not in this registry has a URL as `model`, number 0, and a digest."""

    model: str
    model_id: str
    number: int
    relation: Relation
    digest: str


Part = Literal[
    "schema",
    "code",
    "config",
    "features",
    "framework",
    "parents",
    "metrics",
    "data",
    "seed",
    "environment",
    "artifact",
]
"""As in events, which call the schema `signature`."""


class ChangeAnswer(Shape):
    """One difference. `level`: the bump it proves; `breaking`: callers notice."""

    part: Part
    path: str
    what: str
    before: Any
    after: Any
    detail: str
    breaking: bool
    level: Level | None


class BumpAnswer(Shape):
    """Why the version has its number.

    `rule` applies to the differences from the version `compared_with` (0: none). `note` explains a claim.
    `changes` are the most important differences; `ignored` are the paths of configuration values that changed
    and are noise; `omitted` counts the others. The diff of both versions shows all.
    """

    level: Level | None
    rule: str
    compared_with: int
    compared_with_semver: str
    claimed: str
    note: str
    proven: Level | None
    changes: list[ChangeAnswer]
    omitted: int
    ignored: list[str]


class GatesAnswer(Shape):
    """The newest verdict of the automated gates for Validated."""

    passed: bool
    results: list[dict[str, Any]]
    policy: dict[str, Any] | None
    at: str


class EvaluationAnswer(Shape):
    name: str
    value: float
    dataset_digest: str
    dataset_name: str
    definition: str | None
    higher_is_better: bool
    primary: bool
    independent: bool
    by: str
    recorded_at: str


class VersionRolloutAnswer(Shape):
    environment: str
    percent: int
    role: Role


class PromotedAnswer(Shape):
    """The newest promotion that was carried out. `override`: it was granted without the quorum."""

    promotion_id: str
    environment: str
    at: str
    approvers: list[str]
    override: bool
    conditions: list[str]


class VersionPromotionAnswer(Shape):
    """`withdrawn`: the override that granted it was not justified. `conditions`: those of all approvals."""

    promotion_id: str
    environment: str
    state: Literal["open", "promoted", "spent", "withdrawn", "refused"]
    requester: str
    requested_at: str
    reason: str
    reasons: list[str] | None
    approvers: list[str] | None
    conditions: list[str] | None
    serve: bool
    production: bool
    closed_at: str | None


class ProposedWithdrawal(Shape):
    """A withdrawal that waits for a second person."""

    by: str
    reason: str
    at: str


class VersionAnswer(Shape):
    """One version.

    `semver` is empty for a draft, which lacks `missing`; `reasons`: why it was rejected. `notes`: what people
    and pipelines noted about it. `registration_notes`: what its sender should know, such as a part of the
    model's description that was not taken. `training` has the corrected values; `corrections` has the newest
    changes of description, tags and metadata, with what stood before. `withdrawn_ancestors`: the withdrawn
    versions that it was made from, at any distance, in words; null as of a moment, because that is not known
    then. `external`: where a draft of a client of MLflow
    came from. `imported_from`: what another registry states about it; no rule here decides on that.
    `revision` is its ETag.
    """

    model_id: str
    model: str
    kind: Kind
    number: int
    semver: str
    stage: Stage
    artifact: Artifact | None
    training: Training
    schema_: Signature | None = Field(alias="schema")
    parents: list[ParentAnswer]
    external: External | None
    imported_from: ImportedFrom | None
    bump: BumpAnswer | None
    missing: list[str] | None
    description: str
    tags: dict[str, str]
    notes: list[NoteAnswer]
    corrections: list[CorrectionAnswer]
    registration_notes: list[str]
    creator: str | None
    registered_at: str
    registered_by: str
    correlation_id: str
    artifact_digest: str | None
    artifact_state: str | None
    artifact_uri: str | None
    artifact_detail: str | None
    gates: GatesAnswer | None
    reasons: list[str] | None
    promoted: PromotedAnswer | None
    legal_hold: str | None
    withdrawn: str | None
    withdrawn_ancestors: list[str] | None
    withdrawal_proposed: ProposedWithdrawal | None
    withdrawal_id: str | None
    retired: dict[str, Any] | None
    evaluations: list[EvaluationAnswer]
    aliases: list[str]
    rollouts: list[VersionRolloutAnswer]
    promotions: list[VersionPromotionAnswer]
    revision: int


class PrimaryMetric(Shape):
    """The newest independent value of a version's primary metric, else the newest claim."""

    name: str
    value: float
    dataset_name: str
    dataset_digest: str
    higher_is_better: bool
    independent: bool


class ImportName(Shape):
    """The name of a version in another registry."""

    system: str
    uri: str
    id: str
    number: str


class VersionLine(Shape):
    """A version in a list, without its documents.

    `dataset_name` and `dataset_digest` are those of its training data. `primary_metric`: null where no metric
    is marked primary and there are several.
    """

    model_id: str
    model: str
    number: int
    semver: str | None
    stage: Stage
    artifact_digest: str | None
    artifact_state: str | None
    description: str | None
    tags: dict[str, str] | None
    creator: str | None
    registered_at: str
    registered_by: str
    correlation_id: str
    gates_passed: bool | None
    missing: list[str] | None
    reasons: list[str] | None
    bump_level: Level | None
    bump_rule: str | None
    legal_hold: str | None
    withdrawn: str | None
    withdrawal_proposed: ProposedWithdrawal | None
    retired: dict[str, Any] | None
    dataset_name: str | None
    dataset_digest: str | None
    imported_from: ImportName | None
    primary_metric: PrimaryMetric | None
    revision: int


class Versions(Shape):
    items: list[VersionLine]
    next_page_token: str


class VersionName(Shape):
    number: int
    semver: str | None


class DiffAnswer(Shape):
    model_id: str
    old: VersionName
    new: VersionName
    changes: list[ChangeAnswer]
