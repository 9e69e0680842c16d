"""The messages of inbound.py as msgspec structs, which are decoded in one pass.

They accept and refuse the same JSON as the models of inbound.py; a test with random changes holds them to it.
The models document the contract and list every error of a refused message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from regista.wire import limits
from regista.wire.names import STORED_PART
from services.registry.domain.model import imported
from services.registry.domain.model import metadata as domain
from services.registry.domain.model.metadata import By, Kind, Metadata, Relation, Tier
from services.registry.domain.versioning.bump import LEVELS, Claim
from services.registry.inbound import EXACT, ModelTrained, exact
from shared.deciding.decider import Unprocessable

Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME)]
ModelName = Annotated[
    str, Meta(min_length=1, max_length=limits.NAME, pattern=rf"\A{STORED_PART}(\.{STORED_PART})*\Z")
]
Text = Annotated[str, Meta(max_length=limits.TEXT)]
Label = Annotated[str, Meta(max_length=limits.LABEL)]
Digest = Annotated[str, Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]
Tags = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=limits.TAG_NAME)],
        Annotated[str, Meta(max_length=limits.TAG_VALUE)],
    ],
    Meta(max_length=limits.TAGS),
]
Number = Annotated[int, Meta(ge=1)]
Features = Annotated[tuple[Label, ...], Meta(max_length=limits.FEATURES)]
Time = Annotated[datetime, Meta(tz=True)]
BaseText = Annotated[
    str, Meta(pattern=r"\A([0-9]+\.[0-9]+\.[0-9]+|@?[A-Za-z][A-Za-z0-9_-]*)\Z", max_length=61)
]
ClaimText = Annotated[
    str,
    Meta(pattern=r"\A(major|minor|patch|(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8}))\Z"),
]


class _Message(Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Unknown fields are refused. No instance refers to itself, so the garbage collector need not look."""


class File(_Message):
    path: Annotated[str, Meta(min_length=1, max_length=limits.PATH_BYTES)]
    size: Annotated[int, Meta(ge=0, le=EXACT)]
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Artifact(_Message):
    digest: Digest
    files: Annotated[tuple[File, ...], Meta(max_length=limits.FILES)]
    location: Text


class Code(_Message):
    digest: Digest | None = None
    revision: Label | None = None
    repository: Label | None = None


class Dataset(_Message):
    name: Label = ""
    digest: Label | None = None


class Framework(_Message):
    name: Name
    version: Label = ""


class Metric(_Message):
    name: Name
    value: float
    dataset_digest: Label
    dataset_name: Label
    definition: Text | None = None
    higher_is_better: bool = True
    primary: bool = False


class Training(_Message):
    config: dict[str, Any] | None = None
    code: Code | None = None
    dataset: Dataset | None = None
    features: Features | None = None
    framework: Framework | None = None
    environment: dict[str, Any] | None = None
    metrics: Annotated[tuple[Metric, ...], Meta(max_length=limits.METRICS)] = ()
    trained_at: Time | None = None
    creator: Label | None = None
    on_behalf_of: Label | None = None
    run_url: Text | None = None
    seed: Annotated[int, Meta(ge=-EXACT, le=EXACT)] | None = None

    def __post_init__(self) -> None:
        for document in (self.config, self.environment):
            if document is not None:
                exact(document)


class Input(_Message):
    name: Name
    type: Name
    required: bool = True
    unit: Label | None = None


class Output(_Message):
    name: Name
    type: Name
    labels: Features | None = None
    unit: Label | None = None


class Signature(_Message):
    inputs: Annotated[tuple[Input, ...], Meta(max_length=limits.FEATURES)] = ()
    outputs: Annotated[tuple[Output, ...], Meta(max_length=limits.OUTPUTS)] = ()
    inputs_by: By | None = None
    outputs_by: By | None = None
    columns: Annotated[dict[Name, Features], Meta(max_length=limits.OUTPUTS)] | None = None


