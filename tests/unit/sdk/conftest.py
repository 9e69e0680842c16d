"""A small HTTP server with the contract's answers: what the client is tried against without the services."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import uvicorn
from click.testing import CliRunner, Result
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from regista.cli import root
from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.wire.digests import FileEntry, manifest_digest

QUICK = Patience(attempts=4, first=0.001, longest=0.01)
API_KEY = "rg_AAAAAAAAAAAA_" + "B" * 32


COMPLETE: dict[str, Any] = {
    "training": {
        "config": {"C": 1},
        "dataset": {"name": "bank", "digest": "sha256:" + "d" * 64},
        "metrics": [
            {"name": "auc", "value": 0.9, "dataset_digest": "sha256:" + "e" * 64, "dataset_name": "holdout"}
        ],
        "trained_at": "2026-01-31T12:00:00Z",
        "code": {"revision": "abc"},
    },
    "schema": {"inputs": [], "outputs": [{"name": "y", "type": "double"}]},
}
"""What is mandatory for a model, but its artifact and its creator."""


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    search: str = ""
    """The query as it was sent."""


@dataclass
class Answers:
    """The answers of the server.

    `next` are answers before all others, `given` those of one path, in order.
    """

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    next: list[Response] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    publications: dict[str, dict[str, Any]] = field(default_factory=dict)
    fixed: dict[tuple[str, str], Response] = field(default_factory=dict)
    given: dict[tuple[str, str], list[Response]] = field(default_factory=dict)
    any: dict[str, Any] | None = None
    """The answer to every request, and `refusal` the problem."""
    refusal: dict[str, Any] | None = None
    silent: bool = False
    """Whether requests get no answer while the client waits."""

    def of(self, method: str, path: str) -> list[Seen]:
        return [s for s in self.seen if (s.method, s.path) == (method, path)]

    def has(self, model: str, version: str, files: dict[str, bytes], number: int = 3) -> dict[str, Any]:
        """Puts a version there whose files are these."""
        entries = [
            {"path": p, "size": len(b), "sha256": hashlib.sha256(b).hexdigest()} for p, b in files.items()
        ]
        digest = manifest_digest(FileEntry(**e) for e in entries)
        self.files |= {f"{digest}/{path}": content for path, content in files.items()}
        found = {
            "model": model,
            "model_id": "0198-m",
            "number": number,
            "semver": "1.2.0",
            "stage": "Production",
            "artifact_state": "available",
            "artifact": {"digest": digest, "files": entries, "location": "u"},
        }
        self.versions[(model, version)] = self.versions[(model, str(number))] = found
        return found


def problem(status: int, code: str, **facts: Any) -> Response:
    return JSONResponse(
        {"code": code, "status": status, "detail": f"it is {code}", **facts},
        status,
        media_type="application/problem+json",
    )


def _app(current: list[Answers]) -> Starlette:
    async def any_(request: Request) -> Response:
        answers = current[0]
        body = await request.body()
        path = request.url.path
        while answers.silent and (await request.receive())["type"] != "http.disconnect":
            pass
        answers.seen.append(
            Seen(
                request.method,
                path,
                dict(request.query_params),
                dict(request.headers),
                body,
                request.url.query,
            )
        )
        if path != "/.well-known/regista" and answers.refusal is not None:
            return JSONResponse(answers.refusal, 409, media_type="application/problem+json")
        if path != "/.well-known/regista" and answers.any is not None:
            return JSONResponse(answers.any, headers={"ETag": '"7"'})
        if answers.next:
            return answers.next.pop(0)
        if given := answers.given.get((request.method, path)):
            return given.pop(0)
        if found := answers.fixed.get((request.method, path)):
            return found
        return _contract(answers, request.method, path, request, body)

    return Starlette(routes=[Route("/{path:path}", any_, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])])


def _contract(answers: Answers, method: str, path: str, request: Request, body: bytes) -> Response:
    if path == "/.well-known/regista":
        return JSONResponse(
            dict.fromkeys(("registry", "approval", "artifact", "cleanup", "audit"), answers.url)
        )
    parts = path.removeprefix("/v1/").split("/")
    match method, parts:
        case "POST", ["uploads"]:
            location = request.query_params.get("upload", "11111111-1111-4111-8111-111111111111")
            return JSONResponse(
                {"location": location, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}, 201
            )
        case "GET", ["models", model, "versions", version] if (model, version) in answers.versions:
            return JSONResponse(answers.versions[(model, version)], headers={"ETag": '"7"'})
        case "GET", ["resolve", reference] if (
            key := tuple(reference.replace("@", "/@").split("/"))
        ) in answers.versions:
            found = answers.versions[key]
            shown = {name: found[name] for name in ("model", "model_id", "number", "semver", "stage")}
            state = {
                "artifact_state": found.get("artifact_state", "available"),
                "withdrawn": found.get("withdrawn"),
                "retired": bool(found.get("retired")),
            }
            return JSONResponse(shown | state | {"artifact_digest": found["artifact"]["digest"]})
        case "GET", ["artifacts", digest, "files", *rest] if f"{digest}/{'/'.join(rest)}" in answers.files:
            return Response(
                answers.files[f"{digest}/{'/'.join(rest)}"], media_type="application/octet-stream"
            )
        case "GET", ["publications", message_id] if message_id in answers.publications:
            return JSONResponse(answers.publications[message_id])
        case "GET", ["models", model, "publisher"]:
            return JSONResponse({"model": model, "namespace": "", "publisher": "ci"})
        case "POST", ["usage"]:
            return JSONResponse({}, 202)
        case _:
            return problem(404, "not_found")


@pytest.fixture(scope="session")
def _server() -> Iterator[list[Answers]]:
    """Run one server for all tests; each test puts its answers into the list."""
    current = [Answers()]
    listener = socket.create_server(("127.0.0.1", 0))
    current[0].url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(_app(current), log_level="error", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield current
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def answers(_server: list[Answers]) -> Answers:
    _server[0] = Answers(url=_server[0].url)
    return _server[0]


@pytest.fixture
def profile(answers: Answers, tmp_path: Path) -> Profile:
    return Profile(
        url=answers.url,
        api_key=API_KEY,
        creator="person:ann",
        cache_dir=str(tmp_path / "cache"),
        usage_window=3600,
    )


@pytest.fixture
def run(answers: Answers, tmp_path: Path) -> Any:
    settings = {
        "REGISTA_URL": answers.url,
        "REGISTA_API_KEY": API_KEY,
        "REGISTA_CACHE_DIR": str(tmp_path / "cache"),
        "REGISTA_CONFIG": str(tmp_path / "none"),
        "REGISTA_USAGE_WINDOW": "0",
    }

    def call(*words: str, typed: str = "", environment: Mapping[str, str] = MappingProxyType({})) -> Result:
        return CliRunner().invoke(root, list(words), env={**settings, **environment}, input=typed)

    return call


@pytest.fixture
def client(profile: Profile) -> Any:
    with Client(profile, patience=QUICK) as found:
        yield found
