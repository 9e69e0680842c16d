"""Compatibility of model signatures (inputs and outputs): whether callers of one version can call another.

A version must accept what the other accepted and return what it returned. Optional inputs may be added, and
inputs may widen. Every change of the outputs is breaking, because readers of labels or scores would not
notice it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Field(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def unit(self) -> str | None: ...


class Input(Field, Protocol):
    @property
    def required(self) -> bool: ...


class Output(Field, Protocol):
    @property
    def labels(self) -> Sequence[str] | None: ...


class Signature(Protocol):
    """An object with inputs and outputs; names are unique among the inputs and among the outputs."""

    @property
    def inputs(self) -> Sequence[Input]: ...
    @property
    def outputs(self) -> Sequence[Output]: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One change from `before` to `after` at `path` (`inputs.age.type`); `what` is a stable word.

    `breaking`: callers of the old notice.
    """

    path: str
    what: str
    before: Any = None
    after: Any = None
    detail: str = ""
    breaking: bool = True

    def __str__(self) -> str:
        changed = (
            f" from {self.before} to {self.after}"
            if self.before is not None and self.after is not None
            else ""
        )
        return f"{self.path}: {self.what.replace('_', ' ')}{changed}" + (
            f" ({self.detail})" if self.detail else ""
        )


ALIASES = {
    "byte": "int8",
    "short": "int16",
    "int": "int32",
    "integer": "int32",
    "long": "int64",
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "str": "string",
    "bool": "boolean",
    "object": "any",
}

WIDER: dict[str, frozenset[str]] = {
    "int8": frozenset({"int16", "int32", "int64", "float16", "float32", "float64"}),
    "int16": frozenset({"int32", "int64", "float32", "float64"}),
    "int32": frozenset({"int64", "float64"}),
    "uint8": frozenset(
        {"uint16", "uint32", "uint64", "int16", "int32", "int64", "float16", "float32", "float64"}
    ),
    "uint16": frozenset({"uint32", "uint64", "int32", "int64", "float32", "float64"}),
    "uint32": frozenset({"uint64", "int64", "float64"}),
    "float16": frozenset({"float32", "float64"}),
    "float32": frozenset({"float64"}),
}
"""For each type, the types that represent all its values exactly."""


def normal(type_: str) -> str:
    """Return the canonical name of a type."""
    lower = type_.strip().lower()
    return ALIASES.get(lower, lower)


def accepts(new: str, old: str) -> bool:
    """Return whether type `new` accepts every value of type `old`."""
    new, old = normal(new), normal(old)
    return new in {old, "any"} or new in WIDER.get(old, ())


def differences(old: Signature | None, new: Signature | None) -> tuple[Difference, ...]:
    """Return the changes between two signatures, inputs first, and whether each breaks callers of `old`."""
    if old is None or new is None:
        if old is new:
            return ()
        if old is None:
            return (
                Difference(
                    "signature", "added", detail="a signature is given for the first time", breaking=False
                ),
            )
        return (Difference("signature", "removed", detail="the signature is no longer given"),)
    return (*_ordered(_inputs(old.inputs, new.inputs)), *_ordered(_outputs(old.outputs, new.outputs)))


def incompatibilities(used: Signature | None, offered: Signature | None) -> tuple[Difference, ...]:
    """Return why `offered` cannot serve callers of `used`; empty when it can."""
    return tuple(difference for difference in differences(used, offered) if difference.breaking)


def _ordered(found: Iterator[Difference]) -> list[Difference]:
    return sorted(found, key=lambda d: (d.path, d.what))


def _inputs(old: Sequence[Input], new: Sequence[Input]) -> Iterator[Difference]:
    before, after = {i.name: i for i in old}, {i.name: i for i in new}
    for name in before.keys() - after.keys():
        yield Difference(f"inputs.{name}", "input_removed", before[name].type, None, "callers still send it")
    for name in after.keys() - before.keys():
        if after[name].required:
            yield Difference(
                f"inputs.{name}", "required_input_added", None, after[name].type, "callers do not send it yet"
            )
        else:
            yield Difference(f"inputs.{name}", "optional_input_added", None, after[name].type, breaking=False)
    for name in before.keys() & after.keys():
        yield from _input(before[name], after[name])


def _input(old: Input, new: Input) -> Iterator[Difference]:
    path = f"inputs.{old.name}"
    if normal(old.type) != normal(new.type):
        wide = accepts(new.type, old.type)
        yield Difference(
            f"{path}.type",
            "input_type_widened" if wide else "input_type_narrowed",
            old.type,
            new.type,
            breaking=not wide,
        )
    if old.required != new.required:
        what = "input_became_required" if new.required else "input_became_optional"
        yield Difference(f"{path}.required", what, old.required, new.required, breaking=new.required)
    yield from _unit(path, old, new)


def _outputs(old: Sequence[Output], new: Sequence[Output]) -> Iterator[Difference]:
    before, after = {o.name: o for o in old}, {o.name: o for o in new}
    for name in before.keys() - after.keys():
        yield Difference(f"outputs.{name}", "output_removed", before[name].type)
    for name in after.keys() - before.keys():
        yield Difference(f"outputs.{name}", "output_added", None, after[name].type)
    for name in before.keys() & after.keys():
        o, n, path = before[name], after[name], f"outputs.{name}"
        if normal(o.type) != normal(n.type):
            yield Difference(f"{path}.type", "output_type_changed", o.type, n.type)
        if tuple(o.labels or ()) != tuple(n.labels or ()):
            yield Difference(
                f"{path}.labels", "labels_changed", o.labels, n.labels, "positions of labels count, too"
            )
        yield from _unit(path, o, n)


def _unit(path: str, old: Field, new: Field) -> Iterator[Difference]:
    if (old.unit or None) != (new.unit or None):
        yield Difference(
            f"{path}.unit", "unit_changed", old.unit, new.unit, "the same number means something else"
        )
