"""Several versions beside each other: metrics on the same data, and what differs in their training."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.registry.domain.model.metadata import Metadata, callers_signature
from services.registry.domain.versioning.diff import leaves
from services.registry.domain.versioning.noise import is_noise

Part = Literal["metrics", "config", "data", "training", "schema", "size"]


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of a metric that counts for one of the compared versions, by its place among them."""

    version: int
    name: str
    value: float
    dataset_digest: str
    dataset_name: str
    definition: str
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a value for each version, None where it has none.

    `on`: the data set of a metric. `best`: the places of the best values of a metric that all versions
    measured on the same data. `noise`: a configuration value that does not count.
    """

    part: Part
    name: str
    values: tuple[Any, ...]
    on: str = ""
    best: tuple[int, ...] = ()
    noise: bool = False


def compare(documents: Sequence[Metadata], measured: Iterable[Measured], noise: Collection[str]) -> list[Row]:
    """Return the metrics, what differs in configuration, training and schema, the data and the sizes."""
    config = [dict(leaves(d.training.config or {}, ())) for d in documents]
    parameters = [
        Row("config", ".".join(path), values, noise=is_noise(path, noise))
        for path, values in _beside(config)
        if _differs(values)
    ]
    training = [
        Row("training", name, values)
        for name, values in _beside([_training(d) for d in documents])
        if _differs(values)
    ]
    schema = [
        Row("schema", name, values)
        for name, values in _beside([_schema(d) for d in documents])
        if _differs(values)
    ]
    datasets = [d.training.dataset for d in documents]
    data = [
        Row("data", name, tuple(getattr(one, name, None) or None for one in datasets))
        for name in ("name", "digest")
    ]
    sizes = [d.artifact and sum(file.size for file in d.artifact.files) for d in documents]
    return [
        *_metrics(len(documents), measured),
        *parameters,
        *data,
        *training,
        *schema,
        Row("size", "bytes", tuple(sizes)),
    ]


def _metrics(count: int, measured: Iterable[Measured]) -> list[Row]:
    """Return a row for each metric on the same data by the same definition; those of all versions first."""
    found: dict[tuple[str, str, str, bool], dict[int, Measured]] = {}
    for m in measured:
        key = (m.name, m.dataset_digest, m.definition, m.higher_is_better)
        found.setdefault(key, {})[m.version] = m
    rows = []
    for (name, digest, _, higher), by_version in found.items():
        values = tuple(by_version[n].value if n in by_version else None for n in range(count))
        on = next((m.dataset_name for m in by_version.values() if m.dataset_name), digest)
        best: tuple[int, ...] = ()
        if len(by_version) == count:
            top = (max if higher else min)(m.value for m in by_version.values())
            best = tuple(n for n in range(count) if values[n] == top)
        rows.append(Row("metrics", name, values, on, best))
    return sorted(rows, key=lambda row: (values_missing(row), row.name, row.on))


def values_missing(row: Row) -> int:
    """Return the number of versions without a value."""
    return sum(value is None for value in row.values)


def _training(document: Metadata) -> dict[str, Any]:
    training, code = document.training, document.training.code
    framework = training.framework
    return {
        "framework": f"{framework.name} {framework.version}".strip() if framework else None,
        "code": (code.revision or code.digest) if code else None,
        "seed": training.seed,
        "features": len(training.features) if training.features is not None else None,
    }


def _schema(document: Metadata) -> dict[str, str]:
    signature = callers_signature(document)
    if signature is None:
        return {}
    inputs = {f"input {x.name}": x.type + ("" if x.required else ", optional") for x in signature.inputs}
    outputs = {
        f"output {x.name}": x.type + (f" of {', '.join(x.labels)}" if x.labels else "")
        for x in signature.outputs
    }
    return inputs | outputs


def _beside(columns: Sequence[Mapping[Any, Any]]) -> Iterable[tuple[Any, tuple[Any, ...]]]:
    """Yield each name with its value in every column, in the order in which names first appear."""
    for name in dict.fromkeys(name for column in columns for name in column):
        yield name, tuple(column.get(name) for column in columns)


def _differs(values: Sequence[Any]) -> bool:
    return any(type(value) is not type(values[0]) or value != values[0] for value in values[1:])
