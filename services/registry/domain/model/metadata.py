"""The document of a version (artifact, training, signature, parents, import), and its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal

from regista.wire.contradictions import is_outside
from regista.wire.type_spellings import parsed
from regista.wire.value_types import NUMBERS
from services.registry.domain.model.imported import ImportedFrom
from shared.deciding.events import encode

Kind = Literal["model", "adapter", "embedding", "preprocessing", "prompt"]
Tier = Literal["low", "medium", "high"]
Relation = Literal["base_model", "embedding", "preprocessing"]
By = Literal["name", "position"]


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
    """What callers give and get; `regista.wire.signature` states the meaning of each field."""

    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    inputs_by: By | None = None
    outputs_by: By | None = None
    columns: dict[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """A version that this one was made from. `model_id` is empty when no model of that name exists.

    A parent that is not in this registry has a URL as `model` (`hf://bert-base@5c3fe2`), number 0, and the
    digest of its bytes.
    """

    model: str
    number: int
    relation: Relation
    model_id: str = ""
    digest: str = ""

    @property
    def key(self) -> tuple[str, int, str]:
        """What makes two parents the same one."""
        return self.model_id or self.model, self.number, self.digest

    def __str__(self) -> str:
        return f"{self.model} {self.digest or self.number}"


@dataclass(frozen=True, slots=True)
class External:
    """Where a draft came from while its bytes are elsewhere, in the words of the client of another registry.

    `uri` is the source of the bytes, `run_id` the run that made them, `run_link` its page, and `model_id`
    the model of that run.
    """

    uri: str
    run_id: str = ""
    run_link: str = ""
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The document of a version."""

    artifact: Artifact | None = None
    training: Training = field(default_factory=Training)
    signature: Signature | None = None
    parents: tuple[Parent, ...] = ()
    external: External | None = None
    imported_from: ImportedFrom | None = None


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
        external=new.external or old.external,
        imported_from=old.imported_from,
    )


def correctable(metadata: Metadata) -> dict[str, str | None]:
    """Return the values of the fields that may be corrected, by path. No decision is bound to them."""
    training = metadata.training
    return {
        "training.run_url": training.run_url,
        "training.code.repository": training.code.repository if training.code else None,
        "training.framework.name": training.framework.name if training.framework else None,
        "training.framework.version": (training.framework.version or None) if training.framework else None,
    }


def corrected(metadata: Metadata, corrections: Mapping[str, str | None]) -> Metadata:
    """Return the document with the corrected fields."""
    if not corrections:
        return metadata
    is_now = {**correctable(metadata), **corrections}
    training = replace(metadata.training, run_url=is_now["training.run_url"])
    if (repository := is_now["training.code.repository"]) or training.code:
        training = replace(training, code=replace(training.code or Code(), repository=repository))
    if name := is_now["training.framework.name"]:
        version = is_now["training.framework.version"] or ""
        training = replace(training, framework=Framework(name, version))
    return replace(metadata, training=training)


def identity(metadata: Metadata) -> str:
    """Return the digest of artifact and metadata. It is equal when the same version is registered again.

    The location of the bytes and the time of the training are not part of it. Code counts by its digest where
    there is one: the revision of a repository changes without it. Of an import only its key counts.
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
    parents = [
        (p.model, p.digest, p.relation) if is_outside(p.model) else (p.model_id, p.number, p.relation)
        for p in metadata.parents
    ]
    signature = _stated(metadata.signature) if metadata.signature else None
    imported = [metadata.imported_from.key] if metadata.imported_from else []
    return "sha256:" + hashlib.sha256(encode([artifact, training, signature, parents, *imported])).hexdigest()


def _stated(signature: Signature) -> dict[str, Any]:
    """Return what the signature states. A field of a later release that is not given changes no identity."""
    later = {name: getattr(signature, name) for name in ("inputs_by", "outputs_by", "columns")}
    stated = {name: value for name, value in later.items() if value is not None}
    return {"inputs": signature.inputs, "outputs": signature.outputs} | stated


def callers_signature(metadata: Metadata) -> Signature | None:
    """Return the signature with the columns of its only input.

    Where the publisher names no columns, `training.features` names those of one array of numbers.
    """
    signature, features = metadata.signature, metadata.training.features or ()
    if signature is None or signature.columns or len(signature.inputs) != 1 or len(features) < 2:
        return signature
    (only,) = signature.inputs
    type_ = parsed(only.type)
    if only.name in features or type_.element not in NUMBERS or not type_.shape:
        return signature
    if type_.shape[-1] not in {None, len(features)}:
        return signature
    return replace(signature, columns={only.name: features})


def short(identity_: str) -> int:
    """Return the first 60 bits of an identity: the key of the index. A hit is compared in full."""
    return int(identity_.removeprefix("sha256:")[:15], 16)
