"""The inbound contract: what a publisher says in `ModelTrained` v1, checked, and the same in the registry's words.

pydantic checks and gives the public schema; msgspec then reads the domain's dataclasses from the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from services.registry.domain.registration import metadata as domain
from services.registry.domain.registration.metadata import Kind, Metadata, Relation, Tier
from services.registry.domain.versioning.bump import LEVELS, Claim
from shared.deciding.decider import Unprocessable

MODEL_TRAINED = "regista.ModelTrained.v1"
TRAINING_TOPIC = "regista.training.v1"
EXACT = 2**53 - 1
"""The largest integer that every JSON reader holds exactly; the digests of RFC 8785 know no larger ones."""
DEEPEST = 20


def _exact(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        msg = f"nested deeper than {DEEPEST} levels"
        raise ValueError(msg)
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, int) and not -EXACT <= inner <= EXACT:
            msg = "an integer beyond 2^53 is not exact in JSON: write it as text"
            raise ValueError(msg)
        if isinstance(inner, dict | list):
            _exact(inner, depth + 1)
    return value


Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2_000)]
Label = Annotated[str, Field(max_length=500)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Tags = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Label], Field(max_length=100)]
Document = Annotated[dict[str, Any], AfterValidator(_exact)]


class Shape(BaseModel):
    """Unknown fields, NaN, infinity and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class File(Shape):
    path: Annotated[str, Field(min_length=1, max_length=1024)]
    size: Annotated[int, Field(ge=0, le=EXACT)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Artifact(Shape):
    """`location`: the upload's id, or where the bytes lie in the quarantine bucket."""

    digest: Digest
    files: Annotated[list[File], Field(max_length=2_000)]
    location: Text


class Code(Shape):
    digest: Digest | None = None
    revision: Label | None = None
    repository: Label | None = None


class Dataset(Shape):
    name: Label = ""
    digest: Label | None = None


class Framework(Shape):
    name: Name
    version: Label = ""


class Metric(Shape):
    """Comparable with others of the same name, data set digest and definition."""

    name: Name
    value: float
    dataset_digest: Label
    dataset_name: Label
    definition: Text | None = None
    higher_is_better: bool = True
    primary: bool = False


class Training(Shape):
    config: Document | None = None
    code: Code | None = None
    dataset: Dataset | None = None
    features: Annotated[list[Label], Field(max_length=20_000)] | None = None
    framework: Framework | None = None
    environment: Document | None = None
    metrics: Annotated[list[Metric], Field(max_length=200)] = []
    trained_at: AwareDatetime | None = None
    creator: Label | None = None
    on_behalf_of: Label | None = None
    run_url: Text | None = None
    seed: Annotated[int, Field(ge=-EXACT, le=EXACT)] | None = None


class Input(Shape):
    name: Name
    type: Name
    required: bool = True
    unit: Label | None = None


class Output(Shape):
    name: Name
    type: Name
    labels: Annotated[list[Label], Field(max_length=20_000)] | None = None
    unit: Label | None = None


class Signature(Shape):
    inputs: Annotated[list[Input], Field(max_length=20_000)] = []
    outputs: Annotated[list[Output], Field(max_length=1_000)] = []


class Parent(Shape):
    """A version this one was made from, by its model's name and number."""

    model: Name
    number: Annotated[int, Field(ge=1)]
    relation: Relation


class Problem(Shape):
    """Why a registration was refused: which field, and what to do about it."""

    field: str
    problem: str


class VersionClaim(Shape):
    """A semantic version (`1.2.0`) or a level.

    `exact`: rather refuse than raise a claim that is too small.
    """

    claim: Annotated[
        str,
        Field(pattern=r"^(major|minor|patch|(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8}))$"),
    ]
    exact: bool = False


class VersionFacts(Shape):
    """What is known of a version; a draft may lack any of it."""

    draft: bool = False
    version: VersionClaim | None = None
    base: (
        Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", max_length=30)] | None
    ) = None
    artifact: Artifact | None = None
    training: Training | None = None
    signature: Signature | None = None
    parents: Annotated[list[Parent], Field(max_length=100)] | None = None


class ModelFacts(Shape):
    """What describes a model; in a message it counts when the model is new."""

    kind: Kind | None = None
    description: Text | None = None
    owner: Label | None = None
    tier: Tier | None = None
    tags: Tags | None = None


class ModelTrained(VersionFacts, ModelFacts):
    """A model was trained: what a publisher says on `regista.training.v1`, and the body of a registration over HTTP."""

    model: Name


@dataclass(frozen=True, slots=True)
class ClaimTold:
    claim: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class ParentTold:
    model: str
    number: int
    relation: Relation


@dataclass(frozen=True, slots=True)
class Told:
    """The same message in the registry's words; parents are not looked up yet."""

    model: str = ""
    kind: Kind | None = None
    description: str | None = None
    owner: str | None = None
    tier: Tier | None = None
    tags: dict[str, str] | None = None
    draft: bool = False
    version: ClaimTold | None = None
    base: int | str | None = None
    artifact: domain.Artifact | None = None
    training: domain.Training | None = None
    signature: domain.Signature | None = None
    parents: tuple[ParentTold, ...] | None = None

    @property
    def claim(self) -> Claim:
        told = self.version
        if told is None:
            return Claim()
        return (
            Claim(level=told.claim, exact=told.exact)
            if told.claim in LEVELS
            else Claim(version=told.claim, exact=told.exact)
        )

    def metadata(self, model_ids: Mapping[str, str]) -> Metadata:
        """The version's document; `model_ids` says which models the parents' names mean."""
        parents = tuple(
            domain.Parent(p.model, p.number, p.relation, model_ids.get(p.model, ""))
            for p in self.parents or ()
        )
        return Metadata(self.artifact, self.training or domain.Training(), self.signature, parents)


_told = msgspec.json.Decoder(Told)


def read(raw: bytes) -> Told:
    """Reads what a contract of this module accepted.

    Raises Unprocessable for the rare form (of a moment, say) that only pydantic knows.
    """
    try:
        return _told.decode(raw or b"{}")
    except msgspec.ValidationError as wrong:
        raise Unprocessable(
            "invalid_body", f"{wrong}: moments are written as 2026-01-31T12:00:00Z."
        ) from None
    except msgspec.DecodeError as wrong:  # NaN inside a document, which pydantic passes
        raise Unprocessable("invalid_body", f"This is no JSON: {wrong}.") from None
