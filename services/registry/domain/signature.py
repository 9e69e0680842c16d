"""Compatibility of signatures: whether callers of one version can call another without noticing.

A signature is a promise about what is accepted and what is given back. Anything less is breaking: inputs may be added when they are
optional and may widen; outputs may not change at all, because a reader of labels or scores cannot tell.
"""

from __future__ import annotations

from services.registry.domain.change import Change
from services.registry.domain.metadata import Input, Output, Signature

ALIASES = {
    "byte": "int8", "short": "int16", "int": "int32", "integer": "int32", "long": "int64", "half": "float16", "float": "float32",
    "double": "float64", "str": "string", "bool": "boolean", "object": "any",
}  # fmt: skip

WIDER: dict[str, frozenset[str]] = {
    "int8": frozenset({"int16", "int32", "int64", "float16", "float32", "float64"}),
    "int16": frozenset({"int32", "int64", "float32", "float64"}),
    "int32": frozenset({"int64", "float64"}),
    "uint8": frozenset({"uint16", "uint32", "uint64", "int16", "int32", "int64", "float16", "float32", "float64"}),
    "uint16": frozenset({"uint32", "uint64", "int32", "int64", "float32", "float64"}),
    "uint32": frozenset({"uint64", "int64", "float64"}),
    "float16": frozenset({"float32", "float64"}),
    "float32": frozenset({"float64"}),
}
"""Which types hold every value of a type exactly."""


def normal(type_: str) -> str:
    """The type under its one name."""
    lower = type_.strip().lower()
    return ALIASES.get(lower, lower)


def accepts(new: str, old: str) -> bool:
    """Whether type `new` takes every value of type `old`."""
    new, old = normal(new), normal(old)
    return new in {old, "any"} or new in WIDER.get(old, ())


def differences(old: Signature | None, new: Signature | None) -> tuple[Change, ...]:
    """What changed between two signatures, each with whether it breaks callers of `old`."""
    if old == new:
        return ()
    if old is None:
        return (Change("signature", "signature", "added", None, None, "a signature is given for the first time"),)
    if new is None:
        return (Change("signature", "signature", "removed", None, None, "the signature is no longer given", breaking=True),)
    return (*_inputs(old.inputs, new.inputs), *_outputs(old.outputs, new.outputs))


def incompatibilities(used: Signature | None, offered: Signature | None) -> tuple[Change, ...]:
    """Why callers of `used` cannot be served by `offered`; empty when they can."""
    return tuple(change for change in differences(used, offered) if change.breaking)


def _inputs(old: tuple[Input, ...], new: tuple[Input, ...]) -> list[Change]:
    before, after = {i.name: i for i in old}, {i.name: i for i in new}
    gone = before.keys() - after.keys()
    changes = [_change(f"inputs.{n}", "input_removed", before[n].type, None, "callers still send it", breaking=True) for n in gone]
    for name in after.keys() - before.keys():
        required = after[name].required
        what = "required_input_added" if required else "optional_input_added"
        changes.append(_change(f"inputs.{name}", what, None, after[name].type, "callers do not send it yet" if required else "", breaking=required))
    for name in before.keys() & after.keys():
        changes += _input(before[name], after[name])
    return sorted(changes, key=lambda c: (c.path, c.what))


def _input(old: Input, new: Input) -> list[Change]:
    path, changes = f"inputs.{old.name}", []
    if normal(old.type) != normal(new.type):
        wide = accepts(new.type, old.type)
        changes.append(_change(f"{path}.type", "input_type_widened" if wide else "input_type_narrowed", old.type, new.type, "", breaking=not wide))
    if old.required != new.required:
        what = "input_became_required" if new.required else "input_became_optional"
        changes.append(_change(f"{path}.required", what, old.required, new.required, "", breaking=new.required))
    if old.unit != new.unit:
        changes.append(_change(f"{path}.unit", "unit_changed", old.unit, new.unit, "the same number means something else", breaking=True))
    return changes


def _outputs(old: tuple[Output, ...], new: tuple[Output, ...]) -> list[Change]:
    before, after = {o.name: o for o in old}, {o.name: o for o in new}
    changes = [_change(f"outputs.{n}", "output_removed", before[n].type, None, "", breaking=True) for n in before.keys() - after.keys()]
    changes += [_change(f"outputs.{n}", "output_added", None, after[n].type, "", breaking=True) for n in after.keys() - before.keys()]
    for name in before.keys() & after.keys():
        o, n, path = before[name], after[name], f"outputs.{name}"
        if normal(o.type) != normal(n.type):
            changes.append(_change(f"{path}.type", "output_type_changed", o.type, n.type, "", breaking=True))
        if o.labels != n.labels:
            changes.append(_change(f"{path}.labels", "labels_changed", o.labels, n.labels, "positions of labels count, too", breaking=True))
        if o.unit != n.unit:
            changes.append(_change(f"{path}.unit", "unit_changed", o.unit, n.unit, "the same number means something else", breaking=True))
    return sorted(changes, key=lambda c: (c.path, c.what))


def _change(path: str, what: str, before: object, after: object, detail: str, *, breaking: bool) -> Change:
    return Change("signature", path, what, before, after, detail, breaking)
