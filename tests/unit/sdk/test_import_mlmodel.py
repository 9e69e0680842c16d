"""What an MLmodel file states: a schema that the registry compares, and nothing of a file that lies."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from regista.importing.mlmodel import read_mlmodel
from regista.wire.bounded_yaml import MOST_NODES
from regista.wire.mlmodel import MLmodel, type_of
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
        ({"python_function": {}, "mleap": {}}, None),
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


BOMB = "\n".join(["a0: &a0 {type: string}", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{BOMB}\nflavors: {{sklearn: {{sklearn_version: *a29}}}}", "it has aliases"),
        ("a: &a {b: 1}\nflavors:\n  <<: *a", "it has aliases"),
        ("a: &a [*a]", "it has aliases"),
        ("a: [" + "1, " * MOST_NODES + "1]", "it has more than"),
        ("mlflow_version: 1" + ":1" * 100_000, "a number or time in it is too long"),
        ("mlflow_version: 0x" + "f" * 100_000, "a number or time in it is too long"),
        ("mlflow_version: !!int '1" + ":1" * 100_000 + "'", "a number or time in it is too long"),
    ],
)
@pytest.mark.slow
def test_a_small_file_that_unfolds_into_much_is_not_read(text: str, why: str) -> None:
    assert why in read_mlmodel(text.encode()).problem


@pytest.mark.parametrize("value", ["!!bool x", "!!int ''", "!!timestamp x", "!!float ''"])
def test_a_value_that_is_not_what_it_claims_makes_the_file_unreadable(value: str) -> None:
    assert read_mlmodel(f"mlflow_version: {value}".encode()).problem.startswith("MLmodel cannot be read")


@pytest.mark.parametrize("version", ["[1, 2]", "{a: 1}", "null", "!!binary eA==", "2026-01-01"])
def test_a_version_that_is_no_text_and_no_number_is_none(version: str) -> None:
    flavors = f"{{sklearn: {{sklearn_version: {version}}}, python_function: {{python_version: {version}}}}}"
    found = read_mlmodel(f"flavors: {flavors}\nmlflow_version: {version}".encode())
    assert (found.framework, found.python, found.mlflow) == ({"name": "sklearn", "version": ""}, "", "")


def test_a_version_may_be_a_number() -> None:
    assert read_mlmodel(b"flavors: {xgboost: {xgb_version: 2.1}}\nmlflow_version: 3") == MLmodel(
        flavors={"xgboost": "2.1"}, mlflow="3", problem="MLmodel has no signature"
    )


def test_a_shape_without_end_is_no_schema() -> None:
    tensor = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [float("inf")]}}
    assert "cannot be read" in read_mlmodel(mlmodel([tensor])).problem


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("'2026-11-30 00:10:20.5'", "2026-11-30T00:10:20.500000+00:00"),
        ("2026-11-30 00:10:20", "2026-11-30T00:10:20+00:00"),
        ("'2026-11-30T01:10:20+01:00'", "2026-11-30T01:10:20+01:00"),
        ("yesterday", ""),
        ("[1]", ""),
        ("null", ""),
    ],
)
def test_a_time_without_its_zone_is_utc(written: str, read: str) -> None:
    assert read_mlmodel(f"utc_time_created: {written}".encode()).created == read