class ParentMessage(_Message):
    model: Annotated[str, Meta(min_length=1, max_length=500)]
    relation: Relation
    number: Number | None = None
    digest: Digest | None = None


class External(_Message):
    uri: Annotated[str, Meta(min_length=1, max_length=limits.TEXT)]
    run_id: Label = ""
    run_link: Text = ""
    model_id: Label = ""


class ClaimMessage(_Message):
    claim: ClaimText
    exact: bool = False


class ImportedFrom(_Message):
    system: Name
    uri: Annotated[str, Meta(min_length=1, max_length=limits.TEXT)]
    id: Annotated[str, Meta(min_length=1, max_length=limits.LABEL)]
    number: Annotated[str, Meta(min_length=1, max_length=limits.LABEL)]
    created_at: Time | None = None
    created_by: Label | None = None
    stage: Label | None = None
    aliases: Features = ()
    description: Annotated[str, Meta(max_length=limits.CLAIM)] | None = None
    tags: dict[str, Any] | None = None
    details: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for document in (self.tags, self.details):
            if document is not None:
                exact(document)


class VersionMessage(_Message, kw_only=True):
    """What is known of a version: the body that completes a draft."""

    draft: bool = False
    version: ClaimMessage | None = None
    base: Number | BaseText | None = None
    artifact: Artifact | None = None
    training: Training | None = None
    signature: Signature | None = None
    parents: Annotated[tuple[ParentMessage, ...], Meta(max_length=limits.PARENTS)] | None = None
    external: External | None = None

    @property
    def claim(self) -> Claim:
        """The claimed version or level; an empty claim for none."""
        claimed = self.version
        if claimed is None:
            return Claim()
        if claimed.claim in LEVELS:
            return Claim(level=claimed.claim, exact=claimed.exact)
        return Claim(version=claimed.claim, exact=claimed.exact)

    def metadata(self, model_ids: Mapping[str, str]) -> Metadata:
        """Return the version's document. `model_ids` gives the ids of the parents' models by name."""
        return Metadata(
            _converted(self.artifact, domain.Artifact) if self.artifact else None,
            _converted(self.training, domain.Training) if self.training else domain.Training(),
            _converted(self.signature, domain.Signature) if self.signature else None,
            tuple(
                domain.Parent(p.model, p.number or 0, p.relation, model_ids.get(p.model, ""), p.digest or "")
                for p in self.parents or ()
            ),
            _converted(self.external, domain.External) if self.external else None,
        )


class RegistrationMessage(VersionMessage, kw_only=True):
    """What is known of a version and its model: the body of a registration. The path names the model, too."""

    model: Name = ""
    kind: Kind | None = None
    description: Text | None = None
    owner: Label | None = None
    tier: Tier | None = None
    tags: Tags | None = None
    strict: bool = False
    imported_from: ImportedFrom | None = None

    def metadata(self, model_ids: Mapping[str, str]) -> Metadata:
        """Return the version's document, with where it was imported from."""
        document = VersionMessage.metadata(self, model_ids)
        if self.imported_from is None:
            return document
        return replace(document, imported_from=_converted(self.imported_from, imported.ImportedFrom))


class TrainedMessage(RegistrationMessage, kw_only=True):
    """The data of a `ModelTrained` message."""

    model: ModelName


T = TypeVar("T")


def _converted(part: Struct, class_: type[T]) -> T:
    return msgspec.convert(part, class_, from_attributes=True)


_decode = msgspec.json.Decoder(TrainedMessage).decode


def read(raw: bytes) -> TrainedMessage:
    """Return the data of a `ModelTrained` message.

    Raise ValidationError with every error, or Unprocessable for a form of JSON that only pydantic accepts.
    """
    try:
        return _decode(raw)
    except msgspec.ValidationError as wrong:
        ModelTrained.model_validate_json(raw)
        raise Unprocessable("invalid_body", f"{wrong}: write times as 2026-01-31T12:00:00Z.") from None
    except msgspec.DecodeError as wrong:
        raise Unprocessable("invalid_body", f"The data is not JSON: {wrong}.") from None
