"""The events of a model and its versions. Field names never change: stored events are never rewritten.

Each event has what its public message needs (the model's name, the semantic version), because publishing
reads one event at a time. The envelope holds the `reason`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from services.registry.domain.model.metadata import Kind, Metadata, Problem, Relation, Signature, Tier
from services.registry.domain.versioning.bump import Bump
from services.registry.domain.versioning.change import Change

Role = Literal["champion", "challenger", "shadow", "standby"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A metric on a named data set, claimed by the producer or independent. `by` is who measured it."""

    name: str
    value: float
    dataset_digest: str
    dataset_name: str = ""
    definition: str | None = None
    higher_is_better: bool = True
    primary: bool = False
    independent: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class Champion:
    """The champion as it was when a decision was made."""

    number: int
    semver: str
    artifact_digest: str
    signature: Signature | None
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One version's part in a rollout, with its `percent` of the requests."""

    number: int
    semver: str
    percent: int
    role: Role


@dataclass(frozen=True, slots=True)
class Skipped:
    """A version that a rollback skipped, and why."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class ModelRegistered:
    """`selected_by`: who chose a description that selects a weaker policy; empty where it does not."""

    SCHEMA: ClassVar[int] = 2

    model: str
    kind: Kind
    owner: str
    tier: Tier
    description: str
    tags: dict[str, str]
    selected_by: str = ""


@dataclass(frozen=True, slots=True)
class ModelRenamed:
    model: str
    previous: str


@dataclass(frozen=True, slots=True)
class OwnerChanged:
    model: str
    owner: str
    previous: str


@dataclass(frozen=True, slots=True)
class TagsChanged:
    """Tags, risk tier or description of the model changed. All three are given as they are now.

    `selected_by`: as in ModelRegistered. Another person who may approve takes it over by giving the same
    again. `tags_only`: neither tier nor description changed.
    """

    SCHEMA: ClassVar[int] = 3

    model: str
    tags: dict[str, str]
    tier: Tier
    description: str
    selected_by: str = ""
    tags_only: bool = False


@dataclass(frozen=True, slots=True)
class VersionRegistered:
    """A version was registered. Without `semver` it is a draft that lacks `missing`.

    `contributors` are the subjects that sent any of its metadata. `started_by`: who started the jobs among
    them, by subject or, where the directory has no one of that name, as the issuer of the job names them.
    `notes`: what the sender should know about the registration, as sentences.
    """

    SCHEMA: ClassVar[int] = 5

    model: str
    kind: Kind
    tier: Tier
    tags: dict[str, str]
    owner: str
    number: int
    semver: str
    identity: str
    metadata: Metadata
    bump: Bump | None
    champion: Champion | None
    missing: tuple[str, ...] = ()
    contributors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    started_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetadataAdded:
    """A draft got more metadata: `metadata` is the whole document now.

    With `semver` it is complete from now on.
    """

    SCHEMA: ClassVar[int] = 5

    model: str
    kind: Kind
    tier: Tier
    tags: dict[str, str]
    owner: str
    number: int
    semver: str
    identity: str
    metadata: Metadata
    bump: Bump | None
    champion: Champion | None
    missing: tuple[str, ...] = ()
    contributors: tuple[str, ...] = ()
    started_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionDescribed:
    """Description or tags of a version changed. They are given as they are now, and as they were before."""

    model: str
    number: int
    semver: str
    description: str
    tags: dict[str, str]
    previous_description: str
    previous_tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class NoteAdded:
    """A person or pipeline noted something about a version. `note` counts the notes of the version from 1."""

    model: str
    number: int
    semver: str
    note: int
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class NoteCorrected:
    """The author corrected a note. The text before stands in the event before."""

    model: str
    number: int
    semver: str
    note: int
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Correction:
    """One corrected field of a version's metadata, by its path. None is a field that is not given."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class MetadataCorrected:
    """Metadata that no decision is bound to were corrected. The document stays as it was registered.

    `corrected`: every correction of the version that is valid now, by path.
    """

    model: str
    number: int
    semver: str
    changes: tuple[Correction, ...]
    corrected: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class RegistrationRefused:
    """A registration was refused, with every rule that failed.

    `number` is the draft to be completed, 0 for a new version. `proof` is what contradicts a claim.
    """

    model: str
    problems: tuple[Problem, ...]
    number: int = 0
    artifact_digest: str = ""
    creator: str = ""
    proof: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class ChildLinked:
    """Another version was made from this one."""

    model: str
    number: int
    child_model_id: str
    child_model: str
    child_number: int
    relation: Relation


@dataclass(frozen=True, slots=True)
class ChildUnlinked:
    """A version made from this one was retired."""

    model: str
    number: int
    child_model_id: str
    child_model: str
    child_number: int


@dataclass(frozen=True, slots=True)
class EvaluationRecorded:
    model: str
    number: int
    semver: str
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class VersionValidated:
    model: str
    number: int
    semver: str


@dataclass(frozen=True, slots=True)
class VersionRejected:
    model: str
    number: int
    semver: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionReopened:
    """An archived version may be used again once its gates pass again."""

    model: str
    number: int
    semver: str


@dataclass(frozen=True, slots=True)
class RecallProposed:
    """The policy wants a second person for the recall: one has to confirm what `by` proposed."""

    model: str
    number: int
    semver: str
    by: str
    withdrawal_id: str = ""


