"""What the file `MLmodel` adds to a version. For its reader see tests/unit/sdk/test_import_mlmodel.py."""

from __future__ import annotations

import pytest

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


def test_schema_framework_and_time_are_added():
    assert facts(MLMODEL.encode()) == {
        "training": {
            "framework": {"name": "sklearn", "version": "1.7.0"},
            "trained_at": "2026-11-30T00:10:20.500000+00:00",
        },
        "signature": {
            "inputs": [
                {"name": "age", "type": "double"},
                {"name": "city", "type": "string", "required": False},
            ],
            "inputs_by": "name",
            "outputs": [{"name": "output", "type": "int64[?]"}],
            "outputs_by": "position",
        },
    }


@pytest.mark.parametrize("content", [b"", b"{", b"- 1", b"\xff\xfe", b"signature: {inputs: '['}", b"&a [*a]"])
def test_a_file_that_cannot_be_read_adds_nothing(content):
    assert facts(content) == {}


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
        b"a: 1" + b":1" * 2000 + b".5",
        b"flavors: {f: {f_version: 0x" + b"f" * 5000 + b"}}",
    ],
)
def test_values_of_the_wrong_kind_are_no_failure(content):
    assert "signature" not in facts(content)
