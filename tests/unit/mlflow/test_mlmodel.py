"""What MLflow's file `MLmodel` states of a version."""

from __future__ import annotations

import json

import pytest

from regista.wire.type_spellings import parsed
from services.mlflow.mlmodel import facts

MLMODEL = """
flavors:
  python_function: {loader_module: mlflow.sklearn}
  sklearn: {sklearn_version: 1.7.0, pickled_model: model.pkl}
mlflow_version: 3.17.2
signature:
  inputs: '[{"type": "double", "name": "age", "required": true},
    {"type": "string", "name": "city", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
utc_time_created: '2026-11-30 00:10:20.5'
"""


def test_schema_framework_and_time_are_read():
    assert facts(MLMODEL.encode()) == {
        "training": {
            "framework": {"name": "sklearn", "version": "1.7.0"},
            "trained_at": "2026-11-30T00:10:20.500000+00:00",
        },
        "signature": {
            "inputs": [
                {"name": "age", "type": "double", "required": True},
                {"name": "city", "type": "string", "required": False},
            ],
            "outputs": [{"name": "output", "type": "int64[?]"}],
        },
    }


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ({"type": "long"}, "long"),
        ({"type": "array", "items": {"type": "double"}}, "list<double>"),
        ({"type": "map", "values": {"type": "string"}}, "map<string, string>"),
        (
            {"type": "object", "properties": {"b": {"type": "long"}, "a": {"type": "string"}}},
            "struct<a: string, b: long>",
        ),
        ({"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}, "float32[?,4]"),
    ],
)
def test_types_are_written_as_regista_reads_them(column, type_):
    signature = {"inputs": json.dumps([column]), "outputs": json.dumps([{"type": "double"}])}
    found = facts(json.dumps({"signature": signature}).encode())["signature"]
    assert found["inputs"][0]["type"] == type_
    assert found["inputs_by"] == "position"
    assert parsed(type_).element != type_ or type_ == "long"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"- 1",
        b"\xff\xfe",
        b"signature: {inputs: '[', outputs: '['}",
        b"!!python/object:os.system x",
        b"&a [*a]",
    ],
)
def test_a_file_that_cannot_be_read_states_nothing(content):
    assert facts(content) == {}


def test_inputs_without_outputs_are_no_schema():
    assert "signature" not in facts(b'signature: {inputs: \'[{"type": "long"}]\'}')


BOMBS = {
    "flavors": b"a: &a [x, x]\nb: &b [*a, *a]\nflavors: {f: {f_version: *b}}",
    "merges": b"a: &a {x: 1}\nflavors: {f: {<<: [*a, *a], f_version: '1'}}",
    "types": b"a: &a {type: object, properties: {x: {type: long}}}\n"
    b"signature: {inputs: [{type: array, items: *a}], outputs: [{type: array, items: *a}]}",
    "nodes": b"flavors: {f: {f_version: '1'}}\nmore: [" + b"1," * 30_000 + b"]",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_with_aliases_or_with_too_many_values_states_nothing(bomb):
    assert facts(BOMBS[bomb]) == {}


def test_a_version_of_a_framework_is_a_text_or_a_number():
    flavors = b"flavors: {f: {a_version: [1, 2], b_version: {x: 1}, f_version: 1.5}}"
    assert facts(flavors) == {"training": {"framework": {"name": "f", "version": "1.5"}}}


@pytest.mark.parametrize(
    "content",
    [
        b"flavors: {f: {1: x, a_version: '1', b: y}, 2: z, 2026-01-01: z}",
        b"signature: {inputs: [{type: tensor, tensor-spec: x}], outputs: [{type: long}]}",
        b"signature: {inputs: [{type: tensor, tensor-spec: {shape: 1}}], outputs: [{type: long}]}",
        b"signature: {inputs: [{type: object, properties: [1]}], outputs: [{type: long}]}",
        b"signature: {inputs: [{type: object, properties: {1: long, a: long}}], outputs: [{type: long}]}",
        b"a: " + b"[" * 3000,
        b"a: 2026-13-45",
        b"a: !!int ''",
        b"a: !!bool x",
        b"a: !!timestamp x",
        b"a: 1" + b":1" * 2000 + b".5",
        b"flavors: {f: {f_version: 0x" + b"f" * 5000 + b"}}",
    ],
)
def test_values_of_the_wrong_kind_are_no_failure(content):
    assert "signature" not in facts(content)
