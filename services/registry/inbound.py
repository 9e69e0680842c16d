"""The inbound contract: the data of a `ModelTrained` v1 message, and the body of a registration over HTTP.

These models give the public schema and list every error of a refused message. Accepted messages are decoded
by the structs of trained_message.py, which is faster.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from regista.wire import limits
from regista.wire.names import STORED_PART
from services.registry.domain.model.metadata import By, Kind, Relation, Tier
from services.registry.mandatory_schema import conditions

MODEL_TRAINED = "regista.ModelTrained.v1"
TRAINING_TOPIC = "regista.training.v1"
EXACT = limits.EXACT


def exact(value: Any, depth: int = 0, path: str = "") -> Any:
    """Return the document.

    Raise ValueError, naming the path, when it is nested too deep or has an integer that is not exact in JSON.
    """
    if depth > limits.DEPTH:
        msg = f"{path}: nested deeper than {limits.DEPTH} levels"
        raise ValueError(msg)
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            exact(inner, depth + 1, _below(path, name))
        elif isinstance(inner, int) and not -EXACT <= inner <= EXACT:
            msg = f"{_below(path, name)}: an integer beyond 2^53 is not exact in JSON: write it as text"
            raise ValueError(msg)
    return value


def _below(path: str, name: str | int) -> str:
    return f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}" if path else name


Name = Annotated[str, Field(min_length=1, max_length=limits.NAME)]
ModelName = Annotated[Name, Field(pattern=rf"^{STORED_PART}(\.{STORED_PART})*$")]
"""A name or an id. A new name begins each part with a letter or digit."""
Text = Annotated[str, Field(max_length=limits.TEXT)]
Label = Annotated[str, Field(max_length=limits.LABEL)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
TagName = Annotated[str, Field(min_length=1, max_length=limits.TAG_NAME)]
TagValue = Annotated[str, Field(max_length=limits.TAG_VALUE)]
Tags = Annotated[dict[TagName, TagValue], Field(max_length=limits.TAGS)]
TagChanges = Annotated[dict[TagName, TagValue | None], Field(max_length=limits.TAGS)]
Features = Annotated[list[Label], Field(max_length=limits.FEATURES)]
Document = Annotated[dict[str, Any], AfterValidator(exact)]


def _ascii(text: str) -> str:
    r"""Refuse digits of other scripts: `\d` of JSON Schema (ECMA-262) has none, `\d` of pydantic has all."""
    if not text.isascii():
        msg = f"{text!r} has digits of another script: write 0 to 9"
        raise ValueError(msg)
    return text


SemanticVersion = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", max_length=30), AfterValidator(_ascii)]


class Shape(BaseModel):
    """Unknown fields, NaN, infinity and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class File(Shape):
    path: Annotated[str, Field(min_length=1, max_length=limits.PATH_BYTES)]
    size: Annotated[int, Field(ge=0, le=EXACT)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Artifact(Shape):
    """`location`: id of the publisher's upload, or a URI below `quarantine/<their subject>/` in the store."""

    digest: Digest
    files: Annotated[list[File], Field(max_length=limits.FILES)]
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
    features: Features | None = None
    framework: Framework | None = None
    environment: Document | None = None
    metrics: Annotated[list[Metric], Field(max_length=limits.METRICS)] = []
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
    labels: Annotated[list[Label], Field(max_length=limits.FEATURES)] | None = None
    unit: Label | None = None


class Signature(Shape):
    """`inputs_by`, `outputs_by`: how callers address the inputs and the outputs; without it, either way.

    `columns`: by the name of an input that is an array, the names along its last dimension.
    """

    inputs: Annotated[list[Input], Field(max_length=limits.FEATURES)] = []
    outputs: Annotated[list[Output], Field(max_length=limits.OUTPUTS)] = []
    inputs_by: By | None = None
    outputs_by: By | None = None
    columns: Annotated[dict[Name, Features], Field(max_length=limits.OUTPUTS)] | None = None


class Parent(Shape):
    """A version that this one was made from, by its model's name and its number.

    For one that is not in this registry: its URL with the revision (`hf://bert-base@5c3fe2`), and the digest
    of its bytes instead of a number.
    """

    model: Annotated[str, Field(min_length=1, max_length=500)]
    relation: Relation
    number: Annotated[int, Field(ge=1)] | None = None
    digest: Digest | None = None


class External(Shape):
    """Where a draft came from while its bytes are elsewhere: the source, and the run that made them."""

    uri: Annotated[str, Field(min_length=1, max_length=limits.TEXT)]
    run_id: Label = ""
    run_link: Text = ""
    model_id: Label = ""


class Problem(Shape):
    """Why a registration was refused: the field, what is wrong with it, and what to do."""

    field: str
    problem: str


class VersionClaim(Shape):
    """A semantic version (`1.2.0`) or a level.

    `exact`: refuse the registration rather than raise a claim that is too small.
    """

    claim: Annotated[
        str,
        Field(pattern=r"^(major|minor|patch|(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8}))$"),
    ]
    exact: bool = False


class VersionFacts(Shape):
    """The metadata of a version. A draft may lack any of it.

    `base`: what the version is compared with: a number, a semantic version, an environment or an alias.
    `external`: where the bytes of a draft are. Every registration of a draft that has it is a new draft.
    """

    draft: bool = False
    version: VersionClaim | None = None
    base: (
        Annotated[int, Field(ge=1)]
        | SemanticVersion
        | Annotated[str, Field(pattern=r"^@?[A-Za-z][A-Za-z0-9_-]*$", max_length=61)]
        | None
    ) = None
    artifact: Artifact | None = None
    training: Training | None = None
    signature: Signature | None = None
    parents: Annotated[list[Parent], Field(max_length=limits.PARENTS)] | None = None
    external: External | None = None


class ImportedFrom(Shape):
    """A version in another registry, and what that registry states about it: claims that count nowhere here.

    `system` (such as `mlflow`), `uri`, `id` (the model) and `number` name the version there. A version that
    was imported already is returned, not registered again.
    """

    system: Name
    uri: Annotated[str, Field(min_length=1, max_length=limits.TEXT)]
    id: Annotated[str, Field(min_length=1, max_length=limits.LABEL)]
    number: Annotated[str, Field(min_length=1, max_length=limits.LABEL)]
    created_at: AwareDatetime | None = None
    created_by: Label | None = None
    stage: Label | None = None
    aliases: Annotated[list[Label], Field(max_length=limits.FEATURES)] = []
    description: Annotated[str, Field(max_length=limits.CLAIM)] | None = None
    tags: Document | None = None
    details: Document | None = None


class ModelFacts(Shape):
    """The description of a model.

    In a message it counts only when the model is new; the tier of a model that exists may be raised.
    """

    kind: Kind | None = None
    description: Text | None = None
    owner: Label | None = None
    tier: Tier | None = None
    tags: Tags | None = None


def _with_conditions(schema: dict[str, Any]) -> None:
    schema["allOf"] = conditions()


class ModelTrained(VersionFacts, ModelFacts):
    """A model was trained. This is the data of a message, and the body of a registration over HTTP.

    Unless it is a draft, each kind has mandatory fields (`allOf`). A new model without a kind is a `model`.
    Over HTTP the caller is the creator when the body names none. `strict`: refuse the registration when a
    part of the model's description is not taken.
    """

    model_config = ConfigDict(json_schema_extra=_with_conditions)

    model: ModelName
    strict: bool = False
    imported_from: ImportedFrom | None = None
