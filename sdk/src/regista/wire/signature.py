"""Compatibility of model signatures (inputs and outputs): whether callers of one version can call another.

A version must accept every value that the other accepted, and give only values that the other could give.
So types of inputs may widen, types of outputs may narrow, and optional inputs may be added. Callers give
inputs by name or by position; a signature states which. Where it does not, callers may do either, and both
names and order must stay. The rules with examples: docs/versions.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from regista.wire.type_spellings import parsed
from regista.wire.value_types import accepts, rounds


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
    """An object with inputs and outputs; names are unique among the inputs and among the outputs.

    `inputs_by`: how callers give the inputs; `outputs_by`: how they read the outputs. None: either way.
    `columns`: by the name of an input that is an array, the names along its last dimension.
    """

    @property
    def inputs(self) -> Sequence[Input]: ...
    @property
    def outputs(self) -> Sequence[Output]: ...
    @property
    def inputs_by(self) -> str | None: ...
    @property
    def outputs_by(self) -> str | None: ...
    @property
    def columns(self) -> Mapping[str, Sequence[str]] | None: ...


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


def differences(old: Signature | None, new: Signature | None) -> tuple[Difference, ...]:
    """Return the changes between two signatures, inputs first, and whether each breaks callers of `old`."""
    if old is None or new is None:
        if old is new:
            return ()
        if old is None:
            return (
                Difference("schema", "added", detail="a schema is given for the first time", breaking=False),
            )
        return (Difference("schema", "removed", detail="the schema is no longer given"),)
    inputs = (
        *_inputs(old.inputs, new.inputs),
        *_columns(old, new),
        *_order("inputs", old.inputs, new.inputs, old.inputs_by, new.inputs_by),
    )
    outputs = (
        *_outputs(old.outputs, new.outputs),
        *_order("outputs", old.outputs, new.outputs, old.outputs_by, new.outputs_by),
    )
    return (*_sorted(inputs), *_sorted(outputs))


def incompatibilities(used: Signature | None, offered: Signature | None) -> tuple[Difference, ...]:
    """Return why `offered` cannot serve callers of `used`; empty when it can."""
    return tuple(difference for difference in differences(used, offered) if difference.breaking)


def _sorted(found: Sequence[Difference]) -> list[Difference]:
    return sorted(found, key=lambda d: (d.path, d.what))


def _order(
    part: str, old: Sequence[Field], new: Sequence[Field], by: str | None, now_by: str | None
) -> Iterator[Difference]:
    """Compare how callers address the fields, and the order where they may rely on it."""
    if by and now_by and by != now_by:
        detail = f"callers address the {part} by {by}"
        yield Difference(part, f"{part}_by_{now_by}", by, now_by, detail)
        return
    if "name" in {by, now_by} and (by == now_by or _same_order(old, new)):
        return
    if not _same_order(old, new):
        detail = (
            "callers address them by position"
            if "position" in {by, now_by}
            else f"a signature without `{part}_by: name` may be called by position, too"
        )
        yield Difference(part, f"{part}_reordered", [f.name for f in old], [f.name for f in new], detail)


def _same_order(old: Sequence[Field], new: Sequence[Field]) -> bool:
    """Return whether each field that both have is at the same position in both."""
    at = {field.name: n for n, field in enumerate(new)}
    return all(at.get(field.name, n) == n for n, field in enumerate(old))


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
    before, after = parsed(old.type), parsed(new.type)
    if before != after:
        wide = accepts(after, before)
        what, detail = ("input_type_widened" if wide else "input_type_narrowed"), ""
        if wide and accepts(before, after):
            what, detail = "input_resolution_changed", "the same instants in another unit"
        elif wide and rounds(after, before):
            detail = "integers beyond 2^53 are rounded"
        yield Difference(f"{path}.type", what, old.type, new.type, detail, breaking=not wide)
    if old.required != new.required:
        what = "input_became_required" if new.required else "input_became_optional"
        yield Difference(f"{path}.required", what, old.required, new.required, breaking=new.required)
    yield from _unit(path, old, new)


def _columns(old: Signature, new: Signature) -> Iterator[Difference]:
    """Compare the columns of the arrays that both signatures have, as far as they are named."""
    before, after = old.columns or {}, new.columns or {}
    for name in {i.name for i in old.inputs} & {i.name for i in new.inputs} & before.keys():
        path, was, now = f"inputs.{name}.columns", before[name], after.get(name)
        if now is None:
            detail = "their order is not stated any more"
            yield Difference(path, "columns_not_named", was, None, detail, breaking=False)
        elif tuple(was) != tuple(now):
            detail = "callers send columns by position"
            yield Difference(path, "columns_changed", was, now, detail)


def _outputs(old: Sequence[Output], new: Sequence[Output]) -> Iterator[Difference]:
    before, after = {o.name: o for o in old}, {o.name: o for o in new}
    for name in before.keys() - after.keys():
        yield Difference(f"outputs.{name}", "output_removed", before[name].type)
    for name in after.keys() - before.keys():
        yield Difference(
            f"outputs.{name}", "output_added", None, after[name].type, "callers do not expect it"
        )
    for name in before.keys() & after.keys():
        yield from _output(before[name], after[name])


def _output(old: Output, new: Output) -> Iterator[Difference]:
    path = f"outputs.{old.name}"
    before, after = parsed(old.type), parsed(new.type)
    if before != after:
        narrow = accepts(before, after)
        what = "output_type_narrowed" if narrow else "output_type_changed"
        if narrow and accepts(after, before):
            what = "output_resolution_changed"
        yield Difference(f"{path}.type", what, old.type, new.type, breaking=not narrow)
    if tuple(old.labels or ()) != tuple(new.labels or ()):
        yield Difference(
            f"{path}.labels", "labels_changed", old.labels, new.labels, "positions of labels count, too"
        )
    yield from _unit(path, old, new)


def _unit(path: str, old: Field, new: Field) -> Iterator[Difference]:
    if (old.unit or None) != (new.unit or None):
        yield Difference(
            f"{path}.unit", "unit_changed", old.unit, new.unit, "the same number means something else"
        )
