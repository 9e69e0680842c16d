"""Bodies that msgspec reads are refused in the same form as those that pydantic reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest
from starlette.requests import Request

from shared.http import bodies, openapi
from shared.http.problems import Problem
from shared.http.routes import Body, Call, Route


class Metric(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    value: float


class Training(msgspec.Struct, forbid_unknown_fields=True):
    metrics: list[Metric]
    seed: int | None = None


class MetricModel(Body):
    name: str
    value: float


class TrainingModel(Body):
    metrics: list[MetricModel]
    seed: int | None = None


async def endpoint(_call: Call[Any, Any]) -> None: ...


def route(body: type[Any], contract: type[Body] | None = None) -> Route:
    return Route("POST", "/v1/trainings", endpoint, "Train", body=body, contract=contract)


def read(raw: bytes, body: type[Any] = Training, contract: type[Body] | None = None) -> Any:
    decode = bodies.reader(route(body, contract))
    assert decode is not None
    return decode(raw)


def refused(raw: bytes, body: type[Any] = Training, contract: type[Body] | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        read(raw, body, contract)
    return caught.value


def test_a_struct_is_decoded() -> None:
    assert read(b'{"metrics": [{"name": "auc", "value": 1}]}') == Training([Metric("auc", 1.0)])


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"metrics": [{"name": "auc", "value": "high"}]}', "metrics.0.value"),
        (b'{"metrics": [{"name": "auc"}]}', "metrics.0.value"),
        (b'{"metrics": [{"name": "", "value": 1}]}', "metrics.0.name"),
        (b'{"metrics": [{"name": "auc", "value": 1, "unit": "%"}]}', "metrics.0.unit"),
        (b'{"metrics": [], "sead": 1}', "sead"),
        (b"{}", "metrics"),
        (b"", "metrics"),
        (b"[]", "body"),
    ],
)
def test_the_problem_names_the_field_as_pydantic_does(raw: bytes, field: str) -> None:
    by_struct, by_model = refused(raw), refused(raw, TrainingModel) if field != "metrics.0.name" else None
    assert (by_struct.status, by_struct.code) == (422, "invalid_body")
    assert [e["field"] for e in by_struct.facts["errors"]] == [field]
    assert by_model is None or [e["field"] for e in by_model.facts["errors"]] == [field]


def test_missing_and_unknown_fields_have_pydantics_words() -> None:
    for raw in (b"{}", b'{"metrics": [], "sead": 1}'):
        assert refused(raw).facts == refused(raw, TrainingModel).facts


def test_the_contract_lists_every_error() -> None:
    raw = b'{"metrics": [{"name": "auc", "value": "high"}], "seed": "x", "more": 1}'
    assert refused(raw, Training, TrainingModel).facts == refused(raw, TrainingModel).facts
    assert len(refused(raw, Training, TrainingModel).facts["errors"]) == 3


def test_what_only_the_struct_refuses_is_refused() -> None:
    raw = b'{"metrics": [{"name": "", "value": 1}]}'
    assert refused(raw, Training, TrainingModel).facts["errors"][0]["field"] == "metrics.0.name"


@pytest.mark.parametrize("raw", [b'{"metrics": NaN}', b'{"metrics', b"\xff", b'{"metrics": "\\u0000"}'])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    for body in (Training, TrainingModel):
        assert (refused(raw, body).status, refused(raw, body).code) == (422, "invalid_body")


def test_a_nested_class_that_accepts_unknown_fields_is_a_mistake_in_the_route() -> None:
    @dataclass
    class Loose:
        seed: int

    body = msgspec.defstruct("Strict", [("of", dict[str, list[Loose | None]])], forbid_unknown_fields=True)
    with pytest.raises(TypeError, match="Loose must forbid unknown fields"):
        bodies.reader(route(body))


def test_the_document_shows_the_contract_or_the_struct() -> None:
    for contract, name in ((TrainingModel, "TrainingModel"), (None, "Training")):
        document = openapi.document("toy", [route(Training, contract)])
        content = document["paths"]["/v1/trainings"]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": f"#/components/schemas/{name}"}
        assert "metrics" in document["components"]["schemas"][name]["properties"]


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "zstd"])
async def test_a_compressed_body_is_refused_with_the_reason(coding: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-encoding", coding.encode())]
    request = Request({"type": "http", "headers": headers})
    with pytest.raises(Problem, match="without Content-Encoding") as refused:
        await bodies.read_within(request, 100)
    assert (refused.value.status, refused.value.code) == (415, "compressed")
