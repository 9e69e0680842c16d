from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from starlette.requests import Request

from shared.deciding.access import AccessState
from shared.deciding.decider import Forbidden, Misrouted, NotFound, RuleBroken, Stale, Unprocessable
from shared.deciding.events import Actor
from shared.foundation.postgres import Unavailable
from shared.http.dispatch import Table, encoded
from shared.http.openapi import document
from shared.http.operations import OPERATIONS
from shared.http.problems import Problem, of_exception
from shared.http.routes import Body, Call, PageQuery, Reply, Route, page_token, read_page_token

if TYPE_CHECKING:
    from shared.http.app import App


async def endpoint(_call: Call) -> Reply:
    return Reply()


class Part(Body):
    name: str
    inner: list[Part] = Field(default_factory=list)


class Thing(Body):
    part: Part
    size: int = 3


@dataclass(frozen=True, slots=True)
class Shape:
    part: str
    sides: list[int]


class Struct(msgspec.Struct):
    shapes: list[Shape]


ROUTES = [
    Route("GET", "/v1/models", endpoint, "List", query=PageQuery),
    Route("POST", "/v1/models", endpoint, "Make", body=Thing, response=Part, status=201),
    Route("GET", "/v1/models/{model}/versions/{version}", endpoint, "Show", response=Shape),
    Route(
        "PATCH", "/v1/models/{model}/versions/{version}", endpoint, "Change", body=Part, needs_if_match=True
    ),
    Route("POST", "/v1/models/{model}/versions/{version}:promote", endpoint, "Promote", response=Struct),
    Route("GET", "/v1/resolve/{model}@{alias}", endpoint, "Resolve"),
    Route("GET", "/v1/artifacts/{digest}/files/{path:path}", endpoint, "File"),
    Route("POST", "/v1/uploads", endpoint, "Upload", streams=True),
    Route("POST", "/api/2.0/mlflow/runs/create", endpoint, "Elsewhere"),
]


@pytest.mark.parametrize(
    ("method", "path", "summary", "parameters"),
    [
        ("GET", "/v1/models", "List", {}),
        ("GET", "/v1/models/a.b/versions/1.2.0", "Show", {"model": "a.b", "version": "1.2.0"}),
        ("POST", "/v1/models/a/versions/3:promote", "Promote", {"model": "a", "version": "3"}),
        ("GET", "/v1/resolve/a.b@champion", "Resolve", {"model": "a.b", "alias": "champion"}),
        ("GET", "/v1/artifacts/d/files/x/y.onnx", "File", {"digest": "d", "path": "x/y.onnx"}),
        ("POST", "/api/2.0/mlflow/runs/create", "Elsewhere", {}),
    ],
)
def test_a_path_finds_its_route(method: str, path: str, summary: str, parameters: dict[str, str]) -> None:
    compiled, found = Table(ROUTES).find(method, path)
    assert (compiled.route.summary, found) == (summary, parameters)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/models/a", 404),
        ("GET", "/v1/models/", 404),
        ("PUT", "/v1/models", 405),
        ("GET", "/v1/models/a/versions/", 404),
    ],
)
def test_an_unknown_path_is_404_and_a_wrong_method_405(method: str, path: str, status: int) -> None:
    with pytest.raises(Problem) as refused:
        Table(ROUTES).find(method, path)
    assert refused.value.status == status


def test_a_former_path_is_served_as_deprecated_and_is_in_no_document() -> None:
    routes = [Route("POST", "/v1/runs/{run_id}", endpoint, "Run", former=["/v1/sweeps/{run_id}"])]
    served = [Table(routes).find("POST", path) for path in ("/v1/runs/r1", "/v1/sweeps/r1")]
    assert [found for _, found in served] == [{"run_id": "r1"}] * 2
    assert [compiled.route.deprecated for compiled, _ in served] == [False, True]
    assert list(document("cleanup", routes)["paths"]) == ["/v1/runs/{run_id}"]


def test_a_body_that_allows_unknown_fields_is_refused_at_start() -> None:
    class Loose(BaseModel):
        name: str

    with pytest.raises(TypeError, match="must forbid unknown fields"):
        Table([Route("POST", "/v1/x", endpoint, "x", body=Loose)])


def test_two_routes_with_one_path_are_refused_at_start() -> None:
    with pytest.raises(ValueError, match="two routes"):
        Table([Route("GET", "/v1/{a}", endpoint, "x"), Route("GET", "/v1/{b}", endpoint, "y")])


