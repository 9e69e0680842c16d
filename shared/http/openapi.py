"""Make the OpenAPI 3.1 document of a table of routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from shared.http.problems import BASE, MEDIA_TYPE, TITLES
from shared.http.routes import Route

_REF = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{([^}:]+)(?::[^}]*)?\}")


def document(service: str, routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document as plain JSON values."""
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(service, route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Regista {service}",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _with_problem(schemas.definitions),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "bearerFormat": "rg_<key id>_<secret>"},
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": [{"key": []}, {"token": []}],
    }


def _with_problem(definitions: dict[str, Any]) -> dict[str, Any]:
    if PROBLEM in definitions:
        raise ValueError(
            f"a body or answer is called {PROBLEM}, the name of the schema of refusals: rename it"
        )
    return {**definitions, PROBLEM: _PROBLEM}


_HEAD_TOO_LARGE = {
    "description": "The request line and headers are too large",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
"""The answer of the guard before the routes (shared/http/connection.py)."""

PROBLEM = "ProblemDetails"
"""The name of the schema of refusals."""

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` states what is wrong and what to do next;"
    " further members depend on the code.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": [BASE + "role_missing"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "listed_at": {
            "type": "string",
            "description": "The path of the list of what there is, where the named thing is unknown.",
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}


class _Schemas:
    """The schemas of all bodies and answers. `definitions` are those that several of them share."""

    def __init__(self, by_type: dict[tuple[Any, str], dict[str, Any]], definitions: dict[str, Any]) -> None:
        self._by_type = by_type
        self.definitions = definitions

    def of(self, kind: Any, mode: str) -> dict[str, Any]:
        """Return the schema of a body ("validation") or of an answer ("serialization")."""
        return self._by_type[(kind, mode)]


def _schemas(routes: Sequence[Route]) -> _Schemas:
    bodies = {body for r in routes for body in (_body(r), r.form) if body is not None}
    answers = {r.response for r in routes if r.response is not None}
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        (m, "validation") for m in bodies if issubclass(m, BaseModel)
    ] + [(m, "serialization") for m in answers if _is_model(m)]
    models.sort(key=lambda m: (m[0].__name__, m[1]))
    schemas, top = models_json_schema(models, ref_template=_REF)
    found: dict[tuple[Any, str], dict[str, Any]] = {
        (kind, mode): schema for (kind, mode), schema in schemas.items()
    }
    definitions: dict[str, Any] = top.get("$defs", {})
    structs = sorted((k for k in answers | bodies if _is_struct(k)), key=str)
    described, components = msgspec.json.schema_components(
        structs, ref_template="#/components/schemas/{name}"
    )
    definitions |= components
    for struct, schema in zip(structs, described, strict=True):
        found[struct, "validation"] = found[struct, "serialization"] = schema
    for answer in sorted((a for a in answers if not _is_model(a) and a not in structs), key=str):
        schema = TypeAdapter(answer).json_schema(mode="serialization", ref_template=_REF)
        definitions |= schema.pop("$defs", {})
        found[(answer, "serialization")] = schema
    return _Schemas(found, definitions)


def _body(route: Route) -> type[BaseModel | msgspec.Struct] | None:
    """Return the type that documents the body: the contract where there is one."""
    return route.contract or route.body


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _operation(service: str, route: Route, schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": list(route.tags) or [service],
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
    }
    if (body := _body(route)) is not None:
        content = {"application/json": {"schema": schemas.of(body, "validation")}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.form is not None:
        content = {"application/x-www-form-urlencoded": {"schema": schemas.of(route.form, "validation")}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.streams:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.public or route.signs_in:
        operation["security"] = [{"token": []}] if route.signs_in else []
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.path.removeprefix("/v1"))
    return "_".join([route.method.lower(), *words])


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        schema = route.query.model_json_schema(ref_template=_REF)
        required = schema.get("required", ())
        found += [
            {"name": n, "in": "query", "required": n in required, "schema": s}
            for n, s in schema.get("properties", {}).items()
        ]
    if route.needs_if_match:
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "schema": {"type": "string", "examples": ['"3"']},
            }
        )
    if route.method != "GET" and not route.public:
        about = "A request that is repeated with the same key runs once."
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": about,
                "schema": {"type": "string", "maxLength": 200},
            }
        )
    return found


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done"}
    if route.response is not None:
        media = "text/event-stream" if route.event_stream else "application/json"
        answer["content"] = {media: {"schema": schemas.of(route.response, "serialization")}}
    found = {str(status): answer for status in (_success(route), *(s for s in route.also if s < 400))}
    for status in _refusals(route):
        content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}}}
        found[str(status)] = {"description": TITLES[status], "content": content}
    if "{" in route.path or route.query is not None:
        found["431"] = _HEAD_TOO_LARGE
    return found


def _success(route: Route) -> int:
    """Return the status of an answer. One without a body is 204."""
    return 204 if route.response is None and route.status == 200 and not route.public else route.status


def _refusals(route: Route) -> list[int]:
    statuses = {500, 503} if route.public else {401, 403, 500, 503}
    statuses |= {status for status in route.also if status >= 400}
    if "{" in route.path or route.query is not None:
        statuses.add(400)  # the character NUL
    if "{" in route.path or route.query is not None or route.body is not None or route.streams:
        statuses.add(404)  # what the path, the query or the body names
    if route.body is not None or route.query is not None or "{" in route.path:
        statuses.add(422)
    if route.body is not None or route.streams:
        statuses |= {413, 415}
    if route.method != "GET":
        statuses |= {409, 412, 422}
    if route.needs_if_match:
        statuses.add(428)
    return sorted(statuses)
