"""The client is typed: its types are those of the services, and a type checker sees them."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import regista
from regista import choices
from regista.client.async_client import AsyncClient
from regista.client.sync_calls import SyncCalls, names_of_calls
from tools.contracts import client_stub
from tools.contracts.client_shapes import modules
from tools.contracts.routes import documents

ROOT = Path(__file__).parents[2]
CALLS = ROOT / "sdk" / "src" / "regista" / "calls"
SAMPLE = Path(__file__).parent / "typed" / "sample.py"
OPENAPI = dict(documents())
_SENDS = {"_get": "GET", "_all": "GET", "_items": "GET", "_whole": "GET"}


@pytest.mark.slow
def test_mypy_sees_the_arguments_and_the_answers() -> None:
    """Each `type: ignore` of the sample is a mistake that mypy has to find: an unused one is an error."""
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), str(SAMPLE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert checked.stdout.splitlines()[-1:] == ["Success: no issues found in 1 source file"], checked.stdout


def test_every_call_has_a_docstring_and_a_typed_answer() -> None:
    for name in names_of_calls():
        method = getattr(AsyncClient, name)
        assert inspect.getdoc(method), f"{name} has no docstring"
        returned = typing.get_type_hints(method)["return"]
        assert returned not in (dict, dict[str, Any], Any), f"{name} returns an untyped {returned}"


def test_every_public_method_and_class_that_a_user_calls_has_a_docstring() -> None:
    for shown in ("Client", "AsyncClient", "Publication", "Loaded", "Registered", "Run", "Profile"):
        class_ = getattr(regista, shown)
        assert class_.__doc__, shown
        for name, member in inspect.getmembers(class_, inspect.isfunction):
            assert name.startswith("_") or inspect.getdoc(member), f"{shown}.{name}"


def test_the_declarations_have_what_the_client_has() -> None:
    declared = ast.parse(client_stub.calls())
    methods = {node.name for node in ast.walk(declared) if isinstance(node, ast.FunctionDef)}
    assert methods >= set(names_of_calls())
    assert methods == {name for name in dir(SyncCalls) if not name.startswith("_")}


def _sent() -> Iterator[tuple[str, str, str, str]]:
    """(shape, method, service, path) of each request in the text of the calls whose path stands there."""
    for file in sorted(CALLS.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=name), args=[shape, ast.Constant(service), path, *_]):
                    if name in _SENDS and (found := _path(path)):
                        yield ast.unparse(shape), _SENDS[name], service, found
                case ast.Call(
                    func=ast.Attribute(attr="_send"),
                    args=[shape, ast.Constant(method), ast.Constant(service), path, *_],
                ):
                    if found := _path(path):
                        yield ast.unparse(shape), method, service, found


def _path(node: ast.expr) -> str:
    """Return a path with `{}` for what is inserted, "" where it does not stand in the text."""
    prefixes = {"at": "/models/{}", "_identity": "/access/identities/{}", "_review": "/reviews/{}"}
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(
            values=[ast.FormattedValue(value=ast.Call(func=ast.Name(name), args=given)), *rest]
        ):
            if name not in prefixes:
                return ""
            first = prefixes[name] + ("/versions/{}" if len(given) > 1 else "")
            return first + "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in rest)
        case ast.JoinedStr(values=values):
            return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in values)
    return ""


REQUESTS = [one for one in _sent() if one[0] != "Json"]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: f"{one[1]} {one[2]}{one[3]}")
def test_the_type_of_an_answer_is_the_one_of_its_path(request_: tuple[str, str, str, str]) -> None:
    shape, method, service, path = request_
    known = OPENAPI[service]
    wanted = re.compile("/v1" + re.escape(path).replace(r"\{\}", r"[^/]+") + "$")
    paths = [one for one in known["paths"] if wanted.match(one) and method.lower() in known["paths"][one]]
    assert len(paths) >= 1, f"{service} has no {method} {path}"
    shapes = {name for one in paths for name in _answers(known, one, method)}
    assert shape.rpartition(".")[2].replace("StoredEvent", "Event") in shapes, (
        f"{method} {path} answers {shapes}"
    )


def _answers(document: dict[str, Any], path: str, method: str) -> Iterator[str]:
    """Yield the names of the shapes that a path answers with, and those of the items of a list."""
    for status, response in document["paths"][path][method.lower()]["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if status.startswith("2"):
            for one in (schema, *schema.get("anyOf", ())):
                name = one.get("$ref", "").rpartition("/")[2] or one.get("title", "")
                yield name
                items = document["components"]["schemas"].get(name, {}).get("properties", {}).get("items", {})
                yield items.get("items", {}).get("$ref", "").rpartition("/")[2]


def test_the_words_of_arguments_are_those_of_the_services() -> None:
    shapes = OPENAPI["registry"]["components"]["schemas"]
    assert [*get_args(choices.Kind)] == shapes["ModelAnswer"]["properties"]["kind"]["enum"]
    assert [*get_args(choices.Tier)] == shapes["ModelAnswer"]["properties"]["tier"]["enum"]
    assert [*get_args(choices.Stage)] == shapes["VersionLine"]["properties"]["stage"]["enum"]
    assert [*get_args(choices.IdentityKind)] == shapes["NewIdentity"]["properties"]["kind"]["enum"]


def test_a_shape_has_the_fields_of_its_schema_and_which_of_them_may_be_absent() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "kind": {"enum": ["a", "b"]},
            "more": {"type": "array", "items": {"$ref": "#/components/schemas/Policy-Input"}},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["name", "more"],
    }
    document = {"paths": {}, "components": {"schemas": {"One": schema}}}
    other = {"paths": {}, "components": {"schemas": {}}}
    texts = dict(modules({"registry": document, "audit": other}))
    fields = texts["registry"].partition("class One(TypedDict):\n")[2].split("\n")
    assert [line.strip() for line in fields if line] == [
        "name: str",
        "count: NotRequired[int | None]",
        "kind: NotRequired[Literal['a', 'b']]",
        "more: list[PolicyInput]",
        "tags: NotRequired[dict[str, str]]",
    ]
