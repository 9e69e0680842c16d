"""A stand-in for all services that is made from their OpenAPI documents alone.

It refuses what a document does not allow, and answers with the smallest example that the document promises.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import uvicorn
from jsonschema import Draft202012Validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tools.contracts.routes import documents

ID = "0198f0c2-7a31-7c52-9f0d-2f6f3b1c4d5e"
DIGEST = "sha256:" + "d" * 64
KEY_ID = "7K2MAAAAAAAA"
PLAIN: Mapping[str, Any] = MappingProxyType(
    {"string": "text", "integer": 1, "number": 0.5, "boolean": True, "null": None, "object": {}, "array": []}
)
OF_FIELD: Mapping[str, Any] = MappingProxyType(
    {
        "next_page_token": "",
        "stage": "Production",
        "key_id": KEY_ID,
        "semver": "1.2.0",
        "digest": DIGEST,
        "artifact_state": "available",
        "percent": 100,
        "role": "champion",
        "model": "churn",
        "withdrawn": None,
        "retired": None,
        "withdrawal_proposed": None,
        "dry_run": False,
        "revision": 7,
        "weaker": [],
        "data": {},
        "issuer": "https://sso.acme.example/realms/acme",
    }
)
"""Values for fields whose first possible value is no likely one."""


@dataclass
class ByContract:
    """The stand-in. `wrong` has what no service would take."""

    url: str = ""
    wrong: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    documents: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(documents()))

    async def answer(self, request: Request) -> Response:
        """Answer one request as its document describes."""
        if request.url.path.endswith("/.well-known/regista"):
            return JSONResponse({service: f"{self.url}/{service}" for service in self.documents})
        _, service, path = request.url.path.split("/", 2)
        self.seen.append(f"{request.method} {service} /{path}")
        document, path = self.documents[service], f"/{path}"
        found = self._operation(document, request.method.lower(), path)
        if found is None:
            return self._refused(f"{service} has no {request.method} {path}")
        body = await request.body()
        problems = [*_query_problems(found, request), *_body_problems(document, found, body, request)]
        if problems:
            return self._refused(f"{request.method} {path}: {'; '.join(problems)}")
        if path == "/v1/uploads":
            name, digest = request.query_params["name"], hashlib.sha256(body).hexdigest()
            return JSONResponse({"location": "u", "name": name, "size": len(body), "sha256": digest}, 201)
        status = min(int(code) for code in found["responses"] if code.startswith("2"))
        schema = found["responses"][str(status)].get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return Response(b"", status)
        return JSONResponse(example(document, schema), status, headers={"ETag": '"7"'})

    def _refused(self, why: str) -> Response:
        self.wrong.append(why)
        return JSONResponse({"code": "by_contract", "status": 422, "detail": why}, 422)

    @staticmethod
    def _operation(document: Mapping[str, Any], method: str, path: str) -> dict[str, Any] | None:
        """Return the operation of a path: of several that match, the one with the longest fixed text."""
        matching = [
            template
            for template in document["paths"]
            if method in document["paths"][template]
            and re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(template)), path)
        ]
        if not matching:
            return None
        best = max(matching, key=lambda template: len(re.sub(r"\{\w+\}", "", template)))
        return dict(document["paths"][best][method])


def _query_problems(operation: Mapping[str, Any], request: Request) -> Iterator[str]:
    known = {p["name"]: p for p in operation.get("parameters", ()) if p["in"] == "query"}
    for name in request.query_params:
        texts = request.query_params.getlist(name)
        text = texts[-1]
        if name not in known:
            yield f"no query parameter {name}"
            continue
        schema = known[name]["schema"]
        forms: list[Any] = [texts, text, *([int(text)] if text.lstrip("-").isdigit() else [])]
        forms += [text == "true"] if text in {"true", "false"} else []
        if not any(Draft202012Validator(schema).is_valid(form) for form in forms):
            yield f"query parameter {name}={text}"
    for name, parameter in known.items():
        if parameter.get("required") and name not in request.query_params:
            yield f"query parameter {name} is missing"


def _body_problems(
    document: Mapping[str, Any], operation: Mapping[str, Any], body: bytes, request: Request
) -> Iterator[str]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if schema is None or "json" not in request.headers.get("content-type", "json"):
        return
    whole = {**schema, "components": document["components"]}
    sent = json.loads(body or b"{}")
    for error in Draft202012Validator(whole).iter_errors(sent):
        yield f"body {'.'.join(map(str, error.path))}: {error.message[:200]}"


def example(document: Mapping[str, Any], schema: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
    """Return a value of the schema: objects with all their fields, lists with one item."""
    if name in OF_FIELD:
        return OF_FIELD[name]
    match schema:
        case {"$ref": str(reference)}:
            named = document["components"]["schemas"][reference.rpartition("/")[2]]
            return example(document, named, "", depth + 1) if depth < 8 else None
        case {"anyOf": [first, *others]}:
            filled = [one for one in (first, *others) if one.get("type") != "null"]
            return example(document, filled[0], "", depth)
        case {"enum": [*values]} if "promoted" in values:
            return "promoted"  # what waits for a promotion ends
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"type": "object", "properties": {**fields}}:
            return {key: example(document, one, key, depth) for key, one in fields.items()}
        case {"type": "array"}:
            return [example(document, schema.get("items", {}), "", depth)] if depth < 8 else []
        case {"type": "string"}:
            return _text(schema, name)
        case {"type": "integer"}:
            is_limit = name.startswith(("max_", "most_")) or name.endswith(("bytes", "files"))
            return 1_000_000 if is_limit else max(1, int(schema.get("minimum", 1)))
        case {"type": str(type_)}:
            return PLAIN[type_]
    return "text"


def _text(schema: Mapping[str, Any], name: str) -> str:
    if name in {"at", "since", "until", "oldest", "newest", "read_since"} or name.endswith("_at"):
        return "2026-03-01T12:00:00.000Z"
    if name.endswith("_id"):
        return ID
    return DIGEST if "digest" in name or "sha256:" in schema.get("pattern", "") else str(PLAIN["string"])


@contextmanager
def services_by_contract() -> Iterator[ByContract]:
    """Serve the stand-in on a free port until the block ends."""
    stand_in = ByContract()
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", stand_in.answer, methods=methods)])
    listening = socket.create_server(("127.0.0.1", 0))
    stand_in.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