@dataclass(frozen=True, slots=True)
class VersionRecalled:
    """`by` is the subject who recalled it; in events of the first schema it stands in the envelope.

    `withdrawal_id` is the step that recalled several versions, empty for a single recall.
    """

    SCHEMA: ClassVar[int] = 3

    model: str
    number: int
    semver: str
    artifact_digest: str
    by: str = ""
    withdrawal_id: str = ""


@dataclass(frozen=True, slots=True)
class VersionReinstated:
    """A second person reversed a recall that was a mistake. `stage` is the version's stage from now on."""

    model: str
    number: int
    semver: str
    stage: str
    artifact_digest: str
    recalled_by: str


@dataclass(frozen=True, slots=True)
class VersionArchived:
    model: str
    number: int
    semver: str


@dataclass(frozen=True, slots=True)
class LegalHoldPlaced:
    model: str
    number: int
    semver: str


@dataclass(frozen=True, slots=True)
class LegalHoldReleased:
    model: str
    number: int
    semver: str


@dataclass(frozen=True, slots=True)
class PromotionRequested:
    """`digest` is the RFC 8785 digest of `evidence`. A grant repeats it.

    `serve`: the grant gives the version all requests, where no version serves. `production`: whether the
    environment is one.
    """

    SCHEMA: ClassVar[int] = 3

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


@dataclass(frozen=True, slots=True)
class PromotionSpent:
    """A promoted version lost its grant before it was champion: `champion` serves, or no version (0).

    It needs a new promotion to become champion there.
    """

    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    champion: int


@dataclass(frozen=True, slots=True)
class PromotionRefused:
    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionPromoted:
    """`approvers`, `override`, `conditions` and `review_id` are those of the grant, noted just before.

    Only a `production` environment gives the version the stage Production.
    """

    SCHEMA: ClassVar[int] = 3

    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    digest: str
    approvers: tuple[str, ...] = ()
    override: bool = False
    production: bool = True
    conditions: tuple[str, ...] = ()
    review_id: str = ""


@dataclass(frozen=True, slots=True)
class GrantWithdrawn:
    """The override that granted the promotion was not justified: the version gets no further requests.

    `not_rolled_back`: why it keeps the requests that it has although the policy wants a rollback.
    """

    model: str
    number: int
    semver: str
    promotion_id: str
    environment: str
    review_id: str
    not_rolled_back: str = ""


@dataclass(frozen=True, slots=True)
class RolloutChanged:
    """Without `entries` the rollout is stopped: no version serves in the environment."""

    SCHEMA: ClassVar[int] = 2

    model: str
    environment: str
    entries: tuple[Entry, ...]
    previous: tuple[Entry, ...]
    champion: Champion | None
    production: bool = True


@dataclass(frozen=True, slots=True)
class RolledBack:
    """`overruled` lists how the target's signature breaks callers, when the rollback accepted that.

    `skipped` lists what served later than the target, and why the rollback did not go there. A rollback that
    ends a split has the champion as `from_number` and `to_number`. `warning` states what is doubtful about
    the target.
    """

    SCHEMA: ClassVar[int] = 3

    model: str
    environment: str
    entries: tuple[Entry, ...]
    previous: tuple[Entry, ...]
    champion: Champion | None
    from_number: int
    to_number: int
    overruled: tuple[Change, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    warning: str = ""
    production: bool = True


@dataclass(frozen=True, slots=True)
class AliasSet:
    model: str
    alias: str
    number: int
    semver: str
    protected: bool
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class AliasRemoved:
    model: str
    alias: str
    number: int


@dataclass(frozen=True, slots=True)
class Label:
    """The stage that MLflow's clients see for a version: `None`, `Staging`, `Production` or `Archived`."""

    number: int
    stage: str


@dataclass(frozen=True, slots=True)
class LabelsChanged:
    """What MLflow's clients see of the model changed. No rule depends on it.

    `aliases`: version numbers by alias, 0 for a removed one. `hidden`: versions that these clients do not see
    any more. `model_hidden`: whether they see the model; None leaves that as it is.
    """

    model: str
    stages: tuple[Label, ...] = ()
    aliases: dict[str, int] = field(default_factory=dict)
    hidden: tuple[int, ...] = ()
    model_hidden: bool | None = None


@dataclass(frozen=True, slots=True)
class VersionRetired:
    """What remains of a version: a tombstone with the digest and the rule. `stage` is its stage now."""

    SCHEMA: ClassVar[int] = 2

    model: str
    number: int
    semver: str
    artifact_digest: str
    rule: str
    sweep_id: str
    stage: str = "Archived"


@dataclass(frozen=True, slots=True)
class RetireRefused:
    model: str
    number: int
    semver: str
    rule: str
    sweep_id: str
    reasons: tuple[str, ...]


ModelEvent = (
    ModelRegistered
    | ModelRenamed
    | OwnerChanged
    | TagsChanged
    | VersionRegistered
    | MetadataAdded
    | VersionDescribed
    | NoteAdded
    | NoteCorrected
    | MetadataCorrected
    | RegistrationRefused
    | ChildLinked
    | ChildUnlinked
    | EvaluationRecorded
    | VersionValidated
    | VersionRejected
    | VersionReopened
    | RecallProposed
    | VersionRecalled
    | VersionReinstated
    | VersionArchived
    | LegalHoldPlaced
    | LegalHoldReleased
    | PromotionRequested
    | PromotionSpent
    | PromotionRefused
    | VersionPromoted
    | GrantWithdrawn
    | RolloutChanged
    | RolledBack
    | AliasSet
    | AliasRemoved
    | LabelsChanged
    | VersionRetired
    | RetireRefused
)
