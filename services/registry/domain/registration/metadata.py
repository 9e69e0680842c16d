"""What is known of a version: its immutable document, which parts of it are mandatory for which kind, and its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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
    """`digest` covers the manifest of `files`; `location` is where the producer put the bytes."""

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
    """A figure on a named data set.

    Two are comparable only with equal name, data set digest and definition.
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
    """How the version came to be. `on_behalf_of` is the person a pipeline acted for."""

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
    """A version this one was made from. `model_id` is empty where no model of that name exists."""

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
    """Why a registration is refused: which field, and what to do about it."""

    field: str
    problem: str


def _has_code(m: Metadata) -> bool:
    code = m.training.code
    return code is not None and bool(code.digest or code.revision)


PARTS: dict[str, Callable[[Metadata], bool]] = {
    "training.config": lambda m: m.training.config is not None,
    "training.dataset.digest": lambda m: m.training.dataset is not None and bool(m.training.dataset.digest),
    "training.metrics": lambda m: bool(m.training.metrics),
    "training.trained_at": lambda m: m.training.trained_at is not None,
    "training.creator": lambda m: bool(m.training.creator),
    "training.code": _has_code,
    "signature": lambda m: m.signature is not None,
    "signature.outputs": lambda m: m.signature is None or bool(m.signature.outputs),
    "artifact.digest": lambda m: m.artifact is not None and bool(m.artifact.digest),
    "parents": lambda m: any(p.relation == "base_model" for p in m.parents),
}

TRAINED = (
    "training.config",
    "training.dataset.digest",
    "training.metrics",
    "training.trained_at",
    "training.creator",
    "training.code",
    "signature",
    "signature.outputs",
    "artifact.digest",
)

PROFILES: dict[str, tuple[str, ...]] = {
    "model": TRAINED,
    "adapter": (*TRAINED, "parents"),
    "embedding": TRAINED,
    "preprocessing": (
        "training.config",
        "training.trained_at",
        "training.creator",
        "training.code",
        "signature",
        "signature.outputs",
        "artifact.digest",
    ),
    "prompt": ("training.trained_at", "training.creator", "artifact.digest"),
}
"""The mandatory fields of each kind.

An adapter names the base model it adapts; a tokenizer is not measured; a prompt is not trained.
"""


def missing(kind: str, metadata: Metadata) -> tuple[str, ...]:
    """The mandatory fields that are absent."""
    return tuple(name for name in PROFILES[kind] if not PARTS[name](metadata))


def contradictions(metadata: Metadata) -> list[Problem]:
    """What can never be right, whatever the kind."""
    metrics = metadata.training.metrics
    found = []
    if len(metrics) > 1 and len({m.comparable_by for m in metrics}) < len(metrics):
        found.append(
            Problem("training.metrics", "the same metric on the same data is given twice: give it once")
        )
    if len(metrics) > 1 and sum(m.primary for m in metrics) > 1:
        found.append(Problem("training.metrics", "more than one metric is primary: mark one"))
    if metadata.signature is not None:
        for part, ports in (("inputs", metadata.signature.inputs), ("outputs", metadata.signature.outputs)):
            if len(ports) > 1 and len({p.name for p in ports}) < len(ports):
                found.append(Problem(f"signature.{part}", "a name is given twice: names are unique"))
    if len(metadata.parents) > 1 and len({(p.model_id or p.model, p.number) for p in metadata.parents}) < len(
        metadata.parents
    ):
        found.append(Problem("parents", "a parent is given twice: give it once"))
    return found


def merged(old: Metadata, new: Metadata) -> Metadata:
    """`old` with everything that `new` gives."""
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
    """The digest of artifact and metadata: equal for a version that is registered again.

    Where the bytes were put does not count.
    """
    artifact = metadata.artifact.digest if metadata.artifact else None
    parents = [(p.model_id, p.number, p.relation) for p in metadata.parents]
    return (
        "sha256:"
        + hashlib.sha256(encode([artifact, metadata.training, metadata.signature, parents])).hexdigest()
    )


def short(identity_: str) -> int:
    """The first 60 bits of an identity: the key of the index. A hit is compared in full."""
    return int(identity_.removeprefix("sha256:")[:15], 16)
