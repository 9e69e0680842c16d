"""Which change of a schema breaks whom."""

from __future__ import annotations

from typing import Any

import pytest

from tools.contracts.compare import breaking

BASE: dict[str, Any] = {
    "type": "object",
    "required": ["name", "size"],
    "properties": {
        "name": {"type": "string", "maxLength": 10},
        "size": {"type": "integer"},
        "kind": {"enum": ["a", "b"]},
        "part": {"$ref": "#/$defs/Part"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "list": {"type": "array", "items": {"type": "number"}},
    },
    "$defs": {"Part": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}},
}


def changed(**properties: Any) -> dict[str, Any]:
    return {**BASE, "properties": {**BASE["properties"], **properties}}


def required(*names: str) -> dict[str, Any]:
    return {**BASE, "required": list(names)}


STRICT = {**BASE, "additionalProperties": False}


@pytest.mark.parametrize(
    ("new", "breaks_readers", "breaks_writers"),
    [
        (BASE, False, False),
        (changed(more={"type": "string"}), False, False),
        (required("name"), True, False),
        (required("name", "size", "kind"), False, True),
        (changed(size={"type": "string"}), True, True),
        (changed(size={"type": "number"}), True, False),
        (changed(name={"type": "string", "maxLength": 20}), True, False),
        (changed(name={"type": "string", "maxLength": 5}), False, True),
        (changed(kind={"enum": ["a", "b", "c"]}), True, False),
        (changed(kind={"enum": ["a"]}), False, True),
        (changed(note={"type": "string"}), False, True),
        (changed(list={"type": "array", "items": {"type": "integer"}}), False, True),
        (
            changed(part={"type": "object", "required": [], "properties": {"id": {"type": "string"}}}),
            True,
            False,
        ),
    ],
)
def test_a_change_breaks_those_who_cannot_follow_it(
    new: dict[str, Any], breaks_readers: bool, breaks_writers: bool
) -> None:
    assert bool(breaking(BASE, new, "readers")) is breaks_readers
    assert bool(breaking(BASE, new, "writers")) is breaks_writers


def test_a_field_taken_from_a_strict_schema_breaks_its_writers() -> None:
    less = {**STRICT, "properties": {k: v for k, v in STRICT["properties"].items() if k != "note"}}
    assert breaking(STRICT, less, "writers") == ["$.note: not accepted"]


def test_a_recursive_schema_is_compared_to_its_end() -> None:
    tree = {
        "$ref": "#/$defs/T",
        "$defs": {"T": {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}}}},
    }
    assert breaking(tree, tree, "readers") == []
