"""Types of inputs and outputs: one form for all spellings, and which type accepts the values of which other.

A type is an element (`float32`, `string`, `timestamp`), a shape, and whether a value may be missing. The
spellings of ONNX, NumPy, pandas, Arrow, Polars, Spark and MLflow are read by `parsed`,
in `regista.wire.type_spellings`. A text that is none of them is a type of its own, equal only to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ANY = "any"

Dimension = int | str | None
"""A size, None for any size, or a symbol that occurs again in the type and is the same size there."""
COLUMN: tuple[Dimension, ...] = (None,)
"""The shape of one value for each record."""

WIDER: Mapping[str, frozenset[str]] = {
    "int8": frozenset({"int16", "int32", "int64", "float16", "float32", "float64"}),
    "int16": frozenset({"int32", "int64", "float32", "float64"}),
    "int32": frozenset({"int64", "float64"}),
    "int64": frozenset({"float64"}),
    "uint8": frozenset(
        {"uint16", "uint32", "uint64", "int16", "int32", "int64", "float16", "float32", "float64"}
    ),
    "uint16": frozenset({"uint32", "uint64", "int32", "int64", "float32", "float64"}),
    "uint32": frozenset({"uint64", "int64", "float64"}),
    "uint64": frozenset({"float64"}),
    "bfloat16": frozenset({"float32", "float64"}),
    "float16": frozenset({"float32", "float64"}),
    "float32": frozenset({"float64"}),
    "complex64": frozenset({"complex128"}),
    "date": frozenset({"timestamp"}),
}
"""For each element, those that take all its values. They hold them exactly, but for ROUNDED."""

NUMBERS = frozenset({"bool", *WIDER} - {"date"}) | {"float64", "complex128"}

ROUNDED = frozenset({("int64", "float64"), ("uint64", "float64")})
"""(from, to): integers beyond 2^53 are rounded."""


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type in the form in which types are compared.

    `shape` None: any number of dimensions. A type that is written without a shape is a COLUMN.
    `parts` are the types within a list, a map or a struct, by name. `detail` is the zone of a timestamp, and
    whatever else distinguishes elements of one name. `unit` is the resolution of a time, which is not
    compared: the same instant is written in each of them. `digits` are precision and scale of a decimal.
    """

    element: str
    shape: tuple[Dimension, ...] | None = COLUMN
    nullable: bool = False
    parts: tuple[tuple[str, ValueType], ...] = ()
    detail: str = ""
    unit: str = ""
    digits: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        text = self.element
        if self.parts:
            text += f"<{', '.join(f'{name}: {part}' if name else str(part) for name, part in self.parts)}>"
        inside = [one for one in (self.unit, self.detail) if one]
        if self.element == "decimal":
            inside = [str(one) for one in self.digits]
        text += f"({', '.join(inside)})" if inside else ""
        if self.shape is None and self.element != ANY:
            text += "[...]"
        elif self.shape is not None and self.shape != COLUMN:
            text += f"[{','.join('?' if d is None else str(d) for d in self.shape)}]"
        return text + ("?" if self.nullable and self.element != ANY else "")


def accepts(new: ValueType, old: ValueType) -> bool:
    """Return whether `new` accepts every value of `old`."""
    if old.nullable and not new.nullable:
        return False
    return _shape_accepts(new.shape, old.shape) and _element_accepts(new, old)


def rounds(new: ValueType, old: ValueType) -> bool:
    """Return whether `new` accepts some values of `old` only rounded."""
    return (old.element, new.element) in ROUNDED or any(
        rounds(inner, before) for (_, inner), (_, before) in zip(new.parts, old.parts, strict=False)
    )


def _shape_accepts(new: tuple[Dimension, ...] | None, old: tuple[Dimension, ...] | None) -> bool:
    if new is None:
        return True
    if old is None or len(new) != len(old):
        return False
    pairs = list(zip(new, old, strict=True))
    if any(isinstance(n, int) and n != o for n, o in pairs):
        return False
    return all(_are_equal([o for n, o in pairs if n == name]) for name in new if isinstance(name, str))


def _are_equal(dimensions: list[Dimension]) -> bool:
    """Return whether the sizes are equal in every value: the same number, or the same name."""
    first, *others = dimensions
    return not others or (first is not None and all(one == first for one in others))


def _element_accepts(new: ValueType, old: ValueType) -> bool:
    if new.element == ANY:
        return True
    if new.element != old.element:
        return new.element in WIDER.get(old.element, ()) and not new.detail
    if new.element == "decimal":
        (precision, scale), (before, scale_before) = new.digits, old.digits
        return scale >= scale_before and precision - scale >= before - scale_before
    if new.element == "struct":
        return _struct_accepts(dict(new.parts), dict(old.parts))
    return (
        new.detail == old.detail
        and len(new.parts) == len(old.parts)
        and all(accepts(inner, before) for (_, inner), (_, before) in zip(new.parts, old.parts, strict=True))
    )


def _struct_accepts(new: Mapping[str, ValueType], old: Mapping[str, ValueType]) -> bool:
    """Return whether all fields that are sent are known, and all that are needed are sent."""
    return all(name in new and accepts(new[name], sent) for name, sent in old.items()) and all(
        name in old or field.nullable for name, field in new.items()
    )
