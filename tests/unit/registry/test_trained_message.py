"""The contract of `ModelTrained`: the pydantic models and the msgspec structs accept the same JSON."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from services.registry import inbound, trained_message
from services.registry.inbound import ModelTrained, VersionFacts
from services.registry.shapes.versions import Registration
from services.registry.trained_message import RegistrationMessage, TrainedMessage, VersionMessage, read
from shared.deciding.decider import Unprocessable
from tests.unit.registry.given import a_digest

MESSAGE: dict[str, Any] = {
    "model": "team.churn",
    "kind": "model",
    "description": "d",
    "owner": "o",
    "tier": "low",
    "tags": {"a": "b"},
    "draft": False,
    "version": {"claim": "minor", "exact": True},
    "base": 3,
    "artifact": {
        "digest": a_digest(1),
        "files": [{"path": "m.onnx", "size": 3, "sha256": "ab" * 32}],
        "location": "upload:1",
    },
    "training": {
        "config": {"a": {"b": [1, 2.5, None]}},
        "code": {"digest": a_digest("code"), "revision": "r", "repository": "x"},
        "dataset": {"name": "d", "digest": "x"},
        "features": ["age"],
        "framework": {"name": "f", "version": "1"},
        "environment": {"python": "3"},
        "metrics": [
            {"name": "auc", "value": 1, "dataset_digest": "x", "dataset_name": "t", "definition": "d"}
        ],
        "trained_at": "2026-01-31T12:00:00Z",
        "creator": "c",
        "on_behalf_of": "p",
        "run_url": "u",
        "seed": 4,
    },
    "signature": {
        "inputs": [{"name": "x", "type": "double", "required": True, "unit": "m"}],
        "outputs": [{"name": "y", "type": "string", "labels": ["no"], "unit": "m"}],
    },
    "parents": [{"model": "team.base", "number": 2, "relation": "base_model"}],
    "imported_from": {
        "system": "mlflow",
        "uri": "https://mlflow.example.com",
        "id": "churn",
        "number": "7",
        "created_at": "2026-01-31T12:00:00Z",
        "created_by": "alice",
        "stage": "Production",
        "aliases": ["champion"],
        "description": "d",
        "tags": {"a": "b"},
        "details": {"run": {"id": "r"}},
    },
}
"""A message with every field."""


def test_an_accepted_message_becomes_the_document_of_a_version():
    message = read(msgspec.json.encode(MESSAGE))
    assert (message.claim.level, message.claim.exact) == ("minor", True)
    document = message.metadata({"team.base": "id-of-base"})
    assert document.parents[0].model_id == "id-of-base"
    assert document.training.metrics[0].value == 1.0
    assert json.loads(msgspec.json.encode(document.training)) == json.loads(
        msgspec.json.encode(message.training)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"model": 3},
        {"model": "m", "unknown": 1},
        {"model": "m", "training": {"seed": 2**60}},
        {"model": "m", "training": {"config": {"a": 2**60}}},
        {"model": "m", "training": {"trained_at": "2026-01-31T12:00:00"}},
        {"model": "m", "artifact": {"digest": "x", "files": [], "location": ""}},
        {"model": "m", "kind": "robot"},
        {"model": "m", "version": {"claim": "1.2"}},
        {"model": "m", "training": {"seed": "7"}},
    ],
)
def test_what_the_contract_refuses(wrong):
    with pytest.raises(ValueError):
        ModelTrained.model_validate_json(msgspec.json.encode(wrong))


def test_a_refusal_names_every_wrong_field_with_its_path():
    wrong = copy.deepcopy(MESSAGE)
    wrong["training"]["seed"] = "7"
    wrong["training"]["metrics"][0]["value"] = None
    wrong["artifact"]["files"][0]["sha256"] = "x"
    wrong["surprise"] = 1
    with pytest.raises(ValidationError) as refused:
        read(msgspec.json.encode(wrong))
    assert {".".join(map(str, e["loc"])) for e in refused.value.errors()} == {
        "training.seed",
        "training.metrics.0.value",
        "artifact.files.0.sha256",
        "surprise",
    }


def test_a_time_without_seconds_is_refused_with_the_form_to_use():
    raw = msgspec.json.encode({"model": "m", "training": {"trained_at": "2026-01-31T12:00Z"}})
    with pytest.raises(Unprocessable, match="write times as 2026-01-31T12:00:00Z"):
        read(raw)


MODELS = {
    ModelTrained: TrainedMessage,
    Registration: RegistrationMessage,
    VersionFacts: VersionMessage,
    **{
        getattr(inbound, name): getattr(trained_message, name)
        for name in (
            "File",
            "Artifact",
            "Code",
            "Dataset",
            "Framework",
            "Metric",
            "Training",
            "Input",
            "Output",
            "ImportedFrom",
        )
    },
    inbound.Signature: trained_message.Signature,
    inbound.Parent: trained_message.ParentMessage,
    inbound.VersionClaim: trained_message.ClaimMessage,
}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_and_its_struct_have_the_same_fields_and_require_the_same(model: type[BaseModel]):
    required = {f.name for f in msgspec.structs.fields(MODELS[model]) if f.required}
    assert set(MODELS[model].__struct_fields__) == set(model.model_fields)
    assert required == {name for name, f in model.model_fields.items() if f.is_required()}


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value in the message."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, one in inner for path in paths(one, (*at, key)))]


PATHS = [path for path in paths(MESSAGE) if path]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 2**53 - 1, 2**53, -(2**53), 2**64, 2**31]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", " ", "\n", "1.2.3", "1.2.3\n", "01.2.3", "1.2", "major", "major\n", "٣.2.1", "model", "high"]
    ),
    st.sampled_from([a_digest(1), a_digest(1) + "\n", a_digest(1).upper(), "ab" * 32, "ab" * 32 + "\n"]),
    st.sampled_from(["2026-01-31T12:00:00", "2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00Z"]),
    st.sampled_from([1, 100, 101, 200, 201, 500, 501, 1024, 1025, 2000, 2001]).map(lambda n: "x" * n),
    st.sampled_from([1, 100, 101, 200, 201]).map(lambda n: {f"k{i}": "v" for i in range(n)}),
    st.sampled_from([1, 20, 21]).map(lambda n: json.loads('{"a":' * n + "1" + "}" * n)),
    st.sampled_from([1, 20, 21]).map(lambda n: {"a": json.loads("[" * n + "]" * n)}),
    st.just({}),
    st.just([]),
)


def changed(path: tuple[Any, ...], value: Any, *, add: bool) -> bytes:
    message = copy.deepcopy(MESSAGE)
    inside: Any = message
    for key in path[:-1]:
        inside = inside[key]
    if add and isinstance(inside, dict):
        inside["surprise"] = value
    elif add:
        inside.extend([copy.deepcopy(inside[0])] * min(len(str(value)), 210))
    else:
        inside[path[-1]] = value
    return json.dumps(message).encode()


def accepted(decode: Any, raw: bytes) -> bool:
    try:
        decode(raw)
    except (ValueError, RecursionError):
        return False
    return True


@given(st.sampled_from(PATHS), VALUES, st.booleans())
@example(("base",), "1.2.3", False)
@example(("base",), "٣.2.1", False)
@example(("artifact", "size"), 2**53, True)
def test_the_model_and_the_struct_accept_the_same_messages(path, value, add):
    raw = changed(path, value, add=add)
    assert accepted(ModelTrained.model_validate_json, raw) == accepted(
        msgspec.json.Decoder(TrainedMessage).decode, raw
    )


@given(st.sampled_from(PATHS))
def test_the_model_and_the_struct_require_the_same(path):
    message = copy.deepcopy(MESSAGE)
    inside: Any = message
    for key in path[:-1]:
        inside = inside[key]
    del inside[path[-1]]
    raw = json.dumps(message).encode()
    assert accepted(ModelTrained.model_validate_json, raw) == accepted(
        msgspec.json.Decoder(TrainedMessage).decode, raw
    )


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"a": [0, {"b": 2**53}]}, "a[1].b: an integer beyond 2^53"),
        ({"x": -(2**60)}, "x: an integer beyond 2^53"),
    ],
)
def test_the_refusal_of_a_value_in_a_document_names_its_path(config: dict, named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read(msgspec.json.encode({"model": "m", "training": {"config": config}}))
    assert named in str(refused.value)
    assert "training.config" in str(refused.value)