def test_the_document_describes_every_route_and_each_reference_resolves() -> None:
    made = msgspec.json.decode(msgspec.json.encode(document("registry", [*ROUTES, *OPERATIONS])))
    assert made["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in made["paths"].items() for method in methods}
    assert described == {(r.method, r.path.replace(":path}", "}")) for r in [*ROUTES, *OPERATIONS]}
    schemas = made["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for reference in references(made):
        assert reference.removeprefix("#/components/schemas/") in schemas
    ids = [operation["operationId"] for methods in made["paths"].values() for operation in methods.values()]
    assert len(set(ids)) == len(ids)


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [node["$ref"] for _ in range("$ref" in node)] + [
            r for child in node.values() for r in references(child)
        ]
    return [r for child in node for r in references(child)] if isinstance(node, list) else []


def test_the_document_states_what_a_caller_must_send_and_may_get() -> None:
    made = document("registry", ROUTES)
    change = made["paths"]["/v1/models/{model}/versions/{version}"]["patch"]
    assert {p["name"]: p["required"] for p in change["parameters"] if p.get("required")} == {
        "model": True,
        "version": True,
        "If-Match": True,
    }
    statuses = "204 400 401 403 404 409 412 413 415 422 428 431 500 503"
    assert set(statuses.split()) == set(change["responses"])
    assert "201" in made["paths"]["/v1/models"]["post"]["responses"]
    listed = made["paths"]["/v1/models"]["get"]["parameters"]
    assert {p["name"] for p in listed} == {"page_size", "page_token"}
    assert "application/octet-stream" in made["paths"]["/v1/uploads"]["post"]["requestBody"]["content"]


@given(st.tuples(st.text(), st.integers(min_value=-(2**63), max_value=2**63 - 1)))
def test_a_page_token_holds_its_sort_key(key: tuple[str, int]) -> None:
    assert read_page_token(page_token(*key), str, int) == key


def test_a_full_page_names_the_next_one_and_a_short_page_is_the_last() -> None:
    rows = [{"at": "monday", "id": 7, "size": 1}, {"at": "friday", "id": 9, "size": 2}]
    token = PageQuery(page_size=2).next_token(rows, "at", "id")
    assert PageQuery(page_token=token).after(str, int) == ("friday", 9)
    assert (
        PageQuery(page_size=3).next_token(rows, "at", "id"),
        PageQuery(page_size=2).next_token([], "at"),
    ) == ("", "")


@pytest.mark.parametrize(
    "token", ["", "x", "!!!!", page_token("a"), page_token(1, "a"), page_token("a", 1, 2), "ä"]
)
def test_a_token_of_another_list_is_a_problem(token: str) -> None:
    with pytest.raises(Problem) as refused:
        read_page_token(token, str, int)
    assert (refused.value.status, refused.value.code) == (422, "invalid_page_token")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuleBroken("a", "b"), 409),
        (NotFound("a", "b"), 404),
        (Forbidden("a", "b"), 403),
        (Stale("a", "b"), 412),
        (Unprocessable("a", "b"), 422),
        (Misrouted("a", "b"), 503),
        (Unavailable("a"), 503),
        (ConnectionRefusedError(), 503),
        (TimeoutError(), 503),
        (asyncpg.DataError("value out of int64 range"), 422),
        (asyncpg.CharacterNotInRepertoireError("0x00"), 422),
    ],
)
def test_each_kind_of_error_has_its_status(error: Exception, status: int) -> None:
    problem = of_exception(error)
    assert problem is not None
    assert problem.status == status


def test_a_fault_of_the_server_has_no_problem() -> None:
    assert of_exception(ZeroDivisionError()) is None


def test_facts_never_overwrite_the_members_of_a_problem() -> None:
    body = msgspec.json.decode(Problem(409, "x", "y", None, title="evil", version=3).response().body)
    assert (body["title"], body["status"], body["version"]) == ("Conflict with a rule", 409, 3)


@pytest.mark.parametrize("body", [{"part": "a", "sides": [1]}, Shape("a", [1]), b'{"part":"a","sides":[1]}'])
def test_an_answer_may_be_of_any_kind(body: Any) -> None:
    assert msgspec.json.decode(encoded(body)) == {"part": "a", "sides": [1]}


def test_models_inside_of_other_answers_are_encoded_too() -> None:
    assert msgspec.json.decode(encoded({"items": [Part(name="a")]})) == {
        "items": [{"name": "a", "inner": []}]
    }


def test_a_request_has_one_cause() -> None:
    request = Request(
        {"type": "http", "method": "POST", "path": "/v1/models", "query_string": b"", "headers": []}
    )
    call = Call(cast("App", None), ROUTES[1], request, Actor("anna"), AccessState(), {}, raw=b"{}")
    assert call.cause() is call.cause()
