"""What an MLmodel file states: a schema that the registry compares, and nothing of a file that lies."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from regista.importing.mlmodel import read_mlmodel, type_of
from regista.wire.type_spellings import parsed


def mlmodel(inputs: Any = None, outputs: Any = None, **more: Any) -> bytes:
    signature = {"inputs": json.dumps(inputs or []), "outputs": json.dumps(outputs or [])}
    return yaml.safe_dump({"signature": signature, **more}).encode()


COLUMNS = [
    {"type": "double", "name": "age", "required": True},
    {"type": "string", "name": "city", "required": False},
]
TENSOR = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}


def test_named_columns_are_given_by_name_and_may_be_optional() -> None:
    schema = read_mlmodel(mlmodel(COLUMNS, [{"type": "long", "name": "label"}])).schema
    assert schema == {
        "inputs": [
            {"name": "age", "type": "double"},
            {"name": "city", "type": "string", "required": False},
        ],
        "inputs_by": "name",
        "outputs": [{"name": "label", "type": "long"}],
        "outputs_by": "name",
    }


def test_a_tensor_without_a_name_is_given_by_position() -> None:
    schema = read_mlmodel(mlmodel([TENSOR], [TENSOR, TENSOR])).schema
    assert schema is not None
    assert [port["name"] for port in schema["inputs"] + schema["outputs"]] == [
        "input",
        "output_0",
        "output_1",
    ]
    assert (schema["inputs_by"], schema["inputs"][0]["type"]) == ("position", "float32[?,4]")


@pytest.mark.parametrize(
    ("spec", "read"),
    [
        ({"type": "integer"}, "int32"),
        ({"type": "long"}, "int64"),
        ({"type": "datetime"}, "timestamp"),
        ({"type": "binary"}, "bytes"),
        (TENSOR, "float32[?,4]"),
        ({"type": "array", "items": {"type": "string"}}, "list<string>"),
        ({"type": "map", "values": {"type": "double"}}, "map<key: string, value: float64>"),
        (
            {
                "type": "object",
                "properties": {"b": {"type": "long", "required": False}, "a": {"type": "double"}},
            },
            "struct<a: float64, b: int64?>",
        ),
        ({"type": "any"}, "any"),
    ],
)
def test_the_types_of_mlflow_are_types_that_the_registry_compares(spec: dict[str, Any], read: str) -> None:
    assert str(parsed(type_of(spec))) == read


@pytest.mark.parametrize(
    ("flavors", "framework"),
    [
        (
            {"python_function": {"python_version": "3.11.9"}, "sklearn": {"sklearn_version": "1.7"}},
            {"name": "sklearn", "version": "1.7"},
        ),
        ({"python_function": {}, "mystery": {"mystery_version": 4}}, {"name": "mystery", "version": "4"}),
        ({"mystery": None}, {"name": "mystery", "version": ""}),
        ({"python_function": {}}, None),
    ],
)
def test_the_framework_is_the_first_flavor_but_the_generic_one(flavors: Any, framework: Any) -> None:
    assert read_mlmodel(mlmodel(flavors=flavors)).framework == framework


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe",
        b"- a list",
        b"a: [",
        b"!!python/object/apply:os.system ['true']",
        b"signature: {inputs: '[1]', outputs: '[]'}",
        b"signature: {inputs: 'no json'}",
        b'signature: {inputs: \'[{"type": "tensor"}]\'}',
        mlmodel([{"type": "double", "name": "a"}, {"type": "double", "name": "a"}]),
        mlmodel([{"type": "double", "name": "x" * 201}]),
        mlmodel([{"type": "array"}]),
        b"flavors: {sklearn: {}}",
    ],
)
def test_a_file_without_a_usable_schema_has_none_and_states_why(raw: bytes) -> None:
    found = read_mlmodel(raw)
    assert found.schema is None
    assert found.problem
