"""The document of a version (artifact, training, signature, parents) and the identity of that document."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal

from shared.deciding.events import encode

Kind = Literal["model", "adapter", "embedding", "preprocessing", "prompt"]
Tier = Literal["low", "medium", "high"]
Relation = Literal["base_model", "embedding", "preprocessing"]


@dataclass(frozen=True, slots=True)
class File:
    """`path` is relative to the artifact, `size` in bytes, `sha256` in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """`digest` covers the manifest of `files`; `location` is where the producer stored the bytes."""

    digest: str
    files: tuple[File, ...] = ()
    location: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """`digest` covers the declared training code; `revision` is the repository's."""

    digest: str | None = None
    revision: str | None = None
    repository: str | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str = ""
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Framework:
    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured value on a named data set.

    Two metrics are comparable only when name, data set digest and definition are equal.
    """

    name: str
    value: float
    dataset_digest: str = ""
    dataset_name: str = ""
    definition: str | None = None
    higher_is_better: bool = True
    primary: bool = False

    @property
    def comparable_by(self) -> tuple[str, str, str | None]:
        return self.name, self.dataset_digest, self.definition


@dataclass(frozen=True, slots=True)
class Training:
    """How the version was trained. `on_behalf_of` is the person for whom a pipeline acted."""

    config: dict[str, Any] | None = None
    code: Code | None = None
    dataset: Dataset | None = None
    features: tuple[str, ...] | None = None
    framework: Framework | None = None
    environment: dict[str, Any] | None = None
    metrics: tuple[Metric, ...] = ()
    trained_at: datetime | None = None
    creator: str | None = None
    on_behalf_of: str | None = None
    run_url: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    type: str
    required: bool = True
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    type: str
    labels: tuple[str, ...] | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """A version that this one was made from. `model_id` is empty when no model of that name exists."""

    model: str
    number: int
    relation: Relation
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The document of a version."""

    artifact: Artifact | None = None
    training: Training = field(default_factory=Training)
    signature: Signature | None = None
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a registration is refused: the field, what is wrong with it, and what to do."""

    field: str
    problem: str


def merged(old: Metadata, new: Metadata) -> Metadata:
    """Return `old` with every part replaced that `new` has."""
    given = {
        f.name: value for f in fields(Training) if (value := getattr(new.training, f.name)) not in (None, ())
    }
    return Metadata(
        artifact=new.artifact or old.artifact,
        training=replace(old.training, **given),
        signature=new.signature or old.signature,
        parents=new.parents or old.parents,
    )


def identity(metadata: Metadata) -> str:
    """Return the digest of artifact and metadata. It is equal when the same version is registered again.

    The location of the bytes and the time of the training are not part of it. Code counts by its digest where
    there is one: the revision of a repository changes without it.
    """
    training = replace(metadata.training, trained_at=None)
    if training.code is not None and training.code.digest:
        training = replace(training, code=Code(training.code.digest))
    return _identity(metadata, training)


def earlier_identity(metadata: Metadata) -> str:
    """Return the identity in the form of earlier releases, which versions of their time have."""
    return _identity(metadata, metadata.training)


def _identity(metadata: Metadata, training: Training) -> str:
    artifact = metadata.artifact.digest if metadata.artifact else None
    parents = [(p.model_id, p.number, p.relation) for p in metadata.parents]
    return "sha256:" + hashlib.sha256(encode([artifact, training, metadata.signature, parents])).hexdigest()


def short(identity_: str) -> int:
    """Return the first 60 bits of an identity: the key of the index. A hit is compared in full."""
    return int(identity_.removeprefix("sha256:")[:15], 16)
